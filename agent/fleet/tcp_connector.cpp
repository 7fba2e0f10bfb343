#include "agent/fleet/tcp_connector.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "agent/fleet/mqtt_errors.h"

namespace wherry {

Result<TcpConnector> TcpConnector::open(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return fail(lookup_error(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  TcpConnector connector;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Address address;
    std::memcpy(&address.bytes, one->ai_addr, one->ai_addrlen);
    address.length = one->ai_addrlen;
    connector.addresses_.push_back(address);
  }
  if (Status begun = connector.try_next(); !begun) return fail(begun.error());
  return connector;
}

Status TcpConnector::try_next() {
  int last = EADDRNOTAVAIL;
  while (next_ < addresses_.size()) {
    const Address& address = addresses_[next_++];
    socket_ = Fd(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto* where = reinterpret_cast<const sockaddr*>(&address.bytes);
    if (socket_.valid() &&
        (connect(socket_.get(), where, address.length) == 0 || errno == EINPROGRESS)) {
      const int on = 1;
      setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return {};
    }
    last = errno;
  }
  return fail(socket_error(last));
}

Result<bool> TcpConnector::advance() {
  pollfd writable{socket_.get(), POLLOUT, 0};
  if (poll(&writable, 1, 0) <= 0) return false;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == 0) return true;
  if (next_ == addresses_.size()) return fail(socket_error(error));
  if (Status begun = try_next(); !begun) return fail(begun.error());
  return false;
}

}  // namespace wherry

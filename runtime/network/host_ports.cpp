#include "runtime/network/host_ports.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

#include "base/fd.h"

namespace wherry::runtime {
namespace {

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// The wildcard address collides with any address of the port.
socklen_t make_address(const PortMapping& port, Address& address) {
  address = {};
  if (inet_pton(AF_INET6, port.host_ip.c_str(), &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port.host_port);
    return sizeof address.v6;
  }
  address = {};
  if (!port.host_ip.empty()) inet_pton(AF_INET, port.host_ip.c_str(), &address.v4.sin_addr);
  address.v4.sin_family = AF_INET;
  address.v4.sin_port = htons(port.host_port);
  return sizeof address.v4;
}

bool is_taken(const PortMapping& port) {
  Address address;
  const socklen_t size = make_address(port, address);
  int type = SOCK_STREAM;
  int protocol = 0;
  if (port.protocol == Protocol::Udp) type = SOCK_DGRAM;
  if (port.protocol == Protocol::Sctp) protocol = IPPROTO_SCTP;
  const Fd probe(socket(address.any.sa_family, type | SOCK_CLOEXEC, protocol));
  if (!probe.valid()) return false;  // no such protocol here, so nobody listens
  if (type == SOCK_STREAM) {
    // Only listeners count, not what a connection of a moment ago left waiting.
    const int on = 1;
    setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  return bind(probe.get(), &address.any, size) != 0 && errno == EADDRINUSE;
}

const char* name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::Tcp:
      return "TCP";
    case Protocol::Udp:
      return "UDP";
    case Protocol::Sctp:
      return "SCTP";
  }
  return "";
}

}  // namespace

Status check_host_ports(const std::vector<PortMapping>& ports) {
  for (const PortMapping& port : ports) {
    if (!is_taken(port)) continue;
    return fail(Code::FailedPrecondition,
                std::string(name_of(port.protocol)) + " port " + std::to_string(port.host_port) +
                    " of the host is in use by another program: stop it or choose another hostPort",
                "HostPortConflict");
  }
  return {};
}

}  // namespace wherry::runtime

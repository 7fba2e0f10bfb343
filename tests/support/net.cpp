#include "tests/support/net.h"

#include <arpa/inet.h>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace wherry::test {
namespace {

// None for a path that is too long.
std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool accepts(int family, const sockaddr* address, socklen_t length) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool connected = connect(fd, address, length) == 0;
  close(fd);
  return connected;
}

std::string ask(int family, const sockaddr* address, socklen_t length, const std::string& request) {
  constexpr timeval kSilence{30, 0};
  const Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kSilence, sizeof kSilence);
  if (connect(fd.get(), address, length) != 0) return {};
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t done = send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (done <= 0) return {};
    sent += static_cast<size_t>(done);
  }
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(fd.get(), buffer, sizeof buffer)) > 0;) {
    answer.append(buffer, static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

Fd listen_on_loopback(uint16_t& port, int backlog) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), any, size) != 0 || listen(listener.get(), backlog) != 0 ||
      getsockname(listener.get(), any, &size) != 0) {
    throw std::runtime_error("no socket to listen on");
  }
  port = ntohs(address.sin_port);
  return listener;
}

bool accepts_unix(const std::string& path) {
  const auto address = address_of(path);
  return address && accepts(AF_UNIX, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
}

bool accepts_tcp(int port) {
  const sockaddr_in address = loopback(port);
  return accepts(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

std::string ask_unix(const std::string& path, const std::string& request) {
  const auto address = address_of(path);
  if (!address) return {};
  return ask(AF_UNIX, reinterpret_cast<const sockaddr*>(&*address), sizeof *address, request);
}

std::string ask_tcp(int port, const std::string& request) {
  const sockaddr_in address = loopback(port);
  return ask(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address, request);
}

}  // namespace wherry::test

#include "tests/support/connect_proxy.h"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64.h"
#include "tests/support/net.h"

namespace wherry::test {
namespace {

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Up to the empty line, byte by byte.
std::string read_head(int socket) {
  std::string head;
  char byte = 0;
  while (head.size() < 65536 && !head.ends_with("\r\n\r\n") && recv(socket, &byte, 1, 0) == 1) {
    head += byte;
  }
  return head;
}

int port_of(const std::string& authority) {
  const size_t colon = authority.rfind(':');
  return colon == std::string::npos ? 80 : std::stoi(authority.substr(colon + 1));
}

}  // namespace

ConnectProxy::ConnectProxy(std::string credentials)
    : credentials_(std::move(credentials)),
      listener_(listen_on_loopback(port_)),
      stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([this] { run(); });
}

ConnectProxy::~ConnectProxy() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  close(stop_fd_);
}

std::vector<std::string> ConnectProxy::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void ConnectProxy::run() {
  while (true) {
    pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) break;
    const int client = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    clients_.emplace_back([this, client] {
      serve(client);
      close(client);
    });
  }
  for (std::thread& client : clients_) client.join();
}

void ConnectProxy::serve(int client) {
  // The head may never come: its reader must see the end of the proxy.
  pollfd fds[2] = {{client, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
  poll(fds, 2, -1);
  if (fds[1].revents != 0) return;
  const std::string head = read_head(client);
  const size_t space = head.find(' ');
  const size_t end = head.find(' ', space + 1);
  if (end == std::string::npos) return;
  const std::string method = head.substr(0, space);
  std::string target = head.substr(space + 1, end - space - 1);
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back(method + " " + target);
  }
  int refusal = refusal_;
  const bool known =
      credentials_.empty() || head.find("Proxy-Authorization: Basic " +
                                        base64_encode(credentials_) + "\r\n") != std::string::npos;
  if (!known) refusal = 407;
  if (refusal != 0) {
    send_all(client, "HTTP/1.1 " + std::to_string(refusal) +
                         " No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  const bool tunnel = method == "CONNECT";
  if (!tunnel) target.erase(0, target.find("://") + 3);
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port_of(target.substr(0, target.find('/'))));
  if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    send_all(client, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  } else if (tunnel) {
    if (send_all(client, "HTTP/1.1 200 Connection established\r\n\r\n")) pump(client, server);
  } else {
    const std::string rest = head.substr(end, head.size() - end - 2) + "Connection: close\r\n\r\n";
    if (send_all(server, method + " " + target.substr(target.find('/')) + rest)) {
      pump(client, server);
    }
  }
  close(server);
}

void ConnectProxy::pump(int client, int server) const {
  char buffer[16384];
  while (true) {
    pollfd fds[3] = {{client, POLLIN, 0}, {server, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    poll(fds, 3, -1);
    if (fds[2].revents != 0) return;
    for (const auto& [from, to] : {std::pair(0, server), std::pair(1, client)}) {
      if (fds[from].revents == 0) continue;
      const ssize_t got = recv(fds[from].fd, buffer, sizeof buffer, 0);
      if (got <= 0 || !send_all(to, {buffer, static_cast<size_t>(got)})) return;
    }
  }
}

}  // namespace wherry::test

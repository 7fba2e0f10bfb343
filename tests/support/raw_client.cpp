#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/net.h"
#include "tests/support/wait.h"

namespace wherry::test {

namespace {

std::string join_chunks(const std::string& text, bool& complete) {
  std::string body;
  size_t at = 0;
  while (true) {
    const size_t end = text.find("\r\n", at);
    if (end == std::string::npos) return body;
    const size_t size = std::stoul(text.substr(at, end - at), nullptr, 16);
    if (size == 0) {
      complete = text.substr(end) == "\r\n\r\n";
      return body;
    }
    body += text.substr(end + 2, size);
    at = end + 2 + size + 2;
  }
}

}  // namespace

std::string Answer::header(const std::string& name) const {
  const size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::unique_ptr<RawClient> RawClient::unix_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return std::make_unique<RawClient>(fd);
  }
  ::close(fd);
  return std::make_unique<RawClient>(-1);
}

std::unique_ptr<RawClient> RawClient::tcp(int port, const std::string& from) {
  const sockaddr_in address = loopback(port);
  sockaddr_in own = loopback(0);
  inet_pton(AF_INET, from.c_str(), &own.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return std::make_unique<RawClient>(fd);
  }
  ::close(fd);
  return std::make_unique<RawClient>(-1);
}

RawClient::~RawClient() { close(); }

void RawClient::half_close() const { shutdown(fd_, SHUT_WR); }

void RawClient::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool RawClient::send(const std::string& bytes) const {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t got = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (got < 0) return false;
    sent += static_cast<size_t>(got);
  }
  return true;
}

bool RawClient::receive_more() {
  pollfd entry{fd_, POLLIN, 0};
  if (poll(&entry, 1, static_cast<int>(kPatience.count())) <= 0) return false;
  std::array<char, 4096> part{};
  const ssize_t got = recv(fd_, part.data(), part.size(), 0);
  if (got <= 0) return false;
  received_.append(part.data(), static_cast<size_t>(got));
  return true;
}

bool RawClient::wait_for(const std::string& text) {
  while (received_.find(text) == std::string::npos) {
    if (!receive_more()) return false;
  }
  return true;
}

Answer RawClient::answer() {
  while (receive_more()) {
  }
  Answer answer;
  const size_t end = received_.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = received_.substr(0, end + 2);
  const std::string rest = received_.substr(end + 4);
  answer.status = std::stoi(answer.head.substr(9, 3));
  if (answer.header("Transfer-Encoding") == "chunked") {
    answer.body = join_chunks(rest, answer.complete);
  } else {
    answer.body = rest;
    answer.complete = answer.header("Content-Length") == std::to_string(rest.size());
  }
  return answer;
}

}  // namespace wherry::test

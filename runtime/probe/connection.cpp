#include "runtime/probe/connection.h"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace wherry::runtime {
namespace {

constexpr size_t kReadBytes = 4096;
constexpr int kReadsAtOnce = 16;  // then the others get their turn

Status failed(const char* what, int error) {
  return fail(Code::Unavailable, std::string(what) + ": " + std::strerror(error));
}

SSL_CTX* shared_context() {
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_client_method());
    if (made != nullptr) SSL_CTX_set_verify(made, SSL_VERIFY_NONE, nullptr);
    return made;
  }();
  return context;
}

}  // namespace

struct Connection::Tls {
  explicit Tls(int fd) : ssl(SSL_new(shared_context())) {
    if (ssl == nullptr) return;
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
  }
  ~Tls() { SSL_free(ssl); }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // Nothing: it must wait, and `wants_write` says for what.
  std::optional<Status> waits(int result, bool& wants_write) const {
    const int error = SSL_get_error(ssl, result);
    ERR_clear_error();
    wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || wants_write) return {};
    return fail(Code::Unavailable, "TLS failed: does the server speak https?");
  }

  SSL* ssl;
};

Connection::Connection(Fd socket, std::unique_ptr<Tls> tls, std::unique_ptr<Dialogue> dialogue)
    : socket_(std::move(socket)), tls_(std::move(tls)), dialogue_(std::move(dialogue)) {
  if (dialogue_) outgoing_ = dialogue_->opening();
}

Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const std::string& address, uint16_t port,
                                                     bool tls, std::unique_ptr<Dialogue> dialogue) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return fail(Code::InvalidArgument, "\"" + address + "\" is no address");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  Fd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(failed("no socket", errno).error());
  const int yes = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  // Closed by a reset: many probes a second must leave no socket behind that waits (TIME_WAIT).
  const linger at_once{1, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  if (connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
    return fail(failed("cannot connect", errno).error());
  }
  std::unique_ptr<Tls> secure;
  if (tls) {
    secure = std::make_unique<Tls>(socket.get());
    if (secure->ssl == nullptr) return fail(Code::Internal, "no TLS connection could be made");
  }
  return std::unique_ptr<Connection>(
      new Connection(std::move(socket), std::move(secure), std::move(dialogue)));
}

std::optional<Status> Connection::finish_connect() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return failed("cannot connect", error);
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  if (getpeername(fd(), reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return {};
  connected_ = true;
  if (!dialogue_) return Status();
  return {};
}

std::optional<Status> Connection::finish_handshake() {
  const int result = SSL_do_handshake(tls_->ssl);
  if (result != 1) return tls_->waits(result, wants_write_);
  greeted_ = true;
  return {};
}

std::optional<Status> Connection::write_some() {
  while (!outgoing_.empty()) {
    ssize_t written = 0;
    if (tls_) {
      const int result = SSL_write(tls_->ssl, outgoing_.data(), static_cast<int>(outgoing_.size()));
      if (result <= 0) return tls_->waits(result, wants_write_);
      written = result;
    } else {
      written = send(fd(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
      if (written < 0 && errno == EINTR) continue;
      wants_write_ = written < 0 && errno == EAGAIN;
      if (wants_write_) return {};
      if (written < 0) return failed("the connection broke", errno);
    }
    outgoing_.erase(0, static_cast<size_t>(written));
  }
  wants_write_ = false;
  return {};
}

std::optional<Status> Connection::read_some() {
  char bytes[kReadBytes];
  for (int i = 0; i < kReadsAtOnce; ++i) {
    ssize_t got = 0;
    if (tls_) {
      const int result = SSL_read(tls_->ssl, bytes, sizeof bytes);
      if (result <= 0 && SSL_get_error(tls_->ssl, result) == SSL_ERROR_ZERO_RETURN) {
        return dialogue_->closed();
      }
      if (result <= 0) return tls_->waits(result, wants_write_);
      got = result;
    } else {
      got = recv(fd(), bytes, sizeof bytes, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return {};
      if (got < 0) return failed("the connection broke", errno);
      if (got == 0) return dialogue_->closed();
    }
    auto verdict = dialogue_->take({bytes, static_cast<size_t>(got)}, outgoing_);
    if (verdict) return verdict;
    if (auto broken = write_some()) return broken;
  }
  return {};
}

std::optional<Status> Connection::step() {
  if (!connected_) {
    auto verdict = finish_connect();
    if (verdict || !connected_) return verdict;
  }
  if (tls_ && !greeted_) {
    auto verdict = finish_handshake();
    if (verdict || !greeted_) return verdict;
  }
  if (auto verdict = write_some()) return verdict;
  if (!outgoing_.empty()) return {};
  return read_some();
}

}  // namespace wherry::runtime

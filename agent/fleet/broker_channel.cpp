#include "agent/fleet/broker_channel.h"

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/fleet/mqtt_errors.h"

namespace wherry {
namespace {

constexpr size_t kPiece = 16u << 10;  // a record of TLS
// Above that nothing is taken from one side until the other has taken what there is.
constexpr size_t kFull = 128u << 10;

std::string authority_of(const BrokerUrl& url) {
  std::string host = url.host.substr(0, url.host.find('%'));
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  const int usual = url.tls ? 443 : 80;
  return url.port == usual ? host : host + ":" + std::to_string(url.port);
}

bool not_now(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

BrokerChannel::BrokerChannel(TcpConnector tcp, std::unique_ptr<TlsStream> tls,
                             std::unique_ptr<WebSocket> websocket)
    : tcp_(std::move(tcp)), tls_(std::move(tls)), websocket_(std::move(websocket)) {}

Result<std::unique_ptr<BrokerChannel>> BrokerChannel::open(const BrokerUrl& url,
                                                           const TlsOptions& options,
                                                           ClientKeys& keys, WallTime now) {
  std::unique_ptr<TlsStream> tls;
  if (url.tls) {
    TlsOptions used = options;
    if (url.websocket) used.alpn = "http/1.1";
    auto made = TlsStream::make(used, keys, url.host, now);
    if (!made) return fail(made.error());
    tls = std::move(*made);
  }
  std::unique_ptr<WebSocket> websocket;
  if (url.websocket) websocket = std::make_unique<WebSocket>(authority_of(url), url.path);
  auto tcp = TcpConnector::open(url.host, url.port);
  if (!tcp) return fail(tcp.error());
  return std::unique_ptr<BrokerChannel>(
      new BrokerChannel(std::move(*tcp), std::move(tls), std::move(websocket)));
}

short BrokerChannel::poll_events() const {
  const std::string& waiting = websocket_ ? websocket_->outgoing() : up_;
  // What is to be done without the network is done at once: it is writable, or will be in error.
  const bool due = more_ || !down_.empty() || end_ || broken_;
  const bool write = due || stage_ == Stage::Connecting || (tls_ && tls_->wants_write()) ||
                     (stage_ != Stage::HandshakingTls && !waiting.empty());
  return static_cast<short>(write ? POLLIN | POLLOUT : POLLIN);
}

std::optional<TlsPeer> BrokerChannel::peer() const {
  return tls_ ? std::optional(tls_->peer()) : std::nullopt;
}

Result<bool> BrokerChannel::get_ready() {
  if (stage_ == Stage::Connecting) {
    const Result<bool> connected = tcp_.advance();
    if (!connected || !*connected) return connected;
    stage_ = tls_ ? Stage::HandshakingTls : Stage::OpeningWebSocket;
    if (tls_) {
      if (Status attached = tls_->attach(fd()); !attached) return fail(attached.error());
    }
  }
  if (stage_ == Stage::HandshakingTls) {
    const Result<bool> done = tls_->handshake();
    if (!done || !*done) return done;
    stage_ = Stage::OpeningWebSocket;
  }
  if (stage_ == Stage::OpeningWebSocket && websocket_) {
    if (Status sent = flush(); !sent) return fail(sent.error());
    fetch();
    if (!websocket_->open()) return end_ ? Result<bool>(fail(*end_)) : false;
  }
  stage_ = Stage::Ready;
  return true;
}

Result<size_t> BrokerChannel::read(char* to, size_t most) {
  if (tls_) return tls_->read(to, most);
  const ssize_t got = recv(fd(), to, most, 0);
  if (got > 0) return static_cast<size_t>(got);
  if (got < 0 && not_now(errno)) return 0;
  if (got < 0) return fail(socket_error(errno));
  return fail(Code::Unavailable, "the broker closed the connection", "ConnectionLost");
}

Result<size_t> BrokerChannel::write(std::string_view bytes) {
  if (tls_) return tls_->write(bytes);
  const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (not_now(errno)) return 0;
  return fail(socket_error(errno));
}

// An end is kept until what came before it has been handed on: that may say why. For the same
// reason a failure to send counts only when there is nothing left to read.
void BrokerChannel::fetch() {
  more_ = false;
  if (end_ || down_.size() >= kFull || up().size() >= kFull) return;
  std::array<char, kPiece> piece;
  const Result<size_t> got = read(piece.data(), piece.size());
  if (!got) {
    end_ = got.error();
    return;
  }
  if (*got == 0) {
    end_ = broken_;
    return;
  }
  more_ = tls_ && tls_->has_more();
  // Acknowledge at once: with Nagle's algorithm at its end the broker waits for that.
  const int on = 1;
  setsockopt(fd(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  const std::string_view bytes(piece.data(), *got);
  if (!websocket_) {
    down_ += bytes;
  } else if (Status read = websocket_->receive(bytes, down_); !read) {
    end_ = read.error();
  }
}

Status BrokerChannel::flush() {
  std::string& bytes = up();
  size_t sent = 0;
  while (sent < bytes.size()) {
    const Result<size_t> count = write(std::string_view(bytes).substr(sent));
    if (!count) return fail(count.error());
    if (*count == 0) break;
    sent += *count;
  }
  bytes.erase(0, sent);
  return {};
}

Result<size_t> BrokerChannel::hand_to_library() {
  if (down_.empty()) return 0;
  const ssize_t sent = ::send(library_.get(), down_.data(), down_.size(), MSG_NOSIGNAL);
  if (sent < 0 && not_now(errno)) return 0;
  if (sent < 0) return fail(socket_error(errno));
  down_.erase(0, static_cast<size_t>(sent));
  return static_cast<size_t>(sent);
}

Result<size_t> BrokerChannel::receive() {
  fetch();
  const Result<size_t> handed = hand_to_library();
  if (!handed || *handed > 0 || !end_) return handed;
  return fail(*end_);
}

void BrokerChannel::take_from_library() {
  std::array<char, kPiece> piece;
  while (up().size() < kFull) {
    const ssize_t got = recv(library_.get(), piece.data(), piece.size(), 0);
    if (got <= 0) return;  // where the library is gone, it says why itself
    const std::string_view bytes(piece.data(), static_cast<size_t>(got));
    if (!websocket_) {
      up_ += bytes;
    } else if (Status sent = websocket_->send(bytes); !sent) {
      end_ = sent.error();
      return;
    }
  }
}

bool BrokerChannel::send() {
  while (!end_ && !broken_) {
    take_from_library();
    if (up().empty()) return true;
    if (Status flushed = flush(); !flushed) broken_ = flushed.error();
    if (!up().empty()) return false;
  }
  return false;
}

void BrokerChannel::close() {
  if (websocket_) websocket_->close();
  static_cast<void>(flush());
  if (tls_ && stage_ == Stage::Ready) tls_->close();
}

}  // namespace wherry

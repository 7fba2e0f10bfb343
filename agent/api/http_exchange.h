#pragma once
// One request and its answer on one connection. The connection ends with it: a connection costs
// 20 microseconds on this machine's own socket, and an idle one would hold a thread.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/api/http_body.h"
#include "agent/api/http_message.h"
#include "agent/api/http_socket.h"
#include "agent/api/problem.h"
#include "base/cancel.h"

namespace wherry::http {

struct Peer {
  bool tcp = false;
  bool loopback = false;  // only with tcp
  std::string tag{};      // of the listener
  // With tcp: whom it counts for. An IPv4 address, or the /64 that an IPv6 address is of, as one
  // host has as many addresses of it as it likes; 127.0.0.1 for all loopback addresses.
  std::string client{};
  bool over_rate = false;  // let in all the same: not all requests count
};

// Used by one thread.
class Exchange {
 public:
  Exchange(std::shared_ptr<Socket> socket, Peer peer, const Timeouts& timeouts,
           CancelToken cancel = {});

  // Reads the head. False where there is nothing to handle: the answer, if any, is already given.
  bool receive();
  const Request& request() const { return request_; }
  const Peer& peer() const { return peer_; }
  // Fires when the server stops and, under Server::watch, when the client goes away.
  CancelToken cancel() const { return cancel_; }

  // Up to `size` bytes of the body; 0 at its end. Errors as BodyReader::read.
  Result<size_t> read_body(char* buffer, size_t size);

  // One of these, once:
  void respond(int status, std::string_view content_type, std::string_view body,
               const Headers& headers = {});
  void respond(const Problem& problem);
  // … or begin, write as often as wanted, finish. An error means that nobody listens any more.
  Status begin(int status, std::string_view content_type);
  Status write(std::string_view bytes);
  Status finish();

  int fd() const { return socket_->fd(); }
  int status() const { return status_; }  // 0 until answered
  void close();                           // after the handler: lets the client read the answer

 private:
  Status send(std::string_view bytes);
  std::string head(int status, std::string_view content_type, const Headers& headers) const;

  std::shared_ptr<Socket> socket_;
  const Peer peer_;
  const Timeouts& timeouts_;
  Request request_;
  std::optional<BodyReader> body_;
  CancelToken cancel_;
  SystemClock clock_;  // the kernel's timeouts know no other
  Duration waited_{};  // for the client to take what was sent
  int64_t sent_ = 0;
  int status_ = 0;
  bool continued_ = false;
  bool chunked_ = false;
};

}  // namespace wherry::http

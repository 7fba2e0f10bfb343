#pragma once
// Takes a request's body apart: Content-Length or chunked (RFC 9112 sections 6 and 7.1).

#include <cstdint>
#include <string>

#include "agent/api/http_message.h"
#include "agent/api/http_socket.h"
#include "base/result.h"

namespace wherry::http {

// How slow a client may be before its connection is closed.
struct Timeouts {
  Duration head = std::chrono::seconds(5);    // for the whole request head
  Duration body = std::chrono::seconds(15);   // without a byte of body
  Duration write = std::chrono::seconds(30);  // for 64 KiB of an answer to be taken
  Duration linger = std::chrono::seconds(2);  // for the client to read an early answer
  // Of what it still sends then, over TCP: who may not ask at all could else keep a thread busy.
  size_t linger_bytes = 1u << 20;
  // A body must arrive, and an answer be taken, at this rate on the whole, or it is there only to
  // hold the connection.
  int64_t min_bytes_per_second = 4096;
};

class BodyReader {
 public:
  // `early`: what was read behind the head already.
  BodyReader(Socket& socket, const Timeouts& timeouts, const Request& request, std::string early);

  // Up to `size` bytes; 0 at the end of the body. InvalidArgument where the body is not what its
  // head says, DeadlineExceeded, Unavailable.
  Result<size_t> read(char* buffer, size_t size);
  bool finished() const { return state_ == State::End; }

 private:
  enum class State { Plain, ChunkSize, ChunkData, ChunkEnd, Trailer, End };

  Status fill();
  Result<std::string> line();
  Status next_chunk();
  Result<size_t> take(char* buffer, size_t size);

  Socket& socket_;
  const Timeouts& timeouts_;
  std::string buffer_;
  size_t used_ = 0;
  State state_;
  uint64_t left_ = 0;  // of the body or the chunk
  int64_t received_ = 0;
  SystemClock clock_;  // the kernel's timeouts know no other
  MonoTime begin_;
};

}  // namespace wherry::http

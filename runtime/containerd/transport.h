#pragma once
// The only place that knows gRPC: calls and streams of serialised messages over one unix socket.
// Everything above it works with messages and Status. Thread-safe.

#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace google::protobuf {
class MessageLite;
}

namespace wherry::runtime {

using google::protobuf::MessageLite;

// A remote method and the messages it takes and gives. `path` is "/package.Service/Method".
template <typename Request, typename Response>
struct Method {
  const char* path;
};

struct CallOptions {
  Duration timeout;  // of a call, or of each read and write of a stream; Duration::max(): none
  std::string lease = {};               // sent as containerd-lease where not empty
  const CancelToken* cancel = nullptr;  // borrowed for the duration of the call or stream
};

// A stream that is open in at least one direction. For one thread at a time, but for cancel().
// Dropping it cancels what is not finished.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Status write(const MessageLite& message) = 0;
  // False at the end of the stream.
  virtual Result<bool> read(MessageLite& message) = 0;
  // Waits for the next read() to have something to say: a message, the end or an error. False
  // after `timeout`, and the stream stays as it is.
  virtual bool wait_readable(Duration timeout) = 0;
  virtual void cancel() = 0;  // from any thread; a read or write in progress returns Cancelled
};

class Transport {
 public:
  struct Options {
    std::string address;  // of the socket; a "unix://" in front is accepted
    std::string containerd_namespace;
  };
  explicit Transport(Options options);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Unavailable, at once, while nobody listens on the socket.
  template <typename Request, typename Response>
  Result<Response> call(const Method<Request, Response>& method, const Request& request,
                        const CallOptions& options) {
    Response response;
    if (Status status = call_raw(method.path, request, response, options); !status) {
      return tl::unexpected<Error>(std::move(status.error()));
    }
    return response;
  }
  // One request, many responses.
  template <typename Request, typename Response>
  Result<std::unique_ptr<Stream>> read_stream(const Method<Request, Response>& method,
                                              const Request& request, const CallOptions& options) {
    return open(method.path, &request, options);
  }
  template <typename Request, typename Response>
  Result<std::unique_ptr<Stream>> duplex_stream(const Method<Request, Response>& method,
                                                const CallOptions& options) {
    return open(method.path, nullptr, options);
  }

  const std::string& containerd_namespace() const;

 private:
  struct Channel;
  Status call_raw(const char* path, const MessageLite& request, MessageLite& response,
                  const CallOptions& options);
  Result<std::unique_ptr<Stream>> open(const char* path, const MessageLite* only_request,
                                       const CallOptions& options);

  std::unique_ptr<Channel> channel_;
};

}  // namespace wherry::runtime

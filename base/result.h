#pragma once
// Errors as values. A function that can fail returns Result<T>; exceptions of libraries are caught
// in the adapter that calls the library and turned into an Error.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace wherry {

enum class Code {
  InvalidArgument,  // the input is wrong and stays wrong: do not retry
  NotFound,
  AlreadyExists,
  PermissionDenied,
  ResourceExhausted,   // a cap, a quota or a disk is full
  FailedPrecondition,  // the state does not allow it now
  Unavailable,         // the other side is not reachable: retry later
  DeadlineExceeded,    // retry later
  Cancelled,           // the caller no longer wants it
  DataLoss,            // bytes are not what their digest or checksum says
  Unimplemented,
  Internal,
};

std::string_view to_string(Code code);

// An error carries its chain: what was being done, and the cause below it.
// `reason` is one CamelCase word as Kubernetes uses them (ErrImagePull, InvalidImageName), or
// empty.
class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message, std::string reason = {})
      : code_(code), message_(std::move(message)), reason_(std::move(reason)) {}

  Code code() const { return code_; }
  // This level only; full() has the chain: "start container web: create task: runc: …".
  const std::string& message() const { return message_; }
  std::string full() const;
  // The reason of this level or, where it has none, of the nearest cause that has one.
  std::string_view reason() const;
  const Error* cause() const { return cause_.get(); }

  // A new error that says what was being done, with this one as its cause. Keeps the code.
  Error wrap(std::string context) const;
  Error with_reason(std::string reason) const;
  // Not to be tried again earlier, as the other side asks; zero: it did not say.
  std::chrono::seconds retry_after() const;
  Error with_retry_after(std::chrono::seconds wait) const;

 private:
  Code code_;
  std::string message_;
  std::string reason_;
  std::chrono::seconds retry_after_{};
  std::shared_ptr<const Error> cause_;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string message, std::string reason = {}) {
  return tl::unexpected<Error>(Error(code, std::move(message), std::move(reason)));
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }
inline tl::unexpected<Error> fail(const Error& error, std::string context) {
  return tl::unexpected<Error>(error.wrap(std::move(context)));
}

}  // namespace wherry

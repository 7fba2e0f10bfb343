#include "base/result.h"

namespace wherry {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::InvalidArgument:
      return "InvalidArgument";
    case Code::NotFound:
      return "NotFound";
    case Code::AlreadyExists:
      return "AlreadyExists";
    case Code::PermissionDenied:
      return "PermissionDenied";
    case Code::ResourceExhausted:
      return "ResourceExhausted";
    case Code::FailedPrecondition:
      return "FailedPrecondition";
    case Code::Unavailable:
      return "Unavailable";
    case Code::DeadlineExceeded:
      return "DeadlineExceeded";
    case Code::Cancelled:
      return "Cancelled";
    case Code::DataLoss:
      return "DataLoss";
    case Code::Unimplemented:
      return "Unimplemented";
    case Code::Internal:
      return "Internal";
  }
  return "Internal";
}

std::string Error::full() const {
  std::string text = message_;
  for (const Error* below = cause(); below != nullptr; below = below->cause()) {
    if (!text.empty()) text += ": ";
    text += below->message_;
  }
  return text;
}

std::string_view Error::reason() const {
  for (const Error* level = this; level != nullptr; level = level->cause()) {
    if (!level->reason_.empty()) return level->reason_;
  }
  return {};
}

Error Error::wrap(std::string context) const {
  Error outer(code_, std::move(context));
  outer.cause_ = std::make_shared<const Error>(*this);
  return outer;
}

Error Error::with_reason(std::string reason) const {
  Error same = *this;
  same.reason_ = std::move(reason);
  return same;
}

std::chrono::seconds Error::retry_after() const {
  for (const Error* level = this; level != nullptr; level = level->cause()) {
    if (level->retry_after_.count() > 0) return level->retry_after_;
  }
  return {};
}

Error Error::with_retry_after(std::chrono::seconds wait) const {
  Error same = *this;
  same.retry_after_ = wait;
  return same;
}

}  // namespace wherry

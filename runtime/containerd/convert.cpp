#include "runtime/containerd/convert.h"

namespace wherry::runtime {

WallTime to_wall(const ::wherry::wellknown::Timestamp& timestamp) {
  // Go's zero time is in the year 1: never.
  if (timestamp.seconds() <= 0) return {};
  return WallTime(std::chrono::seconds(timestamp.seconds()) +
                  std::chrono::nanoseconds(timestamp.nanos()));
}

Descriptor to_descriptor(const ::containerd::types::Descriptor& descriptor) {
  return {descriptor.media_type(), descriptor.digest(), descriptor.size()};
}

void set_descriptor(const Descriptor& from, ::containerd::types::Descriptor& to) {
  to.set_media_type(from.media_type);
  to.set_digest(from.digest);
  to.set_size(from.size);
}

Status ignore_missing(Status status) {
  if (!status && status.error().code() == Code::NotFound) return {};
  return status;
}

}  // namespace wherry::runtime

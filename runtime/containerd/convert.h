#pragma once
// Between messages and plain types. Internal to runtime/containerd.

#include <vector>

#include "runtime/containerd/client.h"
#include "runtime/containerd/methods.h"

namespace wherry::runtime {

inline constexpr Duration kShort = std::chrono::seconds(30);   // one transaction of the daemon
inline constexpr Duration kLong = std::chrono::minutes(2);     // starts processes or collects
inline constexpr Duration kUnpack = std::chrono::minutes(30);  // a layer onto a slow card

WallTime to_wall(const ::wherry::wellknown::Timestamp& timestamp);
Descriptor to_descriptor(const ::containerd::types::Descriptor& descriptor);
TaskInfo to_info(const ::containerd::v1::types::Process& process);
void set_descriptor(const Descriptor& from, ::containerd::types::Descriptor& to);

template <typename Repeated>
std::vector<Mount> to_mounts(const Repeated& mounts) {
  std::vector<Mount> result;
  for (const auto& mount : mounts) {
    result.push_back(
        {mount.type(), mount.source(), {mount.options().begin(), mount.options().end()}});
  }
  return result;
}

template <typename Repeated>
void set_mounts(const std::vector<Mount>& from, Repeated& to) {
  for (const Mount& mount : from) {
    auto& entry = *to.Add();
    entry.set_type(mount.type);
    entry.set_source(mount.source);
    for (const std::string& option : mount.options) entry.add_options(option);
  }
}

template <typename ProtoMap>
StringMap to_map(const ProtoMap& map) {
  return {map.begin(), map.end()};
}

template <typename ProtoMap>
void set_map(const StringMap& from, ProtoMap& to) {
  for (const auto& [key, value] : from) to[key] = value;
}

// Success where the thing is gone already.
Status ignore_missing(Status status);
// What a call without an interesting answer comes to.
template <typename T>
Status done(Result<T>&& result) {
  if (!result) return fail(std::move(result.error()));
  return {};
}

}  // namespace wherry::runtime

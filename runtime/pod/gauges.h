#pragma once
// Gauges (runtime.h) from the kernel, cgroups of either version, and containerd.

#include <memory>
#include <string>

#include "runtime/containerd/client.h"
#include "runtime/image/space.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

struct GaugeOptions {
  std::string state_dir;  // pods/<pod> and logs/<pod> below it are a Pod's
  std::string instance;   // as PodRuntimeOptions::instance
  std::string proc = "/proc";
  std::string mountinfo = "/proc/self/mountinfo";
};
// Both must outlive it; `store` may be null: then only the state directory's disk is known.
std::unique_ptr<Gauges> make_gauges(Client& client, StoreFacts* store, GaugeOptions options);

}  // namespace wherry::runtime

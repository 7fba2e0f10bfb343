#pragma once
// The floor every start and stop is measured against: the bare sequence of containerd calls, with
// nothing around them. Host network, no output, the same OCI specification as the agent's.

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "runtime/containerd/client.h"
#include "runtime/spec/oci_spec.h"

namespace wherry::bench {

struct FloorImage {
  std::string name;      // for the record only
  std::string chain_id;  // of the unpacked image's topmost layer
  runtime::ImageConfig config;
  std::vector<std::string> argv;  // what to run; empty: what the image says
};

struct FloorStart {
  Duration snapshot_prepare{};
  Duration container_create{};
  Duration task_create{};
  Duration task_start{};
  Duration total() const { return snapshot_prepare + container_create + task_create + task_start; }
};

// One after the other: snapshot prepare, container create, task create, task start. `id` is the
// container's; nothing of that name may exist.
Result<FloorStart> floor_start(runtime::Client& client, const FloorImage& image,
                               const std::string& id);

// Kill, wait, task delete, container delete, snapshot remove. How long that takes.
Result<Duration> floor_stop(runtime::Client& client, const std::string& id);

struct FloorRun {
  Duration start_all{};            // wall time for all `count`
  Duration stop_all{};             // one after the other
  std::vector<FloorStart> starts;  // one a container
};

// Starts `count` containers, `parallel` at a time, then stops them all. Ids begin with `prefix`.
Result<FloorRun> floor_run(runtime::Client& client, const FloorImage& image,
                           const std::string& prefix, size_t count, size_t parallel = 1);

}  // namespace wherry::bench

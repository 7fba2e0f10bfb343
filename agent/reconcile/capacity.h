#pragma once
// How much of cpu, memory and disk Pods may ask for together.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "agent/manifest/document.h"

namespace wherry {

struct Amounts {
  int64_t cpu_milli = 0;                      // thousandths of a core
  int64_t memory = 0;                         // bytes
  int64_t storage = 0;                        // bytes of the state directory's disk
  std::map<std::string, int64_t> extended{};  // what is counted, by resource
  bool operator==(const Amounts&) const = default;
};

struct Capacity {
  Amounts has{};   // the device; 0: not known, and so not limited
  Amounts kept{};  // of that, what is not for workloads
};

// Kept for the kernel, containerd and the agent: of memory a twentieth, at least 64 MiB, at most
// 512 MiB, and never more than half; of the processors a twentieth; of the disk storage.reserve.
inline Capacity capacity_of(const DeviceFacts& facts) {
  constexpr int64_t kLeast = 64 << 20, kMost = 512 << 20;
  const int64_t memory = std::clamp(facts.memory_bytes / 20, kLeast, kMost);
  return {{facts.cpu_milli, facts.memory_bytes, facts.disk_bytes},
          {facts.cpu_milli / 20, std::min(memory, facts.memory_bytes / 2),
           std::min(facts.disk_reserve, facts.disk_bytes)}};
}

}  // namespace wherry

#pragma once
// When the device itself runs short, and which Pod goes then. Pure.
// See docs/decisions/0015-resources.md.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"

namespace wherry {

// How often the device is looked at; at most one Pod is stopped each time.
inline constexpr Duration kGaugeInterval = std::chrono::seconds(10);
// Pods of this priority or a higher one are the system's, and stay.
inline constexpr int32_t kCriticalPriority = 2'000'000'000;

enum class Shortage { None, Memory, Disk, Processes };

struct Pressure {
  Shortage of = Shortage::None;
  std::string message;  // with the numbers
};
// Memory: less than 100 MiB available, or a twentieth where that is less; or less than an eighth
// while (PSI) for two fifths of the time everything waits for it. Disk: less than half of
// `disk_reserve` (bytes) free, or a tenth of it where that is less.
// Processes: more than 19 of 20 that there may be.
Pressure find_pressure(const runtime::DeviceGauge& device, int64_t disk_reserve);

// How often it is looked at whether Pods keep to their limits of the disk.
inline constexpr Duration kLimitInterval = std::chrono::seconds(30);

struct Eviction {
  std::string workload;
  std::string message;
};
// As the kubelet ranks them: first those that use more than they ask for, then by priority, the
// lowest first, then by what they use beyond it. Nobody where nobody uses any, or while one is
// being stopped and will be gone soon.
std::optional<Eviction> choose_evicted(const PlanInput& input, const Pressure& pressure,
                                       const std::map<std::string, runtime::PodUsage>& usage);

// Somebody wanted has a limit of the disk: ephemeral-storage, or an emptyDir's sizeLimit.
bool has_disk_limits(const std::map<std::string, SpecPtr>& desired);
// Those that run and take more of the disk than they may, with the numbers.
std::vector<Eviction> over_disk_limits(const PlanInput& input,
                                       const std::map<std::string, runtime::PodUsage>& usage);

}  // namespace wherry

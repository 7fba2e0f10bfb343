#pragma once
// How Pods find each other by name: below the lines of its own, every Pod's /etc/hosts has one for
// each workload of the device. As a file it needs no server and answers while the agent is away.

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "base/result.h"

namespace wherry::runtime {

struct PodAddress {
  std::string ip{};       // empty with host network
  std::string gateway{};  // where a Pod with a network of its own finds the device; may be empty
  bool operator==(const PodAddress&) const = default;
};

// The line above the names of others; what is above it belongs to the Pod.
inline constexpr const char* kNamesMark = "# Workloads of this device\n";

// The lines of `pod` for all the others and, above them, for `services`: lines as of hosts(5),
// where the address - is the device's. The name of a Service hides a workload's. Those with no
// address it could reach are left out. Pure.
std::string make_names(const std::string& pod, const std::map<std::string, PodAddress>& all,
                       const std::string& services = "");

// Thread-safe. Owns `pods_dir`/<pod>/hosts and, beside it, `address`, from which a new agent knows
// what an earlier one gave out.
class PodNames {
 public:
  // `services_file`: where further names are kept by others, who call refresh() after a change.
  explicit PodNames(std::string pods_dir, std::string services_file = "")
      : pods_dir_(std::move(pods_dir)), services_file_(std::move(services_file)) {}

  // Writes the Pod's hosts file, with `own` as its own lines, and shows its name to all others. Its
  // directory exists.
  Status put(const std::string& pod, const PodAddress& address, std::string own);
  // Takes the Pod's files away, then its name from all others. Missing: success.
  Status forget(const std::string& pod);
  // Brings every hosts file up to date, in place. Cheap when called often: calls that meet are
  // answered by one that is at work already.
  void refresh();

 private:
  std::map<std::string, PodAddress> read_all() const;
  void write_all() const;

  std::string read_services() const;

  const std::string pods_dir_, services_file_;
  std::atomic<bool> stale_{false};
  std::mutex turn_;  // held over I/O on purpose: one writer, the newest names last
};

}  // namespace wherry::runtime

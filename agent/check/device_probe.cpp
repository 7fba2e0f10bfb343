// The clock, the disks, and the room that logs may take.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/check/probes.h"
#include "base/files.h"
#include "base/quantity.h"
#include "base/text.h"
#include "runtime/containerd/client.h"
#include "runtime/containerd/store_facts.h"

namespace wherry::check {
namespace {

constexpr const char* kClock = "clock";
constexpr const char* kDisk = "disk";
constexpr const char* kLogs = "logs";

// The directory, or the nearest above it that is there.
std::string existing(std::string path) {
  struct stat info {};
  while (path.size() > 1 && stat(path.c_str(), &info) != 0) {
    path.resize(std::max<size_t>(1, path.rfind('/')));
  }
  return path;
}

// What is kept on each disk, by its device number.
struct Place {
  std::string path, holds;
  bool is_kept_free = true;  // by storage.reserve
};
std::map<dev_t, Place> places_of(const Scene& scene) {
  const Config& config = scene.config();
  std::vector<Place> all{{config.storage.state_dir, "the state"}};
  runtime::Client client(
      {config.containerd.address, config.containerd.namespace_, config.containerd.snapshotter});
  if (const auto places = runtime::make_containerd_store_facts(client)->places()) {
    all.push_back({places->content, "images"});
    all.push_back({places->snapshots, "containers"});
  }
  all.push_back({config.storage.run_dir, "runtime files", false});
  std::map<dev_t, Place> disks;
  for (Place& each : all) {
    if (each.path.empty()) continue;
    each.path = existing(each.path);
    struct stat info {};
    if (stat(each.path.c_str(), &info) != 0) continue;
    const auto [at, fresh] = disks.try_emplace(info.st_dev, each);
    if (!fresh) at->second.holds += ", " + each.holds;
  }
  return disks;
}

Finding look_at_place(const Place& place, int64_t reserve) {
  struct statvfs info {};
  if (statvfs(place.path.c_str(), &info) != 0) {
    return failed(kDisk, place.path, std::strerror(errno), "look at the disk: dmesg, smartctl");
  }
  const auto block = static_cast<int64_t>(info.f_frsize);
  const int64_t free = static_cast<int64_t>(info.f_bavail) * block;
  const int64_t size = static_cast<int64_t>(info.f_blocks) * block;
  // Some file systems do not count them.
  const int64_t inodes =
      info.f_files == 0 ? 100 : static_cast<int64_t>(info.f_favail * 100 / info.f_files);
  std::string seen = "holds " + place.holds + "; " + format_bytes(free) + " of " +
                     format_bytes(size) + " are free";
  if (info.f_files > 0) seen += ", and " + std::to_string(inodes) + " % of the inodes";
  const char* const mend = "wherry images prune; remove what else is there; or a larger disk";
  if ((info.f_flag & ST_RDONLY) != 0) {
    return failed(kDisk, place.path, "it is mounted read-only; " + seen,
                  "see dmesg for why, mend the file system and mount it for writing");
  }
  // A small one, in memory, cannot keep so much free.
  const int64_t kept = place.is_kept_free ? reserve : std::min(reserve, size / 20);
  if (free < kept || inodes < 1) {
    return failed(kDisk, place.path,
                  seen + ": less than " + format_bytes(kept) + " that stay free (storage.reserve)",
                  mend);
  }
  if (free < 2 * kept || inodes < 5)
    return warn(kDisk, place.path, seen + ": it is soon full", mend);
  return ok(kDisk, place.path, std::move(seen));
}

int64_t bytes_below(const std::string& directory) {
  int64_t sum = 0;
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk at(directory, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    const auto size = at->is_regular_file(gone) ? at->file_size(gone) : uintmax_t{0};
    if (!gone) sum += static_cast<int64_t>(size);
  }
  return sum;
}

size_t containers_of(const Scene& scene) {
  size_t count = 0;
  if (!scene.knowledge) return count;
  for (const WorkloadView& each : scene.knowledge->state->workloads)
    count += each.containers.size();
  return count;
}

}  // namespace

Findings look_at_clock(const Scene& scene) {
  const WallTime now = SystemClock().wall();
  const bool has_rtc = access("/sys/class/rtc/rtc0", F_OK) == 0;
  const std::string rtc = has_rtc ? "there is a real-time clock" : "there is no real-time clock";
  const std::string doubt =
      scene.subject->clock_doubt == nullptr ? "" : scene.subject->clock_doubt(now);
  std::string seen = "it says " + to_rfc3339(now) + "; " + rtc;
  if (scene.config().device.clock == "trusted") {
    return {ok(kClock, "", seen + "; device.clock says that it is right")};
  }
  if (doubt.empty()) {
    if (!has_rtc) seen += ": after a boot it is wrong until it is synchronised";
    return {ok(kClock, "", std::move(seen))};
  }
  return {warn(kClock, "", seen + "; " + doubt,
               "timedatectl set-ntp true (chrony, systemd-timesyncd); or device.clock: trusted, "
               "where something else keeps it right")};
}

Findings look_at_disk(const Scene& scene) {
  Findings findings;
  for (const auto& [device, place] : places_of(scene)) {
    findings.push_back(look_at_place(place, scene.config().storage.reserve));
  }
  return findings;
}

Findings look_at_logs(const Scene& scene) {
  const std::string logger = scene.subject->helper_dir + "/wherry-logger";
  if (access(logger.c_str(), X_OK) != 0) {
    return {failed(kLogs, logger,
                   "the program that writes and rotates the logs of containers is not there",
                   "install wherry anew: it belongs beside wherryd")};
  }
  const std::string directory = scene.config().storage.state_dir + "/logs";
  const int64_t cap = scene.config().telemetry.logs_max_bytes, taken = bytes_below(directory);
  const auto containers = static_cast<int64_t>(containers_of(scene));
  std::string seen = "those of containers are rotated, each has " + format_bytes(cap) +
                     " at most; now they take " + format_bytes(taken);
  struct statvfs info {};
  const std::string place = existing(directory);
  const int64_t free = statvfs(place.c_str(), &info) == 0 ? static_cast<int64_t>(info.f_bavail) *
                                                                static_cast<int64_t>(info.f_frsize)
                                                          : INT64_MAX;
  if (containers > 0 && cap > free / containers && cap * containers - taken > free) {
    return {warn(kLogs, directory,
                 seen + ", and " + std::to_string(containers) + " containers could fill the disk",
                 "make telemetry.logs.max_bytes smaller")};
  }
  return {ok(kLogs, directory, std::move(seen))};
}

}  // namespace wherry::check

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <mutex>
#include <sys/file.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/log.h"
#include "runtime/network/cni_list.h"
#include "runtime/network/cni_plugins.h"
#include "runtime/network/host_footprint.h"
#include "runtime/network/host_ports.h"
#include "runtime/network/netns.h"
#include "runtime/network/network.h"
#include "runtime/network/pod_record.h"

namespace wherry::runtime {
namespace {

constexpr const char* kSetupFailed = "NetworkSetupFailed";
constexpr std::string_view kRecordSuffix = ".json";
// Longer than any plugin may take: those that a killed agent left running end by themselves.
constexpr std::chrono::seconds kOrphanWait{45};
// Of one setup, where another program made the same chains meanwhile; there are three of them.
constexpr int kAttempts = 4;

Status check_name(const std::string& pod) {
  if (!pod.empty() && pod.find('/') == std::string::npos && pod[0] != '.') return {};
  return fail(Code::InvalidArgument, "\"" + pod + "\" cannot name a Pod");
}

std::vector<std::string> names_in(const std::string& path, std::string_view suffix) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name(entry->d_name);
    if (name[0] == '.' || !name.ends_with(suffix)) continue;
    names.emplace_back(name.substr(0, name.size() - suffix.size()));
  }
  closedir(directory);
  return names;
}

class CniNetwork final : public PodNetwork {
 public:
  explicit CniNetwork(NetworkOptions options)
      : options_(std::move(options)),
        id_suffix_("-" + sha256_hex(options_.run_dir).substr(0, 8)),
        footprint_(options_.run_dir + "/network.json", id_suffix_) {}

  Result<PodNetworkStatus> setup(const PodSpec& pod, CancelToken cancel) override;
  Status teardown(const std::string& pod) override;
  Result<PodNetworkStatus> status(const std::string& pod) override;
  Result<std::vector<std::string>> list() override;

 private:
  std::string netns_path(const std::string& pod) const {
    return options_.run_dir + "/netns/" + pod;
  }
  std::string record_path(const std::string& pod) const {
    return options_.run_dir + "/cni/" + pod + std::string(kRecordSuffix);
  }
  std::string lock_path(const std::string& pod) const {
    return options_.run_dir + "/cni/" + pod + ".lock";
  }
  CniAttachment attachment(const PodRecord& record, const Fd& lock) const;
  bool has_remains(const std::string& pod) const;
  Result<Fd> lock(const std::string& pod, const CancelToken& cancel) const;
  Result<PodRecord> begin(const PodSpec& pod);
  Status attach(const std::string& pod, PodRecord& record, const Fd& lock,
                const CancelToken& cancel);
  Result<PodNetworkStatus> build(const PodSpec& pod, const Fd& lock, const CancelToken& cancel);
  Status dismantle(const std::string& pod, const Fd& lock);
  Status forget(const std::string& pod);

  const NetworkOptions options_;
  const std::string id_suffix_;
  HostFootprint footprint_;
  // Held over I/O on purpose: whether a Pod is the first or the last one must not change while
  // what all Pods share is recorded or removed. Plugins run outside of it.
  std::mutex turn_;
};

CniAttachment CniNetwork::attachment(const PodRecord& record, const Fd& lock) const {
  CniAttachment result;
  result.list = record.list;
  result.bin_dir = options_.cni_bin_dir;
  result.container_id = record.container_id;
  // Section 2: without a namespace DEL frees what it can, such as addresses.
  result.netns = is_netns(record.netns) ? record.netns : "";
  result.ports = record.ports;
  result.held_fd = lock.get();
  return result;
}

bool CniNetwork::has_remains(const std::string& pod) const {
  return access(record_path(pod).c_str(), F_OK) == 0 || access(netns_path(pod).c_str(), F_OK) == 0;
}

// Plugins inherit the lock. A killed agent's plugin may still be at work: what it makes would
// otherwise appear after we have cleaned up.
Result<Fd> CniNetwork::lock(const std::string& pod, const CancelToken& cancel) const {
  for (const char* directory : {"/cni", "/netns"}) {
    if (Status made = make_directories(options_.run_dir + directory, 0755); !made)
      return fail(made.error());
  }
  Fd file(open(lock_path(pod).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return fail(Code::Internal, "open " + lock_path(pod) + ": " + std::strerror(errno));
  }
  const SystemClock clock;
  const MonoTime end = clock.now() + kOrphanWait;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (clock.now() > end) {
      return fail(Code::Unavailable, "a CNI plugin is still at work for " + pod);
    }
    if (cancel.wait_for(std::chrono::milliseconds(5))) {
      return fail(Code::Cancelled, "the network of " + pod + " is no longer wanted");
    }
  }
  return file;
}

Result<PodRecord> CniNetwork::begin(const PodSpec& pod) {
  Result<std::string> list = load_network_list(options_);
  if (!list) return fail(list.error());
  if (!pod.ports.empty() && !has_capability(*list, "portMappings")) {
    return fail(Code::FailedPrecondition,
                "the CNI list in " + options_.cni_conf_dir + " has no plugin for host ports");
  }
  PodRecord record;
  record.container_id = pod.name + id_suffix_;
  record.netns = netns_path(pod.name);
  record.list = std::move(*list);
  record.ports = pod.ports;
  const std::lock_guard turn(turn_);
  // The record first: from now on this Pod counts, and nobody removes what it is about to share.
  if (Status written = write_record(record_path(pod.name), record); !written)
    return fail(written.error());
  const Status remembered = footprint_.remember(bridges_of(record.list), !pod.ports.empty());
  if (!remembered) return fail(remembered.error());
  return record;
}

Status CniNetwork::attach(const std::string& pod, PodRecord& record, const Fd& lock,
                          const CancelToken& cancel) {
  if (Status ok = failpoint("network.setup.recorded"); !ok) return ok;
  if (Status made = create_netns(record.netns); !made) return made;
  if (Status ok = failpoint("network.setup.netns-created"); !ok) return ok;
  Result<std::string> result = cni_add(attachment(record, lock), cancel);
  if (!result) return fail(result.error());
  record.result = std::move(*result);
  record.ip = first_address(record.result);
  if (Status written = write_record(record_path(pod), record); !written) return written;
  return failpoint("network.setup.complete");
}

Result<PodNetworkStatus> CniNetwork::build(const PodSpec& pod, const Fd& lock,
                                           const CancelToken& cancel) {
  if (Status free = check_host_ports(pod.ports); !free) return fail(free.error());
  Result<PodRecord> record = begin(pod);
  if (!record) return fail(record.error());
  const Status attached = attach(pod.name, *record, lock, cancel);
  if (!attached) return fail(attached.error());
  return PodNetworkStatus{pod.name, record->netns, record->ip, first_gateway(record->result)};
}

Result<PodNetworkStatus> CniNetwork::setup(const PodSpec& pod, CancelToken cancel) {
  if (Status ok = check_name(pod.name); !ok) return fail(ok.error());
  if (Result<PodNetworkStatus> present = status(pod.name)) return present;
  const Result<Fd> held = lock(pod.name, cancel);
  if (!held) return fail(held.error().with_reason(kSetupFailed));
  if (has_remains(pod.name)) {
    const Status cleared = dismantle(pod.name, *held);
    if (!cleared)
      return fail(cleared.error().wrap("clear half a network").with_reason(kSetupFailed));
  }
  Result<PodNetworkStatus> built = build(pod, *held, cancel);
  for (int attempt = 1; !built; ++attempt) {
    if (Status undone = dismantle(pod.name, *held); !undone) {
      log_warn("half a network is left and will be removed later",
               {{"workload", pod.name}, {"error", undone.error().full()}});
      break;
    }
    if (built.error().code() != Code::AlreadyExists || attempt == kAttempts) break;
    built = build(pod, *held, cancel);
  }
  if (built) return built;
  const Error error = built.error().wrap("network of " + pod.name);
  return fail(error.reason().empty() ? error.with_reason(kSetupFailed) : error);
}

// Each step leaves enough for the next attempt to find the rest.
Status CniNetwork::dismantle(const std::string& pod, const Fd& lock) {
  Result<PodRecord> record = read_record(record_path(pod));
  if (!record && record.error().code() == Code::DataLoss) {
    log_warn("a network's record is damaged: detaching by the present list",
             {{"workload", pod}, {"error", record.error().full()}});
    Result<std::string> list = load_network_list(options_);
    if (!list) return fail(list.error());
    record = PodRecord{pod + id_suffix_, netns_path(pod), std::move(*list), {}, "", ""};
  }
  if (record) {
    const Status detached = cni_del(attachment(*record, lock), record->result);
    if (!detached) return fail(detached.error(), "detach " + pod);
  }
  if (Status ok = failpoint("network.teardown.detached"); !ok) return ok;
  if (Status removed = remove_netns(netns_path(pod)); !removed) return removed;
  if (Status ok = failpoint("network.teardown.netns-removed"); !ok) return ok;
  return forget(pod);
}

Status CniNetwork::forget(const std::string& pod) {
  const std::lock_guard turn(turn_);
  const std::vector<std::string> pods = names_in(options_.run_dir + "/cni", kRecordSuffix);
  const bool is_last = std::all_of(pods.begin(), pods.end(),
                                   [&pod](const std::string& other) { return other == pod; });
  if (is_last) {
    if (Status restored = footprint_.restore(); !restored) return restored;
    if (Status ok = failpoint("network.teardown.host-restored"); !ok) return ok;
    if (Status removed = remove_tree(options_.run_dir + "/ipam"); !removed) return removed;
  }
  unlink(lock_path(pod).c_str());
  unlink((record_path(pod) + kUnfinishedSuffix).c_str());
  if (unlink(record_path(pod).c_str()) != 0 && errno != ENOENT) {
    return fail(Code::Internal, "delete " + record_path(pod) + ": " + std::strerror(errno));
  }
  return failpoint("network.teardown.forgotten");
}

Status CniNetwork::teardown(const std::string& pod) {
  if (Status ok = check_name(pod); !ok) return ok;
  if (!has_remains(pod)) return {};
  const Result<Fd> held = lock(pod, {});
  if (!held) return fail(held.error());
  return dismantle(pod, *held);
}

Result<PodNetworkStatus> CniNetwork::status(const std::string& pod) {
  if (Status ok = check_name(pod); !ok) return fail(ok.error());
  Result<PodRecord> record = read_record(record_path(pod));
  if (!record || record->result.empty() || !is_netns(record->netns)) {
    return fail(Code::NotFound, pod + " has no complete network");
  }
  return PodNetworkStatus{pod, record->netns, record->ip, first_gateway(record->result)};
}

Result<std::vector<std::string>> CniNetwork::list() {
  std::vector<std::string> pods = names_in(options_.run_dir + "/cni", kRecordSuffix);
  const std::vector<std::string> spaces = names_in(options_.run_dir + "/netns", "");
  pods.insert(pods.end(), spaces.begin(), spaces.end());
  std::sort(pods.begin(), pods.end());
  pods.erase(std::unique(pods.begin(), pods.end()), pods.end());
  return pods;
}

}  // namespace

std::unique_ptr<PodNetwork> make_cni_network(NetworkOptions options) {
  return std::make_unique<CniNetwork>(std::move(options));
}

}  // namespace wherry::runtime

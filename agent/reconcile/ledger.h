#pragma once
// The books of the reconciler: what is wanted, what was observed, what is remembered, and how each
// result changes them. Calls nothing but the records, and those only in flush().

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/eviction.h"
#include "agent/reconcile/mailbox.h"
#include "agent/reconcile/plan.h"
#include "agent/reconcile/records.h"

namespace wherry {

class Ledger {
 public:
  // `boot`: of the machine's present boot.
  Ledger(Records& records, const Clock& clock, std::string boot = "", Capacity capacity = {})
      : records_(records), clock_(clock), boot_(std::move(boot)), capacity_(capacity) {}

  Status load();  // what is remembered; call once, first

  void set_desired(const std::vector<WorkloadSpec>& workloads);

  // --- versions. What was wanted in earlier lives, oldest first: a Pod may have been left of it.
  // Call before the first look.
  void offer(const std::vector<WorkloadSpec>& earlier);
  // A Pod that runs already what is wanted now, under other references of its images, is of the
  // wanted version from then on. The names of those that were found.
  std::vector<std::string> find_same_images();
  // The documents of all versions that stand in for what is wanted; none while nobody has looked.
  std::optional<std::set<DocumentVersion>> needed_versions() const;

  const std::map<std::string, SpecPtr>& desired() const { return desired_; }
  const std::map<std::string, runtime::PodStatus>& observed() const { return observed_; }
  const std::map<std::string, WorkloadMemory>& memory() const { return memory_; }
  const std::map<std::string, PullMemory>& pulls() const { return pulls_; }
  PlanInput input(const std::set<std::string>& held, MonoTime now) const {
    return {desired_, observed_, memory_, pulls_, digests_, held, now, capacity_, devices_};
  }

  // --- looking. A look that began before an action on a Pod began or ended says nothing about it.
  void look_at(const std::string& pod) { look_at_[pod] = ++count_; }
  void look_at_all() { look_at_all_ = ++count_; }
  bool look_needed() const;
  uint64_t begin_look() { return ++count_; }
  void looked(uint64_t begun, const std::vector<runtime::PodStatus>& pods);

  // --- actions
  // As it is to be carried out: a Pod with an active deadline is labelled with when it began, and
  // all containers of a Pod bear one hash.
  Action labelled(const Action& action) const;
  void acting(const Action& action);
  void acted(const ActionResult& result);

  // --- probes and hooks
  std::vector<runtime::ProbeTarget> probe_targets() const;
  // Lifecycle hooks that are due since the last call.
  std::vector<runtime::HookRequest> take_hooks() { return std::exchange(hooks_, {}); }
  void probed(const runtime::ProbeNews& news);
  void hooked(const runtime::HookDone& done);

  // --- the device runs short
  void evict(const Eviction& eviction);
  // What was stopped for it waits at least until then.
  void keep_evicted(MonoTime until);

  // --- devices
  const std::shared_ptr<const runtime::DeviceInventory>& devices() const { return devices_; }
  // Where it is another one than before, what failed for want of a device is tried again at once.
  void set_devices(runtime::DeviceInventory inventory);
  // True after a start that found other devices than the inventory has.
  bool take_devices_doubt() { return std::exchange(devices_doubt_, false); }

  // --- images
  // Those of all Pods that want it.
  std::vector<runtime::RegistryCredential> pull_credentials(const std::string& reference) const;
  void pulling(const std::string& reference);
  void progressed(const std::string& reference, const runtime::PullProgress& progress) {
    const auto pull = pulls_.find(reference);
    if (pull != pulls_.end()) pull->second.progress = progress;
  }
  // `unreachable`: the container stack is away, so a failure says nothing about the image.
  void pulled(const PullResult& result, bool unreachable);
  void listed(const std::vector<runtime::Image>& images);
  // Forgets pulls that nobody wants any more; returns those of them that are under way.
  std::vector<std::string> unwanted_pulls(const std::set<std::string>& wanted);

  // References of pulls that wait because the disk has no room for them.
  std::vector<std::string> short_of_space() const;
  // Its next attempt waits no longer.
  void pull_again(const std::string& reference);

  // True after a result that says the container stack is away.
  bool take_unreachable() { return std::exchange(unreachable_, false); }

  void note(EventRecord event);
  // Writes what became known. Not before the actions: nothing of it is needed to act.
  Status flush();

 private:
  SpecPtr spec_of(const std::string& name, const std::string& hash) const;
  void take_in(const std::string& name);
  void adopt_offered(const std::string& name);
  void close_offers();
  void forget_what_is_gone();
  void know_by_document(runtime::PodStatus& pod);
  void forget_same_images(const std::string& name);
  void acted_terminate(const ActionResult& result, WorkloadMemory& memory);
  void started(const WorkloadSpec& spec, const runtime::ContainerStatus& status,
               WorkloadMemory& memory);
  void read_active_since(const runtime::PodStatus& pod, WorkloadMemory& memory) const;
  // Of the running container with that id; nulls where there is none (any more).
  struct Alive {
    const runtime::ContainerStatus* status = nullptr;
    WorkloadMemory* memory = nullptr;
    ContainerMemory* past = nullptr;
  };
  Alive find_alive(const std::string& pod, const std::string& id);
  // What a probe or a hook that failed comes to, where that is not its container's end.
  struct Doubt {
    std::string pod, container_id;
    std::string event, message;  // a Warning; none where empty
    std::optional<Vitals::Unhealthy> unhealthy;
    uint64_t since = 0;  // a look that began later tells
  };
  void doubt(Doubt doubt);
  void settle_doubts(uint64_t begun, const std::set<std::string>& passed_over);
  void judge(const Doubt& doubt);
  void acted_start(const ActionResult& result, WorkloadMemory& memory);
  void acted_update(const ActionResult& result, WorkloadMemory& memory);
  void acted_resize(const ActionResult& result, WorkloadMemory& memory);
  void acted_remove(const ActionResult& result, WorkloadMemory& memory);
  void acted_remove_part(const ActionResult& result);
  void note_remains();
  bool is_made_anew(const std::string& name, const WorkloadMemory& memory) const;
  void not_started(const WorkloadSpec& spec, WorkloadMemory& memory, const std::string& container,
                   const Error& error);
  bool is_transient(const Error& error);
  void event(const std::string& workload, const std::string& container, const char* type,
             std::string reason, std::string message);
  void save(const std::string& workload, const std::string& container);

  Records& records_;
  const Clock& clock_;
  const std::string boot_;
  const Capacity capacity_;
  std::map<std::string, SpecPtr> desired_;
  std::map<std::string, runtime::PodStatus> observed_;
  std::map<std::string, WorkloadMemory> memory_;
  std::map<std::string, PullMemory> pulls_;
  std::map<std::string, std::string> digests_;
  std::shared_ptr<const runtime::DeviceInventory> devices_;
  bool devices_doubt_ = false;

  uint64_t count_ = 0;
  std::map<std::string, uint64_t> look_at_;
  uint64_t look_at_all_ = 0;  // 0: not needed
  std::map<std::string, std::vector<SpecPtr>>
      offered_;  // by workload; until all was looked at once
  bool looked_once_ = false;
  bool all_looked_ = false, wanted_once_ = false, offers_closed_ = false;
  bool unreachable_ = false;

  std::vector<Doubt> doubts_;
  std::vector<runtime::HookRequest> hooks_;
  std::vector<EventRecord> events_;
  std::set<std::pair<std::string, std::string>> unsaved_;  // workload, container
  std::set<std::string> unsaved_removals_;
  std::set<std::string> unsaved_hashes_;  // workloads: the two that go by one
};

}  // namespace wherry

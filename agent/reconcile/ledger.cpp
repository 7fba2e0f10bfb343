#include "agent/reconcile/ledger.h"

#include <algorithm>
#include <cstdlib>

#include "agent/reconcile/device_need.h"
#include "base/log.h"

namespace wherry {
namespace {

using runtime::ContainerStatus;
using runtime::PodStatus;

constexpr size_t kMaxEventsKept = 1000;  // while the store takes none
constexpr Duration kKillAgain = std::chrono::seconds(10);

}  // namespace

Status Ledger::load() {
  const auto histories = records_.history();
  if (!histories) return fail(histories.error(), "read the workloads' histories");
  for (const ContainerHistory& row : *histories) {
    ContainerMemory& past = memory_[row.workload].containers[row.container];
    past.hash = row.spec_hash;
    past.attempt = row.restarts;
    past.ended = row.last_exit_code.has_value();
    past.exit_code = row.last_exit_code.value_or(0);
    past.reason = row.last_reason;
    past.started_at = row.last_started_at;
    past.finished_at = row.last_finished_at;
    past.failures = past.ended ? row.restarts + 1 : 0;
  }
  const auto same = records_.same_images();
  if (!same) return fail(same.error(), "read what workloads run");
  for (const SameImages& row : *same) {
    WorkloadMemory& memory = memory_[row.workload];
    memory.written_hash = row.wanted_hash;
    memory.run_hash = row.pod_hash;
  }
  return {};
}

void Ledger::set_desired(const std::vector<WorkloadSpec>& workloads) {
  std::map<std::string, SpecPtr> desired;
  for (const WorkloadSpec& workload : workloads) {
    SpecPtr spec = with_pod_labels(workload);
    const auto before = desired_.find(workload.name());
    WorkloadMemory& memory = memory_[workload.name()];
    if (before != desired_.end() && before->second->pod.hash != spec->pod.hash) {
      const auto pod = observed_.find(workload.name());
      const bool runs = pod != observed_.end() && pod->second.hash == before->second->pod.hash;
      if (runs) memory.previous = before->second;
      if (!offers_closed_) offered_[workload.name()].push_back(before->second);
    }
    if (memory.previous && memory.previous->pod.hash == spec->pod.hash) memory.previous.reset();
    memory.want(*spec);
    desired.emplace(workload.name(), std::move(spec));
  }
  // How to stop what nobody wants any more.
  for (const auto& [name, spec] : desired_) {
    const auto pod = observed_.find(name);
    const bool there = pod != observed_.end() && pod->second.hash == spec->pod.hash;
    if (there && !desired.contains(name)) memory_[name].previous = spec;
  }
  desired_ = std::move(desired);
  for (auto& [reference, pull] : pulls_) {
    if (pull.credentials != pull_credentials(reference)) pull.trouble.clear();
  }
  for (const auto& [name, pod] : observed_) take_in(name);
  wanted_once_ = true;
  close_offers();
  forget_what_is_gone();
}

// Memory of what neither is wanted nor exists, and its history.
void Ledger::forget_what_is_gone() {
  if (!looked_once_) return;
  std::erase_if(memory_, [this](const auto& entry) {
    const auto& [name, memory] = entry;
    if (desired_.contains(name) || observed_.contains(name)) return false;
    if (memory.busy || memory.kill_at || !memory.prepared_hash.empty()) return false;
    if (!memory.containers.empty()) unsaved_removals_.insert(name);
    if (!memory.written_hash.empty()) unsaved_hashes_.insert(name);
    return true;
  });
}

bool Ledger::look_needed() const {
  if (look_at_all_ != 0) return true;
  return std::any_of(look_at_.begin(), look_at_.end(), [this](const auto& entry) {
    const auto known = memory_.find(entry.first);
    return known == memory_.end() || !known->second.busy;
  });
}

void Ledger::looked(uint64_t begun, const std::vector<PodStatus>& pods) {
  const bool all = look_at_all_ != 0 && look_at_all_ <= begun;
  if (all) look_at_all_ = 0;
  std::map<std::string, const PodStatus*> found;
  for (const PodStatus& pod : pods) found[pod.name] = &pod;
  std::set<std::string> names, passed_over;
  for (const auto& [name, pod] : found) names.insert(name);
  for (const auto& [name, pod] : observed_) names.insert(name);
  for (const std::string& name : names) {
    const auto known = memory_.find(name);
    if (known != memory_.end() && (known->second.busy || known->second.touched > begun)) {
      if (all) look_at(name);
      passed_over.insert(name);
      continue;
    }
    const auto seen = found.find(name);
    if (seen == found.end() || seen->second->containers.empty()) {
      observed_.erase(name);
      forget_same_images(name);
    } else {
      observed_[name] = *seen->second;
      know_by_document(observed_[name]);
      take_in(name);
    }
    const auto due = look_at_.find(name);
    if (due != look_at_.end() && due->second <= begun) look_at_.erase(due);
  }
  std::erase_if(look_at_,
                [&](const auto& due) { return due.second <= begun && !names.contains(due.first); });
  settle_doubts(begun, passed_over);
  looked_once_ = true;
  if (all && !all_looked_) note_remains();
  all_looked_ = all_looked_ || all;
  close_offers();
  forget_what_is_gone();
}

// What a Pod shows now, into its memory.
void Ledger::take_in(const std::string& name) {
  const PodStatus& pod = observed_.at(name);
  WorkloadMemory& memory = memory_[name];
  if (memory.prepared_hash.empty()) memory.prepared_hash = pod.hash.empty() ? "?" : pod.hash;
  if (memory.previous && memory.previous->pod.hash != pod.hash) memory.previous.reset();
  adopt_offered(name);
  read_active_since(pod, memory);
  const SpecPtr spec = spec_of(name, pod.hash);
  const Observation seen{pod, spec.get(), clock_.now(), random_unit()};
  for (const ContainerNote& note : remember(memory, seen)) {
    const ContainerMemory& past = memory.containers[note.container];
    const bool backoff = note.kind == ContainerNote::Kind::BackOff;
    const bool good = !backoff && (past.exit_code == 0 || memory.kill_at);
    event(name, note.container, good ? "Normal" : "Warning", backoff ? "BackOff" : past.reason,
          note.message);
    save(name, note.container);
    // The end of a log may come a moment after that of its container.
    const auto* container = spec ? find_spec(*spec, note.container) : nullptr;
    if (container != nullptr && container->message_from_logs && past.exit_code != 0) look_at(name);
  }
  std::erase_if(memory.stops, [&pod](const auto& stop) {
    return std::none_of(pod.containers.begin(), pod.containers.end(), [&](const auto& each) {
      return each.id == stop.first && each.state == runtime::ContainerState::Running;
    });
  });
}

void Ledger::acting(const Action& action) {
  WorkloadMemory& memory = memory_[action.workload];
  memory.busy = true;
  memory.touched = ++count_;
  if (action.kind == ActionKind::Start) {
    memory.prepared_hash = action.spec->pod.hash;
    memory.placed = true;
    memory.preempted_for.clear();
    if (!memory.active_since) memory.active_since = clock_.now();
  }
  if (action.kind == ActionKind::Terminate && action.reason.empty() && !memory.kill_at) {
    memory.stopped_from = clock_.now();
  }
  if (!action.preempted_for.empty() && memory.preempted_for.empty()) {
    memory.placed = false;
    memory.preempted_for = action.preempted_for;
    event(action.workload, "", "Warning", "Preempted",
          "stopped to make room for " + action.preempted_for + ", which has a higher priority");
  }
  for (const runtime::HookRequest& hook : action.hooks) {
    ContainerStop& stop = memory.stops[hook.container_id];
    stop.stage = ContainerStop::Stage::Hook;
    stop.reason = action.reason;
    stop.message = action.message;
    if (!action.reason.empty()) stop.kill_at = clock_.now() + action.grace;
    hooks_.push_back(hook);
  }
}

bool Ledger::is_transient(const Error& error) {
  if (error.code() == Code::Cancelled) return true;
  if (error.code() != Code::Unavailable) return false;
  unreachable_ = true;
  return true;
}

void Ledger::acted(const ActionResult& result) {
  const Action& action = result.action;
  WorkloadMemory& memory = memory_[action.workload];
  memory.busy = false;
  memory.touched = ++count_;
  switch (action.kind) {
    case ActionKind::CheckImages:
      if (!result.status) {
        if (!is_transient(result.status.error())) {
          memory.setup.failed(result.status.error(), "ErrImageInspect", clock_.now());
        }
      } else if (memory.wanted_hash == action.spec->pod.hash) {
        memory.missing = result.missing;
        for (const auto& [image, digest] : result.digests) digests_[image] = digest;
        memory.images = result.missing.empty() ? ImagesState::Present : ImagesState::Missing;
        memory.setup.clear();
      }
      break;
    case ActionKind::UpdateFiles:
      acted_update(result, memory);
      break;
    case ActionKind::Resize:
      acted_resize(result, memory);
      break;
    case ActionKind::Start:
      acted_start(result, memory);
      break;
    case ActionKind::Terminate:
      acted_terminate(result, memory);
      break;
    case ActionKind::Kill:
      for (const std::string& id : action.container_ids) {
        memory.stops[id].kill_at = clock_.now() + kKillAgain;
      }
      look_at(action.workload);
      break;
    case ActionKind::Remove:
      acted_remove(result, memory);
      break;
  }
}

void Ledger::acted_start(const ActionResult& result, WorkloadMemory& memory) {
  const WorkloadSpec& spec = *result.action.spec;
  const std::string& name = result.action.workload;
  if (!result.started.empty()) {
    PodStatus& pod = observed_[name];
    pod.name = name;
    pod.hash = spec.pod.hash;
    pod.labels = spec.pod.labels;
    pod.ip = result.ip;
    pod.network_ready = true;
    for (const ContainerStatus& status : result.started) {
      std::erase_if(pod.containers, [&](const auto& old) { return old.name == status.name; });
      pod.containers.push_back(status);
      event(name, status.name, "Normal", "Started",
            "container " + status.name + " started with image " + status.image);
      save(name, status.name);
    }
    take_in(name);
    for (const ContainerStatus& status : result.started) started(spec, status, memory);
    memory.setup.clear();
  }
  if (result.status) {  // the Pod was prepared
    memory.files_hash = spec.pod.files_hash;
    memory.files.clear();
  }
  for (const auto& [container, error] : result.not_started) {
    not_started(spec, memory, container, error);
  }
  if (!result.status && result.status.error().reason() == "ImageNotPresent" &&
      memory.wanted_hash == spec.pod.hash) {
    memory.images = ImagesState::Unknown;  // a volume's was removed meanwhile
  } else if (!result.status && !is_transient(result.status.error())) {
    memory.setup.failed(result.status.error(), "FailedToStart", clock_.now());
    event(name, "", "Warning", memory.setup.reason, memory.setup.message);
  }
  // What a volume's image is, only a look tells.
  const bool shows_images = images_of(spec.pod).size() > spec.pod.containers.size();
  if (!result.status || !result.not_started.empty() || shows_images) look_at(name);
}

void Ledger::not_started(const WorkloadSpec& spec, WorkloadMemory& memory,
                         const std::string& container, const Error& error) {
  if (is_transient(error)) return;
  if (error.reason() == "ImageNotPresent" && memory.images == ImagesState::Present &&
      memory.wanted_hash == spec.pod.hash) {
    memory.images = ImagesState::Unknown;  // it was removed meanwhile
    return;
  }
  ContainerMemory& past = memory.containers[container];
  if (past.hash != spec.pod.hash) {
    past = {};
    past.hash = spec.pod.hash;
  }
  past.start.failed(error, "CreateContainerError", clock_.now());
  devices_doubt_ = devices_doubt_ || is_about_devices(past.start.reason);
  event(spec.name(), container, "Warning", past.start.reason, past.start.message);
}

// It was removed as it was wanted, by an order or for want of room: no image was pulled for that.
bool Ledger::is_made_anew(const std::string& name, const WorkloadMemory& memory) const {
  const auto wanted = desired_.find(name);
  if (wanted == desired_.end()) return false;
  const auto pod = observed_.find(name);
  return pod == observed_.end() ? memory.prepared_hash == wanted->second->pod.hash
                                : !needs_replacement(*wanted->second, pod->second, digests_);
}

void Ledger::acted_remove(const ActionResult& result, WorkloadMemory& memory) {
  const std::string& name = result.action.workload;
  if (!result.status) {
    look_at(name);
    if (is_transient(result.status.error())) return;
    memory.removal.failed(result.status.error(), "FailedToRemove", clock_.now());
    event(name, "", "Warning", memory.removal.reason, memory.removal.message);
    return;
  }
  memory.removal.clear();
  if (!result.action.whole_pod) return acted_remove_part(result);
  event(name, "", "Normal", "Removed", "nothing of it is left");
  if (is_made_anew(name, memory)) memory.pulled.clear();
  observed_.erase(name);
  look_at_.erase(name);
  unsaved_removals_.insert(name);
  std::erase_if(unsaved_, [&](const auto& entry) { return entry.first == name; });
  memory.prepared_hash.clear();
  memory.kill_at.reset();
  memory.evicting = false;
  memory.stops.clear();
  memory.active_since.reset();
  memory.previous.reset();
  memory.containers.clear();
  memory.setup.clear();
  memory.files_hash.clear();
  memory.files.clear();
  memory.resize.clear();
  forget_same_images(name);
  if (!desired_.contains(name)) memory_.erase(name);
}

void Ledger::event(const std::string& workload, const std::string& container, const char* type,
                   std::string reason, std::string message) {
  EventRecord record;
  record.workload = workload;
  record.container = container;
  record.type = type;
  record.reason = std::move(reason);
  record.message = std::move(message);
  const auto wanted = desired_.find(workload);
  const auto pod = observed_.find(workload);
  if (wanted != desired_.end()) {
    record.revision = wanted->second->revision;
  } else if (pod != observed_.end()) {
    record.revision = std::strtoull(pod_label(pod->second, kRevisionLabel).c_str(), nullptr, 10);
  }
  note(std::move(record));
}

void Ledger::note(EventRecord event) {
  if (event.at == WallTime{}) event.at = clock_.wall();
  const auto level = event.type == "Warning" ? LogLevel::Warn : LogLevel::Info;
  if (!event.workload.empty()) {
    log(level, event.message,
        {{"workload", event.workload},
         {"container", event.container},
         {"reason", event.reason},
         {"revision", std::to_string(event.revision)}});
  }
  if (events_.size() < kMaxEventsKept) events_.push_back(std::move(event));
}

void Ledger::save(const std::string& workload, const std::string& container) {
  unsaved_.emplace(workload, container);
}

Status Ledger::flush() {
  Status first;
  const auto keep = [&first](const Status& status) {
    if (!status && first) first = status;
    return status.has_value();
  };
  std::erase_if(unsaved_removals_, [&](const std::string& workload) {
    return keep(records_.remove_history(workload));
  });
  std::erase_if(unsaved_, [&](const auto& entry) {
    const auto known = memory_.find(entry.first);
    if (known == memory_.end()) return true;
    const auto container = known->second.containers.find(entry.second);
    if (container == known->second.containers.end()) return true;
    const ContainerMemory& past = container->second;
    ContainerHistory row{entry.first, entry.second, past.hash,       past.attempt,
                         {},          past.reason,  past.started_at, past.finished_at};
    if (past.ended) row.last_exit_code = past.exit_code;
    return keep(records_.save_history(row));
  });
  std::erase_if(unsaved_hashes_, [&](const std::string& workload) {
    const auto known = memory_.find(workload);
    if (known == memory_.end() || known->second.written_hash.empty()) {
      return keep(records_.remove_same_images(workload));
    }
    const WorkloadMemory& memory = known->second;
    return keep(records_.save_same_images({workload, memory.written_hash, memory.run_hash}));
  });
  size_t written = 0;
  while (written < events_.size() && keep(records_.append_event(events_[written]))) ++written;
  events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(written));
  return first;
}

}  // namespace wherry

#include "agent/reconcile/forecast.h"

#include <algorithm>
#include <system_error>
#include <thread>

#include "agent/manifest/differences.h"
#include "agent/reconcile/device_need.h"
#include "agent/reconcile/lookup.h"
#include "base/text.h"

namespace wherry {
namespace {

using runtime::ImageNeed;
using runtime::PodStatus;
using runtime::PullPolicy;

constexpr Duration kAskRegistries = std::chrono::minutes(1);

bool runs(const PodStatus* pod) { return pod != nullptr && !running_ids(*pod).empty(); }

bool is_replica(const WorkloadSpec& spec) {
  return spec.owner.kind == OwnerKind::Deployment || spec.owner.kind == OwnerKind::DaemonSet ||
         spec.owner.kind == OwnerKind::StatefulSet;
}

std::string owner_of(const WorkloadSpec& spec) {
  if (spec.owner.kind == OwnerKind::None) return {};
  return std::string(to_string(spec.owner.kind)) + "/" + spec.owner.name;
}

// "containers[web].image: a:1 -> a:2" of "containers[web].image".
std::string with_images(const std::string& field, const WorkloadSpec& before,
                        const WorkloadSpec& after) {
  for (const runtime::ContainerSpec& container : after.pod.containers) {
    if (field != "containers[" + container.name + "].image") continue;
    const runtime::ContainerSpec* old = find_spec(before, container.name);
    if (old != nullptr) return field + ": " + old->image + " -> " + container.image;
  }
  return field;
}

bool is_of_config(const std::string& field) {
  return field.find("].env") != std::string::npos || field.ends_with("].args") ||
         field.ends_with("].command") || field.ends_with("].volumeMounts");
}

bool same_sizes(const WorkloadSpec& before, const WorkloadSpec& after) {
  for (const runtime::ContainerSpec& container : after.pod.containers) {
    const runtime::ContainerSpec* old = find_spec(before, container.name);
    if (old != nullptr && !same_size(old->resources, container.resources)) return false;
  }
  return true;
}

class Forecaster {
 public:
  Forecaster(const Rehearsal& now, const ForecastParts& parts, const CancelToken& cancel)
      : now_(now), parts_(parts), cancel_(cancel), trial_(now.ledger) {}

  Result<Planned> run(const PlanRequest& request) {
    if (!now_.desk.has(request.source)) {
      return fail(Code::NotFound, "this device has no documents of \"" +
                                      printable(request.source, 80) + "\"; it has those of " +
                                      join(now_.desk.source_names(), ", "));
    }
    auto considered = now_.desk.consider(request.source, request.payload, request.from_network);
    if (!considered.document.valid()) return Planned{std::move(considered.document.errors), {}};
    if (!now_.observing) {
      return fail(Code::Unavailable, "it is not known yet what runs on this device; try again");
    }
    describe(request, considered);
    want(request, considered);
    compare_all(request, considered);
    if (Status known = find_images(); !known) return fail(known.error());
    judge();
    return Planned{{}, to_json(result_)};
  }

 private:
  const PodStatus* pod(const std::string& name) const { return lookup(trial_.observed(), name); }

  void describe(const PlanRequest& request, const DocumentDesk::Considered& considered) {
    const Document& document = considered.document;
    result_.source = request.source;
    result_.revision = document.revision;
    result_.digest = document.digest;
    result_.warnings = document.warnings;
    result_.warnings.insert(result_.warnings.end(), considered.overruled.begin(),
                            considered.overruled.end());
    for (const auto& [name, why] : considered.merged.not_here) {
      std::string message = "workload \"";
      message.append(name).append("\" is not for this device: ").append(why);
      result_.warnings.push_back({"", std::move(message)});
    }
  }

  // What would be wanted, with all Pods of replicas in their last state: a rollout ends there.
  void want(const PlanRequest& request, const DocumentDesk::Considered& considered) {
    held_ = now_.desk.held_sources();
    held_.erase(request.source);
    ControllerDesk controllers = now_.controllers;
    controllers.set(considered.merged, held_);
    (void)controllers.update(
        {now_.ledger.observed(), now_.ledger.memory(), now_.now, now_.wall, now_.orders.stopped()});
    std::vector<WorkloadSpec> next = controllers.workloads();
    for (WorkloadSpec& spec : next) {
      if (!is_replica(spec)) continue;
      spec.claim = Claim::Run;
      spec.claim_reason.clear();
      spec.claim_message.clear();
    }
    const PlanInput before = now_.ledger.input(held_, now_.now);
    result_.device = before.capacity.has;
    result_.before = find_demand(before);
    trial_.set_desired(now_.orders.apply(std::move(next)));
    (void)trial_.find_same_images();
  }

  void compare_all(const PlanRequest& request, const DocumentDesk::Considered& considered) {
    const std::vector<Source> before = now_.desk.sources();
    std::vector<Source> after;
    for (const Source& source : before) {
      if (source.name == kManifestsSource) after.push_back(source);
    }
    for (const std::string& name : now_.desk.source_names()) {
      if (name == request.source) after.push_back({name, &considered.document});
      for (const Source& source : before) {
        if (source.name == name && name != request.source) after.push_back(source);
      }
    }
    configs_ = config_differences(before, after);
    std::set<std::string> names;
    for (const auto& [name, spec] : now_.ledger.desired()) names.insert(name);
    for (const auto& [name, spec] : trial_.desired()) names.insert(name);
    for (const std::string& name : names) compare(name);
  }

  void compare(const std::string& name) {
    const SpecPtr* was = lookup(now_.ledger.desired(), name);
    const SpecPtr* wanted = lookup(trial_.desired(), name);
    WorkloadForecast& one = result_.workloads.emplace_back();
    one.name = name;
    const WorkloadSpec& spec = wanted == nullptr ? **was : **wanted;
    one.source = spec.source;
    one.owner = owner_of(spec);
    const PodStatus* there = pod(name);
    if (wanted == nullptr && there != nullptr && held_.contains(pod_label(*there, kSourceLabel))) {
      one.cause.message =
          "it is not known what " + pod_label(*there, kSourceLabel) + " wants: it is left as it is";
    } else if (wanted == nullptr) {
      one.change = Change::Remove;
      one.cause = {"NoLongerWanted", "no document has it any more"};
    } else if (was == nullptr) {
      one.change = Change::Create;
      one.cause = {"Added", "it is new"};
    } else {
      compare_specs(**was, **wanted, one);
    }
    if (wanted != nullptr && (*wanted)->claim == Claim::Down) {
      one.cause.message += (one.cause.message.empty() ? "" : "; ") + (*wanted)->claim_message;
    }
  }

  // Against what runs, where that is known: a document may go back to it.
  void compare_specs(const WorkloadSpec& was, const WorkloadSpec& wanted, WorkloadForecast& one) {
    const PodStatus* there = pod(one.name);
    const WorkloadMemory* memory = lookup(now_.ledger.memory(), one.name);
    const WorkloadSpec* before = &was;
    if (there != nullptr && there->hash != was.pod.hash && memory != nullptr && memory->previous &&
        memory->previous->pod.hash == there->hash) {
      before = memory->previous.get();
    }
    const bool other = was.pod.hash != wanted.pod.hash;
    const std::vector<std::string>* configs =
        lookup(configs_, one.owner.empty() ? one.name : one.owner);
    if (other && (there == nullptr || there->hash != wanted.pod.hash)) {
      one.change = Change::Replace;
      bool image = false, own = false;
      for (const std::string& field : spec_differences(*before, wanted)) {
        one.differences.push_back(with_images(field, *before, wanted));
        image = image || field.ends_with("].image");
        own = own || !is_of_config(field);
      }
      if (configs != nullptr) {
        one.differences.insert(one.differences.end(), configs->begin(), configs->end());
      }
      const bool by_config = !own && configs != nullptr;
      one.cause = {image ? "ImageChanged" : by_config ? "ConfigChanged" : "SpecChanged", ""};
    } else if (was.pod.files_hash != wanted.pod.files_hash) {
      one.change = Change::Update;
      one.cause = {"ContentChanged", "the files of its volumes change while it runs"};
      if (configs != nullptr) one.differences = *configs;
    } else if (!same_sizes(was, wanted)) {
      one.change = Change::Update;
      one.cause = {"SizeChanged", "its cpu and memory change while it runs"};
      one.differences = {"resources"};
    }
    if (one.change == Change::Replace) {
      one.cause.message = "changed: " + join(one.differences, "; ");
    } else if (!one.differences.empty()) {
      one.cause.message += ": " + join(one.differences, "; ");
    }
  }

  // What is missing for those that are made, and what fetching it comes to.
  Status find_images() {
    std::map<std::string, std::vector<std::string>> users;  // of references to be asked for
    for (const WorkloadForecast& one : result_.workloads) {
      if (one.change != Change::Create && one.change != Change::Replace) continue;
      const SpecPtr& spec = trial_.desired().at(one.name);
      if (spec->claim != Claim::Run && spec->claim != Claim::Once) continue;
      for (const ImageNeed& need : images_of(spec->pod)) {
        const auto found = parts_.images.find(need.reference);
        if (!found && found.error().code() != Code::NotFound) return fail(found.error());
        const bool anyway = need.pull_policy == PullPolicy::Always && !is_pinned(need.reference);
        if (found && !anyway) continue;
        if (found) cached_.insert(need.reference);
        if (need.pull_policy == PullPolicy::Never) {
          missing_.emplace(need.reference,
                           Error(Code::NotFound,
                                 "image " + need.reference +
                                     " is not on the device and imagePullPolicy is Never: import " +
                                     "it with wherry images import",
                                 "ErrImageNeverPull"));
          continue;
        }
        users[need.reference].push_back(one.name);
      }
    }
    return ask(users);
  }

  Status ask(const std::map<std::string, std::vector<std::string>>& users) {
    if (users.empty()) return {};
    std::vector<runtime::PullRequest> requests;
    for (const auto& [reference, names] : users) {
      requests.push_back({reference, trial_.pull_credentials(reference)});
    }
    auto estimate = ask_registries(requests);
    if (!estimate) return fail(estimate.error());
    if (cancel_.cancelled()) return fail(Code::Cancelled, "cancelled");
    for (runtime::ImageEstimate& image : estimate->images) {
      if (image.error && image.error->code() == Code::Cancelled) {
        image.error = Error(Code::DeadlineExceeded, "the registries did not answer within a minute",
                            "ErrImagePull");
      }
      if (image.error) missing_.emplace(image.reference, *image.error);
      const auto& names = users.at(image.reference);
      result_.images.push_back({std::move(image), names});
    }
    result_.disks = std::move(estimate->disks);
    for (const runtime::DiskEstimate& disk : result_.disks) {
      if (disk.fits()) continue;
      for (const ImageForecast& image : result_.images) {
        missing_.emplace(image.estimate.reference,
                         Error(Code::ResourceExhausted,
                               "its images do not fit on the filesystem of " + disk.path,
                               "InsufficientStorage"));
      }
    }
    return {};
  }

  Result<runtime::StoreEstimate> ask_registries(const std::vector<runtime::PullRequest>& requests) {
    CancelToken patience;
    const auto linked = cancel_.on_cancel([patience]() mutable { patience.cancel(); });
    std::thread timer;
    try {
      timer = std::thread([patience]() mutable {
        if (!patience.wait_for(kAskRegistries)) patience.cancel();
      });
    } catch (const std::system_error&) {
      return fail(Code::Unavailable,
                  "the system gives no thread to ask registries with; try again");
    }
    auto estimate = parts_.estimates.estimate(requests, patience);
    patience.cancel();
    timer.join();
    return estimate;
  }

  // The planner, as it would decide once everything was fetched that can be.
  void judge() {
    for (const WorkloadForecast& one : result_.workloads) {
      if (one.change == Change::Create || one.change == Change::Replace) tell_images(one.name);
    }
    tell_pulls();
    const PlanInput input = trial_.input(held_, now_.now);
    const Plan decided = plan(input);
    const Rooms rooms = find_rooms(input);
    result_.after = find_demand(input);
    for (WorkloadForecast& one : result_.workloads) {
      const Verdict* verdict = lookup(decided.workloads, one.name);
      if (verdict == nullptr) continue;
      if (one.change == Change::Create || one.change == Change::Replace) {
        one.obstacle = obstacle(one.name, *verdict, rooms);
      } else if (one.change == Change::Update) {
        one.obstacle = no_room(one.name, rooms);
      }
    }
    for (const WorkloadForecast& one : result_.workloads) {
      const Verdict* verdict = lookup(decided.workloads, one.name);
      if (verdict != nullptr && runs(pod(one.name))) note_downtime(one, *verdict, rooms);
    }
  }

  // What looking for its images, and fetching them, would have told.
  void tell_images(const std::string& name) {
    const SpecPtr& spec = trial_.desired().at(name);
    ActionResult looked;
    looked.action.kind = ActionKind::CheckImages;
    looked.action.workload = name;
    looked.action.spec = spec;
    for (const ImageNeed& need : images_of(spec->pod)) {
      const bool there = cached_.contains(need.reference);
      if (missing_.contains(need.reference) && !there) looked.missing.insert(need.reference);
    }
    trial_.acted(looked);
  }

  void tell_pulls() {
    for (const ImageForecast& image : result_.images) {
      const auto failed = missing_.find(image.estimate.reference);
      PullResult pulled{image.estimate.reference,
                        runtime::Image{image.estimate.name, image.estimate.digest}};
      if (failed != missing_.end()) pulled.image = fail(failed->second);
      trial_.pulled(pulled, false);
    }
  }

  static std::optional<Cause> no_room(const std::string& name, const Rooms& rooms) {
    const Room* room = rooms.find(name);
    if (room == nullptr || room->now || room->promised) return std::nullopt;
    return Cause{room->reason, room->message};
  }

  std::optional<Cause> obstacle(const std::string& name, const Verdict& verdict,
                                const Rooms& rooms) const {
    for (const ImageNeed& need : images_of(trial_.desired().at(name)->pod)) {
      const Error* error = lookup(missing_, need.reference);
      if (error == nullptr) continue;
      // Where nothing runs yet, what is there is started without the registry.
      const bool enough = cached_.contains(need.reference) && !runs(pod(name)) &&
                          error->reason() == "RegistryUnavailable";
      if (!enough) return Cause{std::string(error->reason()), error->full()};
    }
    if (auto room = no_room(name, rooms)) return room;
    if (verdict.phase == Phase::Pending && is_about_devices(verdict.reason)) {
      return Cause{verdict.reason, verdict.message};
    }
    return std::nullopt;
  }

  std::string when_replaced(const std::string& name) const {
    const std::string until = "until its new version has started";
    const bool pulls =
        std::any_of(result_.images.begin(), result_.images.end(), [&](const ImageForecast& image) {
          return std::find(image.workloads.begin(), image.workloads.end(), name) !=
                 image.workloads.end();
        });
    if (!pulls) return until;
    const bool early = trial_.desired().at(name)->update_strategy == UpdateStrategy::DeleteFirst;
    return (early ? "before its images are pulled, " : "once its images are there, ") + until;
  }

  // At once, or when others have made room; one that would only wait runs on.
  void note_downtime(const WorkloadForecast& one, const Verdict& verdict, const Rooms& rooms) {
    if (one.change == Change::Remove) {
      result_.down.push_back({one.name, {"Removed", "for good"}});
    } else if (one.change == Change::Replace) {
      if (one.obstacle && verdict.phase != Phase::Stopping) return;
      result_.down.push_back({one.name, {"Replaced", when_replaced(one.name)}});
    } else if (const std::string* winner = lookup(rooms.stops_for, one.name)) {
      const auto wins = std::find_if(result_.workloads.begin(), result_.workloads.end(),
                                     [&](const auto& each) { return each.name == *winner; });
      if (wins != result_.workloads.end() && wins->obstacle) return;
      result_.down.push_back({one.name, {"Preempted", "it makes room for " + *winner}});
    }
  }

  const Rehearsal& now_;
  const ForecastParts& parts_;
  const CancelToken& cancel_;
  Ledger trial_;
  std::set<std::string> held_;
  std::map<std::string, std::vector<std::string>> configs_;
  std::map<std::string, Error> missing_;  // images that cannot be had, by reference
  std::set<std::string> cached_;          // to be pulled all the same, and there in some version
  Forecast result_;
};

}  // namespace

Result<Planned> forecast(const Rehearsal& rehearsal, const PlanRequest& request,
                         const ForecastParts& parts, const CancelToken& cancel) {
  return Forecaster(rehearsal, parts, cancel).run(request);
}

}  // namespace wherry

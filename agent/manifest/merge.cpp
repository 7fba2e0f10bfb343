// Several documents into the workloads of this device.

#include <algorithm>
#include <deque>
#include <tuple>

#include "agent/manifest/controller_pods.h"
#include "agent/manifest/dependencies.h"
#include "agent/manifest/environment.h"
#include "agent/manifest/items.h"
#include "agent/manifest/merge_claims.h"
#include "agent/manifest/merge_services.h"
#include "agent/manifest/node_selector.h"
#include "agent/manifest/priority.h"
#include "agent/manifest/volume_files.h"

namespace wherry {
namespace {

using manifest::ConfigItem;
using manifest::ControllerItem;
using manifest::Findings;
using manifest::HostPort;
using manifest::Place;
using manifest::PodItem;

// An object with where it came from; the last source that has it wins.
template <typename Item>
struct Chosen {
  const Item* item = nullptr;
  const Source* source = nullptr;
};
using ChosenPod = Chosen<PodItem>;
using ChosenController = Chosen<ControllerItem>;

class Merger {
 public:
  explicit Merger(const DeviceFacts& facts) : facts_(facts) {}

  void add(const Source& source) {
    if (source.document == nullptr || !source.document->items) return;
    const ParsedItems& items = *source.document->items;
    for (const PodItem& pod : items.pods) pods_[pod.workload.name()] = {&pod, &source};
    for (const ControllerItem& item : items.controllers) {
      controllers_[{item.spec.owner.kind, item.spec.owner.name}] = {&item, &source};
    }
    for (const ConfigItem& item : items.config_maps) objects_.config_maps[item.name] = &item;
    for (const ConfigItem& item : items.secrets) objects_.secrets[item.name] = &item;
    for (const manifest::ClaimItem& item : items.claims) objects_.claims[item.name] = &item;
    for (const manifest::PriorityClassItem& item : items.priority_classes) {
      objects_.priority_classes[item.name] = &item;
    }
    for (const manifest::ServiceItem& item : items.services) {
      services_[item.spec.name] = {&item, &source};
    }
  }

  Merged run() {
    leave_out_what_is_not_here();
    for (const auto& [key, controller] : controllers_) make_pods(controller);
    check_names();
    for (const auto& [name, pod] : pods_) check_ports(name, pod);
    for (const auto& [name, pod] : templates_) check_ports(name, pod);
    for (const auto& [name, pod] : pods_) check_claims(name, pod);
    for (const auto& [name, pod] : templates_) check_claims(name, pod);
    check_dependencies();
    for (const auto& [name, pod] : pods_) resolve(name, pod);
    for (const auto& [name, pod] : templates_) resolve(name, pod);
    Merged merged;
    for (const auto& [key, controller] : controllers_) finish(controller, merged.controllers);
    for (auto& [name, workload] : ready_) {
      if (bad_.count(name) == 0 && pods_.count(name) != 0) {
        merged.workloads.push_back(std::move(workload));
      }
    }
    add_services(merged);
    merged.not_here = std::move(not_here_);
    merged.errors = findings_.take_errors();
    merged.warnings = findings_.take_warnings();
    return merged;
  }

 private:
  // Of a Job or CronJob: no Pod has such a name.
  static std::string template_key(const Owner& owner) {
    return std::string(to_string(owner.kind)) + "/" + owner.name;
  }
  static std::string key_of(const PodItem& pod) {
    const Owner& owner = pod.workload.owner;
    const bool job = owner.kind == OwnerKind::Job || owner.kind == OwnerKind::CronJob;
    return job ? template_key(owner) : pod.workload.name();
  }

  void make_pods(const ChosenController& controller) {
    const ControllerItem& item = *controller.item;
    if (item.spec.owner.kind == OwnerKind::Job || item.spec.owner.kind == OwnerKind::CronJob) {
      made_.push_back(manifest::job_template(item));
      templates_.emplace(template_key(item.spec.owner),
                         ChosenPod{&made_.back(), controller.source});
      return;
    }
    for (const std::string& name : manifest::replica_names(item)) {
      if (made_.size() >= manifest::kMaxMadePods) {
        findings_.error(path_of(controller, item.name_place), item.name_place.mark,
                        "more than " + std::to_string(manifest::kMaxMadePods) +
                            " Pods would be made by the objects of this device");
        return;
      }
      made_.push_back(manifest::replica(item, name));
      add_claims(made_.back());
      const auto [other, added] = pods_.emplace(name, ChosenPod{&made_.back(), controller.source});
      if (added) continue;
      const ChosenPod own{&made_.back(), controller.source};
      say(path_of(own, item.name_place), item.name_place.mark,
          "its Pod \"" + name + "\" has the name of " + described(other->second) +
              ": rename one of them");
      bad_.insert(name);
    }
  }

  // Those of volumeClaimTemplates, for whoever names one; a document's own comes first.
  void add_claims(const PodItem& pod) {
    for (const manifest::ClaimTemplate& made : pod.claim_templates) {
      const std::string& name = pod.workload.pod.volumes.at(made.index).claim;
      made_claims_.push_back({name, made.one_pod, made.place});
      objects_.claims.emplace(name, &made_claims_.back());
    }
  }

  static std::string described(const ChosenPod& pod) {
    const Owner& owner = pod.item->workload.owner;
    const std::string made =
        owner.kind == OwnerKind::None
            ? "a Pod"
            : "one of " + std::string(to_string(owner.kind)) + " \"" + owner.name + "\"";
    return made + " (" + pod.source->name + ")";
  }

  // The Pods that Jobs will make are known by the form of their names.
  void check_names() {
    for (const auto& [key, maker] : controllers_) {
      const Owner& owner = maker.item->spec.owner;
      if (owner.kind != OwnerKind::Job && owner.kind != OwnerKind::CronJob) continue;
      for (auto pod = pods_.lower_bound(owner.name); pod != pods_.end(); ++pod) {
        if (!pod->first.starts_with(owner.name)) break;
        if (manifest::may_make(*maker.item, pod->first))
          clash(maker, pod->first, described(pod->second));
      }
      for (auto job = controllers_.lower_bound({OwnerKind::Job, owner.name});
           job != controllers_.end() && job->first.second.starts_with(owner.name); ++job) {
        const ControllerItem& other = *job->second.item;
        if (&other == maker.item || job->first.first != OwnerKind::Job) continue;
        if (other.spec.job.completions != 1 ||
            !manifest::may_make(*maker.item, other.spec.owner.name))
          continue;
        clash(maker, other.spec.owner.name, "that of Job \"" + other.spec.owner.name + "\"");
      }
    }
  }

  void clash(const ChosenController& maker, const std::string& name, const std::string& other) {
    const Place& place = maker.item->name_place;
    say(path_of(maker, place), place.mark,
        "it would make a Pod named \"" + name + "\", and there is " + other +
            ": rename one of them");
    bad_.insert(template_key(maker.item->spec.owner));
  }

  // What resolve() left of a Job or CronJob; of others, their rules and the names of their Pods.
  void finish(const ChosenController& controller, std::vector<ControllerSpec>& controllers) {
    ControllerSpec spec = controller.item->spec;
    spec.source = controller.source->name;
    spec.revision = controller.source->document->revision;
    const auto found = ready_.find(template_key(spec.owner));
    const bool job = spec.owner.kind == OwnerKind::Job || spec.owner.kind == OwnerKind::CronJob;
    if (job && (found == ready_.end() || bad_.count(found->first) != 0)) return;
    runtime::PodSpec pod = controller.item->pod.workload.pod;
    for (const auto& container : controller.item->pod.containers) {
      pod.containers.push_back(container.spec);
    }
    for (const auto& need : runtime::images_of(pod)) spec.images.push_back(need.reference);
    if (job) {
      spec.pod_template = std::move(found->second);
    } else {
      spec.pods = manifest::replica_names(*controller.item);
    }
    controllers.push_back(std::move(spec));
  }

  template <typename Item>
  static std::string path_of(const Chosen<Item>& item, const Place& place) {
    const std::string& file = item.source->document->items->file;
    return item.source->name + (file.empty() ? "" : "/" + file) + ":" + place.path;
  }

  // Once, however many replicas it is true of.
  void say(std::string path, manifest::Mark mark, std::string message) {
    if (said_.emplace(path, message).second) {
      findings_.error(std::move(path), mark, std::move(message));
    }
  }

  void complain(const ChosenPod& pod, const Place& place, std::string message) {
    say(path_of(pod, place), place.mark, std::move(message));
    bad_.insert(key_of(*pod.item));
  }

  void leave_out_what_is_not_here() {
    for (auto item = controllers_.begin(); item != controllers_.end();) {
      std::string why = manifest::mismatch(item->second.item->pod, facts_);
      if (why.empty()) {
        ++item;
        continue;
      }
      not_here_.emplace(item->first.second, std::move(why));
      item = controllers_.erase(item);
    }
    for (auto pod = pods_.begin(); pod != pods_.end();) {
      std::string why = manifest::mismatch(*pod->second.item, facts_);
      if (why.empty()) {
        ++pod;
        continue;
      }
      not_here_.emplace(pod->first, std::move(why));
      pod = pods_.erase(pod);
    }
  }

  // One port of one address, for each protocol, has one owner.
  void check_ports(const std::string& name, const ChosenPod& pod) {
    for (const HostPort& port : pod.item->host_ports) {
      const auto& mapping = port.mapping;
      auto& owners = ports_[{mapping.protocol, mapping.host_port}];
      const ChosenPod* taken = nullptr;
      const auto look = [&](const std::vector<const ChosenPod*>& candidates) {
        for (const ChosenPod* other : candidates) {
          if (taken == nullptr && manifest::may_meet(*other->item, *pod.item)) taken = other;
        }
      };
      if (mapping.host_ip.empty()) {
        for (const auto& [ip, candidates] : owners) look(candidates);
      } else {
        look(owners[""]);
        look(owners[mapping.host_ip]);
      }
      if (taken == nullptr) {
        owners[mapping.host_ip].push_back(&pod);
        continue;
      }
      const std::string other = key_of(*taken->item);
      complain(pod, port.place,
               "port " + std::to_string(mapping.host_port) + " of the device is taken by " +
                   (other == name ? "another port of this Pod"
                                  : "workload \"" + other + "\" (" + taken->source->name + ")") +
                   ": choose another hostPort");
    }
  }

  std::string taken_by(runtime::Protocol protocol, uint16_t port) const {
    const auto owners = ports_.find({protocol, port});
    if (owners == ports_.end()) return {};
    for (const auto& [ip, pods] : owners->second) {
      if (pods.empty()) continue;
      return "workload \"" + key_of(*pods[0]->item) + "\" (" + pods[0]->source->name + ")";
    }
    return {};
  }

  void add_services(Merged& merged) {
    std::vector<manifest::ChosenService> services;
    for (const auto& [name, service] : services_) {
      services.push_back({service.item, service.source->name, service.source->document->revision,
                          [&each = service](const Place& place) { return path_of(each, place); }});
    }
    std::vector<const PodItem*> pods;
    for (const auto* all : {&pods_, &templates_}) {
      for (const auto& [name, pod] : *all) pods.push_back(pod.item);
    }
    const auto taken = [this](runtime::Protocol protocol, uint16_t port) {
      return taken_by(protocol, port);
    };
    merged.services = manifest::check_services({services, pods, taken}, findings_);
    for (const auto& [port, owners] : ports_) merged.device_ports.insert(port);
  }

  void check_claims(const std::string& name, const ChosenPod& pod) {
    for (const manifest::VolumeItem& item : pod.item->volumes) {
      std::string problem = claims_.take(*pod.item, name, item);
      if (!problem.empty()) complain(pod, item.place, std::move(problem));
    }
  }

  // The Pods that `wanted` stands for: itself, or all replicas of an owner of that name.
  std::vector<std::string> stands_for(const std::string& wanted) const {
    if (pods_.count(wanted) != 0) return {wanted};
    for (const OwnerKind kind :
         {OwnerKind::Deployment, OwnerKind::DaemonSet, OwnerKind::StatefulSet}) {
      const auto owner = controllers_.find({kind, wanted});
      if (owner != controllers_.end()) return manifest::replica_names(*owner->second.item);
    }
    return {};
  }

  std::string unknown_dependency(const std::string& wanted) const {
    const auto why = not_here_.find(wanted);
    if (why != not_here_.end()) return "which is not for this device: " + why->second;
    const bool job = controllers_.count({OwnerKind::Job, wanted}) != 0 ||
                     controllers_.count({OwnerKind::CronJob, wanted}) != 0;
    return job ? "a Job, whose Pods come and go: nothing can depend on that in this version"
               : "which no document defines";
  }

  void check_dependencies_of(const std::string& key, const ChosenPod& pod) {
    std::vector<std::string>& edges = graph_[key];
    for (const std::string& wanted : pod.item->workload.depends_on) {
      const std::vector<std::string> names = stands_for(wanted);
      const bool own = std::find(names.begin(), names.end(), key) != names.end();
      const bool empty = names.empty() &&
                         controllers_.count({OwnerKind::Deployment, wanted}) == 0 &&
                         controllers_.count({OwnerKind::StatefulSet, wanted}) == 0;
      if (own || wanted == key) {
        complain(pod, pod.item->depends_place, "a workload cannot depend on itself");
      } else if (empty) {
        complain(pod, pod.item->depends_place,
                 "depends on \"" + wanted + "\", " + unknown_dependency(wanted));
      } else {
        edges.insert(edges.end(), names.begin(), names.end());
      }
    }
  }

  void check_dependencies() {
    for (const auto& [name, pod] : pods_) check_dependencies_of(name, pod);
    for (const auto& [key, pod] : templates_) check_dependencies_of(key, pod);
    for (const std::vector<std::string>& cycle : manifest::find_cycles(graph_)) {
      std::string text;
      for (const std::string& name : cycle) text += name + " -> ";
      const ChosenPod& first = pods_.at(cycle.front());
      complain(first, first.item->depends_place,
               "workloads depend on each other in a circle: " + text + cycle.front());
      bad_.insert(cycle.begin(), cycle.end());
    }
    manifest::spread_to_dependents(graph_, bad_);
  }

  // As in Kubernetes, what is missing stops nothing: the image may be had without.
  void take_credentials(const ChosenPod& pod, runtime::PodSpec& made) {
    for (const manifest::PullSecretRef& ref : pod.item->pull_secrets) {
      const auto found = objects_.secrets.find(ref.name);
      const bool there = found != objects_.secrets.end();
      if (there && found->second->credentials) {
        const auto& credentials = *found->second->credentials;
        made.pull_credentials.insert(made.pull_credentials.end(), credentials.begin(),
                                     credentials.end());
        continue;
      }
      findings_.warning(path_of(pod, ref.place), ref.place.mark,
                        "Secret \"" + manifest::shown(ref.name) + "\" is not " +
                            (there ? "of type kubernetes.io/dockerconfigjson or "
                                     "kubernetes.io/dockercfg"
                                   : "there") +
                            ": images are pulled without it");
    }
  }

  bool check_runtime_class(const ChosenPod& pod, const manifest::Complain& complain) const {
    const std::string& wanted = pod.item->workload.pod.runtime_class;
    if (wanted.empty() || facts_.any || facts_.runtime_classes.contains(wanted)) return true;
    complain(pod.item->runtime_class_place,
             "this device has no runtime class \"" + manifest::shown(wanted) +
                 "\": add it to containerd.runtime_classes in its configuration");
    return false;
  }

  void resolve(const std::string& name, const ChosenPod& pod) {
    WorkloadSpec workload = pod.item->workload;
    workload.source = pod.source->name;
    workload.revision = pod.source->document->revision;
    workload.depends_on = graph_[name];
    workload.labels = manifest::service_labels(*pod.item);
    const manifest::Complain complain = [&](const Place& place, std::string message) {
      this->complain(pod, place, std::move(message));
    };
    bool good = check_runtime_class(pod, complain);
    const manifest::Complain warn = [&](const Place& place, std::string message) {
      std::string path = path_of(pod, place);
      if (!said_.emplace(path, message).second) return;
      findings_.warning(std::move(path), place.mark, std::move(message));
    };
    good = manifest::resolve_priority(*pod.item, objects_, complain, warn, workload) && good;
    const size_t before = budget_;
    for (const manifest::ContainerItem& item : pod.item->containers) {
      runtime::ContainerSpec container = item.spec;
      good = manifest::resolve_container(*pod.item, item, objects_, facts_, budget_, complain,
                                         container) &&
             good;
      workload.pod.containers.push_back(std::move(container));
    }
    good = manifest::resolve_volumes(*pod.item, objects_, budget_, complain, workload.pod) && good;
    if (!good || !afford_copies(pod, before)) return;
    take_credentials(pod, workload.pod);
    workload.pod.hash = spec_hash(workload);
    ready_.emplace(name, std::move(workload));
  }

  // The Pods of a Job are made later, each with its own environment.
  bool afford_copies(const ChosenPod& pod, size_t before) {
    const auto controller =
        controllers_.find({pod.item->workload.owner.kind, pod.item->workload.owner.name});
    if (pod.item->workload.claim != Claim::Once || controller == controllers_.end()) return true;
    const JobRules& rules = controller->second.item->spec.job;
    const auto copies = static_cast<size_t>(
        std::max(1, std::min(rules.parallelism, rules.completions.value_or(rules.parallelism))));
    const size_t more = (before - budget_) * (copies - 1);
    if (more > budget_) {
      complain(pod, pod.item->place,
               "the environments of all workloads are larger than 16 MiB together");
      return false;
    }
    budget_ -= more;
    return true;
  }

  using PortKey = std::pair<runtime::Protocol, uint16_t>;

  const DeviceFacts& facts_;
  std::map<std::string, ChosenPod> pods_;  // with those of replicas
  std::map<std::pair<OwnerKind, std::string>, ChosenController> controllers_;
  std::map<std::string, ChosenPod> templates_;  // of Jobs and CronJobs, by template_key()
  std::deque<PodItem> made_;
  std::deque<manifest::ClaimItem> made_claims_;
  manifest::DependencyGraph graph_;
  std::set<std::pair<std::string, std::string>> said_;
  manifest::ConfigObjects objects_;
  std::map<std::string, Chosen<manifest::ServiceItem>> services_;
  std::map<std::string, std::string> not_here_;
  std::map<PortKey, std::map<std::string, std::vector<const ChosenPod*>>> ports_;
  manifest::ClaimBook claims_{objects_};
  std::set<std::string> bad_;
  std::map<std::string, WorkloadSpec> ready_;
  size_t budget_ = manifest::kMaxResolvedTotal;
  Findings findings_;
};

}  // namespace

Merged merge(const std::vector<Source>& sources, const DeviceFacts& facts) {
  Merger merger(facts);
  for (const Source& source : sources) merger.add(source);
  return merger.run();
}

}  // namespace wherry

#include "agent/reconcile/service_desk.h"

#include <algorithm>

#include "agent/reconcile/pod_tally.h"
#include "agent/reconcile/service_choices.h"
#include "base/backoff.h"
#include "base/log.h"

namespace wherry {
namespace {

constexpr Backoff kRetry{std::chrono::seconds(1), std::chrono::minutes(1)};
constexpr Duration kStoreRetry = std::chrono::seconds(10);

// In all forms that people write a name of a cluster's DNS in.
void add_names(const std::string& name, const std::string& name_space,
               std::vector<std::string>& names) {
  names.push_back(name);
  names.push_back(name + "." + name_space);
  names.push_back(name + "." + name_space + ".svc");
  names.push_back(name + "." + name_space + ".svc.cluster.local");
}

// What a Pod is called below a headless Service.
std::vector<std::string> hostnames_of(const WorkloadSpec& spec) {
  const std::string& own = spec.pod.hostname;
  std::vector<std::string> names{own.empty() ? spec.name() : own};
  // In Kubernetes the only Pod of a StatefulSet is called so.
  if (spec.owner.kind == OwnerKind::StatefulSet && spec.owner.name == spec.name()) {
    names.push_back(spec.name() + "-0");
  }
  return names;
}

struct Running {
  const WorkloadSpec* spec = nullptr;
  bool known = false;  // it is what the Pod was made from
};
Running spec_of(const std::string& name, const runtime::PodStatus& pod,
                const WorkloadMemory* memory, const PlanInput& input) {
  const auto desired = input.desired.find(name);
  const bool wanted = desired != input.desired.end();
  if (wanted && desired->second->pod.hash == pod.hash) return {desired->second.get(), true};
  if (memory != nullptr && memory->previous && memory->previous->pod.hash == pod.hash) {
    return {memory->previous.get(), true};
  }
  return {wanted ? desired->second.get() : nullptr, false};
}

// 0: none.
uint16_t node_port_of(const ServiceRecord& record, const ServicePort& port) {
  const auto chosen = record.node_ports.find(port_key(port));
  return chosen == record.node_ports.end() ? uint16_t{0} : chosen->second;
}

std::vector<std::string> pods_of(const runtime::ServiceRules& rules) {
  std::set<std::string> pods;
  for (const runtime::ServiceForward& port : rules.ports) {
    for (const runtime::ServiceEndpoint& endpoint : port.endpoints) pods.insert(endpoint.pod);
  }
  return {pods.begin(), pods.end()};
}

}  // namespace

Status ServiceDesk::load() {
  if (parts_.services != nullptr) shown_ = parts_.services->applied();
  found_ = shown_;
  for (const runtime::ServiceRules& rules : shown_) {
    const std::vector<std::string> pods = pods_of(rules);
    served_before_.insert(pods.begin(), pods.end());
  }
  if (parts_.records == nullptr) return {};
  auto records = parts_.records->services();
  if (!records) return store_status_ = fail(records.error(), "read what Services have");
  stored_ = std::move(*records);
  return {};
}

void ServiceDesk::set(const Merged& merged, const std::set<std::string>& held) {
  if (parts_.services == nullptr) return;
  services_ = merged.services;
  std::vector<ServiceRecord> before = records_;
  before.insert(before.end(), kept_.begin(), kept_.end());
  if (before.empty()) before = stored_;
  kept_.clear();
  for (const ServiceRecord& record : before) {
    const auto is_it = [&](const auto& each) { return each.name == record.name; };
    if (std::any_of(services_.begin(), services_.end(), is_it)) continue;
    if (!held.contains(record.source)) continue;
    kept_.push_back(record);
  }
  records_ = choose(merged, before, kept_, parts_.subnet);
  environment_ = service_environment(services_, records_);
  store();
}

void ServiceDesk::store() {
  std::vector<ServiceRecord> all = records_;
  all.insert(all.end(), kept_.begin(), kept_.end());
  if (parts_.records == nullptr || (all == stored_ && store_status_)) return;
  store_status_ = parts_.records->save_services(all);
  if (store_status_) {
    stored_ = std::move(all);
  } else {
    store_at_ = clock_.now() + kStoreRetry;
  }
}

// After a restart of the agent all health is unknown for a moment. Those that were served then go
// on until their probes have said something.
bool ServiceDesk::may_still_be_ready(const std::string& name, const WorkloadSpec& spec,
                                     const PlanInput& input) {
  if (!served_before_.contains(name)) return false;
  const auto pod = input.observed.find(name);
  const auto memory = input.memory.find(name);
  if (pod == input.observed.end() || memory == input.memory.end()) return false;
  const PodTally sum = tally(spec, &pod->second, &memory->second, input.now);
  if (!sum.due.empty() || sum.waiting + sum.failed > 0 || sum.running == 0) return false;
  for (const runtime::ContainerSpec& container : spec.pod.containers) {
    const auto past = memory->second.containers.find(container.name);
    if (past == memory->second.containers.end() || past->second.ended) continue;
    const Vitals& vitals = past->second.vitals;
    if (is_ready(container, vitals)) continue;
    if (!vitals.adopted || vitals.unhealthy || !vitals.probe_message.empty()) return false;
  }
  return true;
}

// From the moment it is told to stop, also while nobody knows yet what came of that.
bool ServiceDesk::leaves(const std::string& name, const Verdict& verdict,
                         const WorkloadMemory* memory) {
  const bool told =
      verdict.action &&
      ((verdict.action->kind == ActionKind::Terminate && verdict.action->reason.empty()) ||
       verdict.action->whole_pod);
  if (told) {
    leaving_.insert(name);
  } else if (memory == nullptr || (!memory->busy && !memory->kill_at)) {
    leaving_.erase(name);
  }
  return leaving_.contains(name) || (memory != nullptr && memory->kill_at);
}

std::vector<ServiceDesk::Chosen> ServiceDesk::look_at_pods(const PlanInput& input,
                                                           const Plan& plan) {
  std::vector<Chosen> pods;
  for (const auto& [name, verdict] : plan.workloads) {
    const auto pod = input.observed.find(name);
    const auto found = input.memory.find(name);
    const WorkloadMemory* memory = found == input.memory.end() ? nullptr : &found->second;
    const bool here = pod != input.observed.end() && !running_ids(pod->second).empty();
    const Running running = here ? spec_of(name, pod->second, memory, input) : Running();
    if (leaves(name, verdict, memory) || running.spec == nullptr) {
      served_before_.erase(name);
      continue;
    }
    const bool host = running.spec->pod.host_network;
    if (!host && (pod->second.ip.empty() || !pod->second.network_ready)) continue;
    bool ready = verdict.ready;
    // It may have to wait before it is stopped, for those that depend on it.
    if (verdict.phase == Phase::Stopping) {
      ready = running.known ? tally(*running.spec, &pod->second, memory, input.now).ready()
                            : looks_healthy(pod->second);
    }
    const bool was_ready = !ready && may_still_be_ready(name, *running.spec, input);
    if (!was_ready) served_before_.erase(name);
    pods.push_back({running.spec, host ? "" : pod->second.ip, ready || was_ready, running.known});
  }
  std::erase_if(leaving_, [&](const auto& name) { return !plan.workloads.contains(name); });
  return pods;
}

// A version that nobody remembers, with probes that nobody knows, stays as this life found it.
bool ServiceDesk::is_served(const ServiceSpec& service, const Chosen& pod) const {
  if (service.publish_not_ready) return true;
  if (!pod.ready || pod.known) return pod.ready;
  const auto before = std::find_if(found_.begin(), found_.end(),
                                   [&](const auto& each) { return each.name == service.name; });
  if (before == found_.end()) return true;
  const std::vector<std::string> served = pods_of(*before);
  return std::find(served.begin(), served.end(), pod.spec->name()) != served.end();
}

runtime::ServiceRules ServiceDesk::rules_of(size_t index, const std::vector<Chosen>& pods) const {
  const ServiceSpec& service = services_[index];
  const ServiceRecord& record = records_[index];
  runtime::ServiceRules rules;
  rules.name = service.name;
  rules.address = record.address;
  rules.affinity_seconds = service.affinity_seconds;
  rules.keep_client = service.keep_client;
  for (const ServicePort& port : service.ports) {
    rules.ports.push_back({port.protocol, port.port, node_port_of(record, port), {}});
  }
  if (rules.ports.empty()) rules.ports.emplace_back();
  if (!rules.address.empty()) {
    rules.names.push_back({rules.address, {}});
    add_names(service.name, service.name_space, rules.names[0].names);
  }
  for (const Chosen& pod : pods) {
    if (!is_served(service, pod)) continue;
    if (!selects(service, pod.spec->labels)) continue;
    for (size_t i = 0; i < rules.ports.size(); ++i) {
      const uint16_t target =
          i < service.ports.size() ? target_of(service.ports[i], *pod.spec) : uint16_t{0};
      if (target == 0 && !service.headless) continue;
      rules.ports[i].endpoints.push_back({pod.spec->name(), pod.ip, target});
    }
    if (!service.headless) continue;
    rules.names.push_back({pod.ip, {}});
    add_names(service.name, service.name_space, rules.names.back().names);
    for (const std::string& hostname : hostnames_of(*pod.spec)) {
      add_names(hostname + "." + service.name, service.name_space, rules.names.back().names);
    }
  }
  return rules;
}

void ServiceDesk::update(const PlanInput& input, const Plan& plan, Lanes& lanes, Mailbox& mailbox) {
  if (parts_.services == nullptr) return;
  const MonoTime now = clock_.now();
  if (!store_status_ && store_at_ <= now) store();
  if (busy_ || not_before_ > now) return;
  std::vector<runtime::ServiceRules> rules;
  if (!services_.empty()) {
    const std::vector<Chosen> pods = look_at_pods(input, plan);
    for (size_t i = 0; i < services_.size(); ++i) rules.push_back(rules_of(i, pods));
  }
  for (const ServiceRecord& record : kept_) {
    const auto as_it_was = std::find_if(shown_.begin(), shown_.end(),
                                        [&](const auto& each) { return each.name == record.name; });
    if (as_it_was != shown_.end()) rules.push_back(*as_it_was);
  }
  if (!stale_ && rules == shown_) return;
  busy_ =
      lanes.post(Lane::Services, [rules, cancel = cancel_, services = parts_.services, &mailbox] {
        auto applied = services->apply(rules, cancel);
        mailbox.post([&](Mail& mail) { mail.services = std::move(applied); });
      });
  if (!busy_) return;
  shown_ = std::move(rules);
  stale_ = false;
}

void ServiceDesk::done(const Result<std::vector<runtime::ServiceFault>>& result) {
  busy_ = false;
  if (result) {
    if (!trouble_.empty()) log_info("Services are reachable again");
    trouble_.clear();
    failures_ = 0;
    std::map<std::string, std::string> faults;
    for (const runtime::ServiceFault& fault : *result) {
      faults[fault.service] = fault.message;
      if (faults_.contains(fault.service)) continue;
      log_warn("a Service is left out", {{"service", fault.service}, {"error", fault.message}});
    }
    faults_ = std::move(faults);
    return;
  }
  stale_ = true;
  not_before_ = clock_.now() + kRetry.delay(++failures_, random_unit());
  if (trouble_ == result.error().full()) return;
  trouble_ = result.error().full();
  log_warn("Services are not as they should be", {{"error", trouble_}});
}

Action ServiceDesk::linked(Action action) const {
  if (action.kind != ActionKind::Start || !action.spec) return action;
  static const std::vector<std::pair<std::string, std::string>> kNone;
  const auto& all = action.spec->service_links ? environment_ : kNone;
  auto spec = std::make_shared<WorkloadSpec>(*action.spec);
  for (runtime::ContainerSpec& container : spec->pod.containers) {
    for (auto& [name, value] : container.env) fill_service_variables(all, value);
    for (std::string& word : container.command) fill_service_variables(all, word);
    for (std::string& word : container.args) fill_service_variables(all, word);
    container.env.insert(container.env.begin(), all.begin(), all.end());
  }
  action.spec = std::move(spec);
  return action;
}

std::vector<ServiceView> ServiceDesk::views() const {
  std::vector<ServiceView> views;
  for (size_t i = 0; i < services_.size(); ++i) {
    const ServiceSpec& service = services_[i];
    const ServiceRecord& record = records_[i];
    ServiceView view{
        service.name, service.source, service.revision, record.address, {}, {}, "", ""};
    for (const ServicePort& port : service.ports) {
      view.ports.push_back({port.name, std::string(to_string(port.protocol)), port.port,
                            node_port_of(record, port)});
    }
    for (const runtime::ServiceRules& rules : shown_) {
      if (rules.name == service.name) view.pods = pods_of(rules);
    }
    if (!service.headless && record.address.empty()) {
      view.reason = "NoAddress";
      view.message = "network.service_subnet " + parts_.subnet + " has no address left";
    } else if (!service.headless && !trouble_.empty()) {
      view.reason = "ServicesUnavailable";
      view.message = trouble_;
    } else if (const auto fault = faults_.find(service.name); fault != faults_.end()) {
      view.reason = "KernelPartMissing";
      view.message = fault->second;
    } else if (view.pods.empty()) {
      view.reason = "NoReadyPods";
      view.message = "none of the Pods it chooses is ready";
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<Finding> ServiceDesk::errors() const {
  std::vector<Finding> errors;
  std::set<std::string> told;  // by source: a trouble of all is not said for each Service
  const std::vector<ServiceView> all = views();
  for (size_t i = 0; i < all.size(); ++i) {
    const bool own = all[i].reason == "KernelPartMissing";
    const bool bad = all[i].reason == "NoAddress" || all[i].reason == "ServicesUnavailable";
    if (!own && !(bad && told.insert(all[i].source + all[i].reason).second)) continue;
    errors.push_back({services_[i].path,
                      "Service \"" + all[i].name + "\" leads nowhere: " + all[i].message, 0, 0});
  }
  return errors;
}

std::optional<MonoTime> ServiceDesk::wake_at() const {
  std::optional<MonoTime> wake;
  const bool again = parts_.services != nullptr && stale_ && failures_ > 0;
  if (again && !busy_) wake = not_before_;
  if (!store_status_ && (!wake || store_at_ < *wake)) wake = store_at_;
  return wake;
}

}  // namespace wherry

#include "agent/reconcile/state_view.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "agent/reconcile/findings_json.h"

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;

Json time_or_null(WallTime time) {
  const std::string text = to_rfc3339(time);
  return text.empty() ? Json(nullptr) : Json(text);
}

Json device_json(const DeviceView& device) {
  return {{"id", device.id},
          {"groups", device.groups},
          {"labels", device.labels},
          {"agent", device.agent},
          {"boot", device.boot},
          {"os", device.os},
          {"kernel", device.kernel},
          {"arch", device.arch},
          {"cpus", device.cpus},
          {"memoryBytes", device.memory_bytes},
          {"containerd", device.containerd}};
}

Json desired_json(const DesiredView& desired) {
  Json json{{"source", desired.source},
            {"revision", desired.revision},
            {"digest", desired.digest},
            {"state", desired.state},
            {"errors", findings_json(desired.errors)},
            {"warnings", findings_json(desired.warnings)}};
  if (desired.rejected) {
    json["rejected"] = {{"revision", desired.rejected->revision},
                        {"errors", findings_json(desired.rejected->errors)}};
  }
  return json;
}

Json container_json(const ContainerView& container) {
  Json json{{"name", container.name},
            {"image", container.image},
            {"digest", container.digest},
            {"state", container.state},
            {"ready", container.ready},
            {"restarts", container.restarts},
            {"exitCode", container.exit_code ? Json(*container.exit_code) : Json(nullptr)},
            {"reason", container.reason},
            {"startedAt", time_or_null(container.started_at)},
            {"finishedAt", time_or_null(container.finished_at)}};
  if (!container.role.empty()) json["role"] = container.role;
  if (!container.message.empty()) json["message"] = container.message;
  return json;
}

Json workload_json(const WorkloadView& workload) {
  Json containers = Json::array();
  for (const ContainerView& container : workload.containers) {
    containers.push_back(container_json(container));
  }
  Json json{{"name", workload.name},
            {"source", workload.source},
            {"revision", workload.revision},
            {"phase", to_string(workload.phase)},
            {"ready", workload.ready},
            {"reason", workload.reason},
            {"message", workload.message},
            {"ip", workload.ip},
            {"since", time_or_null(workload.since)},
            {"containers", std::move(containers)}};
  if (!workload.owner.empty()) json["owner"] = workload.owner;
  if (!workload.pulls.empty()) json["pulls"] = Json::array();
  for (const PullView& pull : workload.pulls) json["pulls"].push_back(pull_json(pull));
  return json;
}

// Only what the kind has.
Json controller_json(const ControllerView& view) {
  Json json{{"kind", view.kind},       {"name", view.name},
            {"source", view.source},   {"revision", view.revision},
            {"phase", view.phase},     {"reason", view.reason},
            {"message", view.message}, {"since", time_or_null(view.since)}};
  if (view.kind == "CronJob") {
    json["schedule"] = view.schedule;
    json["timeZone"] = view.time_zone.empty() ? "UTC" : view.time_zone;
    json["active"] = view.active;
    json["lastScheduleTime"] = time_or_null(view.last);
    json["nextScheduleTime"] = time_or_null(view.next);
  } else if (view.kind == "Job") {
    if (!view.owner.empty()) json["owner"] = view.owner;
    json["completions"] = view.wanted;
    json["active"] = view.active;
    json["succeeded"] = view.succeeded;
    json["failed"] = view.failed;
    json["startTime"] = time_or_null(view.started_at);
    json["finishedAt"] = time_or_null(view.finished_at);
  } else {
    json["replicas"] = view.wanted;
    json["readyReplicas"] = view.ready;
    json["updatedReplicas"] = view.updated;
  }
  return json;
}

Json service_json(const ServiceView& service) {
  Json ports = Json::array();
  for (const ServiceView::Port& port : service.ports) {
    Json item{{"name", port.name}, {"protocol", port.protocol}, {"port", port.port}};
    if (port.node_port != 0) item["nodePort"] = port.node_port;
    ports.push_back(std::move(item));
  }
  return {{"name", service.name},       {"source", service.source},  {"revision", service.revision},
          {"address", service.address}, {"ports", std::move(ports)}, {"pods", service.pods},
          {"reason", service.reason},   {"message", service.message}};
}

Json condition_json(const ConditionView& condition) {
  Json json{{"type", condition.type}, {"status", condition.status}, {"reason", condition.reason}};
  if (!condition.message.empty()) json["message"] = condition.message;
  json["since"] = time_or_null(condition.since);
  return json;
}

// Texts come from images, documents and plugins: a byte that is not UTF-8 must not cost the report.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Json findings_json(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    Json item{{"path", finding.path}, {"message", finding.message}};
    if (finding.line > 0) {
      item["line"] = finding.line;
      item["column"] = finding.column;
    }
    list.push_back(std::move(item));
  }
  return list;
}

std::string_view to_string(Phase phase) {
  constexpr std::array<std::string_view, 8> kNames{"Pending",   "Pulling", "Starting", "Running",
                                                   "Succeeded", "Failed",  "BackOff",  "Stopping"};
  const auto index = static_cast<size_t>(phase);
  return index < kNames.size() ? kNames.at(index) : "Unknown";
}

std::string_view to_string(Kept kept) {
  constexpr std::array<std::string_view, 7> kNames{"running",   "wanted",   "pulling", "previous",
                                                   "preloaded", "imported", "unused"};
  const auto index = static_cast<size_t>(kept);
  return index < kNames.size() ? kNames.at(index) : "unknown";
}

void WorkloadView::show_pulls(std::vector<PullView> now) {
  pulls = std::move(now);
  if (phase != Phase::Pulling || pulls.empty()) return;
  message = pulls.size() == 1 ? "pulling " + pulls[0].image
                              : "pulling " + std::to_string(pulls.size()) + " images";
  if (const std::string progress = progress_text(pulls); !progress.empty()) {
    message += ": " + progress;
  }
  message += pull_aside;
}

const WorkloadView* StateView::find(std::string_view name) const {
  const auto found = std::find_if(workloads.begin(), workloads.end(),
                                  [&](const WorkloadView& w) { return w.name == name; });
  return found == workloads.end() ? nullptr : &*found;
}

std::string to_reported_json(const StateView& view) {
  Json json{{"apiVersion", "wherry/v1"},   {"kind", "ReportedState"},
            {"at", time_or_null(view.at)}, {"device", device_json(view.device)},
            {"desired", Json::array()},    {"workloads", Json::array()},
            {"conditions", Json::array()}};
  for (const DesiredView& desired : view.desired) json["desired"].push_back(desired_json(desired));
  for (const WorkloadView& workload : view.workloads) {
    json["workloads"].push_back(workload_json(workload));
  }
  if (!view.controllers.empty()) {
    json["controllers"] = Json::array();
    for (const ControllerView& controller : view.controllers) {
      json["controllers"].push_back(controller_json(controller));
    }
  }
  if (!view.services.empty()) json["services"] = Json::array();
  for (const ServiceView& service : view.services) {
    json["services"].push_back(service_json(service));
  }
  for (const ConditionView& condition : view.conditions) {
    json["conditions"].push_back(condition_json(condition));
  }
  if (view.usage) {
    json["usage"] = {{"day", view.usage->day},
                     {"sentBytes", view.usage->sent_bytes},
                     {"receivedBytes", view.usage->received_bytes},
                     {"writtenBytes", view.usage->written_bytes}};
  }
  return dump(json);
}

std::string to_json(const WorkloadView& workload) { return dump(workload_json(workload)); }
std::string to_json(const ControllerView& controller) { return dump(controller_json(controller)); }

std::string to_json(const ServiceView& service) { return dump(service_json(service)); }

void StateBoard::set(std::shared_ptr<const StateView> view) {
  if (!view) return;
  const std::shared_ptr<const StateView> shown = view;
  {
    const std::lock_guard lock(mutex_);
    view_.swap(view);  // the old one dies after the lock is gone
  }
  if (listener_) listener_(*shown);
}

std::shared_ptr<const StateView> StateBoard::get() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

}  // namespace wherry

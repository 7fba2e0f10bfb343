#include "agent/reconcile/why.h"

#include <nlohmann/json.hpp>

#include "base/quantity.h"

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;

// Without the broker workloads run on, and start.
bool matters(const ConditionView& condition) {
  return !condition.status && condition.type != "BrokerConnected" &&
         condition.type != "CertificateValid";
}

void add_container(const WorkloadView& workload, const ContainerView& container,
                   std::vector<Because>& chain) {
  const bool fine = container.state == "running" && container.ready;
  const bool over = container.state == "exited" && container.exit_code == 0;
  if (fine || over) return;
  Because because{"container " + container.name, container.reason, container.message,
                  container.state == "running" ? container.started_at : container.finished_at};
  if (container.exit_code) {
    std::string ended = "it ended with exit code " + std::to_string(*container.exit_code);
    if (container.restarts > 0) {
      ended += " and was started again " + std::to_string(container.restarts) + " times";
    }
    because.message = because.message.empty() ? ended : ended + ": " + because.message;
  } else if (container.state == "running" && because.message.empty()) {
    because.message = "it runs and is not ready yet";
  }
  // What the workload says already is not said again.
  if (because.message.empty() && because.reason == workload.reason) return;
  chain.push_back(std::move(because));
}

std::string place_and_message(const Finding& error) {
  return (error.path.empty() ? "" : error.path + ": ") + error.message;
}

void add_document(const StateView& view, const std::string& source, std::vector<Because>& chain) {
  for (const DesiredView& document : view.desired) {
    if (document.source != source) continue;
    for (const Finding& error : document.errors) {
      chain.push_back({"document " + source, "Invalid", place_and_message(error), {}});
    }
    if (!document.rejected || document.rejected->errors.empty()) continue;
    const Finding& error = document.rejected->errors.front();
    std::string what =
        document.rejected->revision == 0
            ? "the newest one was refused, so "
            : "revision " + std::to_string(document.rejected->revision) + " was refused, so ";
    what += document.revision == 0 ? std::string("none holds")
                                   : "revision " + std::to_string(document.revision) + " holds";
    chain.push_back({"document " + source, "Rejected", what + ": " + place_and_message(error), {}});
  }
}

Json time_or_null(WallTime time) { return time == WallTime{} ? Json() : Json(to_rfc3339(time)); }

}  // namespace

std::vector<Because> why(const StateView& view, const WorkloadView& workload) {
  std::vector<Because> chain;
  for (const ContainerView& container : workload.containers) {
    add_container(workload, container, chain);
  }
  for (const PullView& pull : workload.pulls) {
    std::string far = format_bytes(pull.done_bytes);
    if (pull.total_bytes > 0) far += " of " + format_bytes(pull.total_bytes);
    chain.push_back({"image " + pull.image, "Pulling", far + " are here", {}});
  }
  for (const ControllerView& controller : view.controllers) {
    if (controller.kind + "/" + controller.name != workload.owner) continue;
    if (controller.message.empty()) continue;
    chain.push_back({workload.owner, controller.reason, controller.message, controller.since});
  }
  for (const ConditionView& condition : view.conditions) {
    if (!matters(condition)) continue;
    chain.push_back(
        {"device: not " + condition.type, condition.reason, condition.message, condition.since});
  }
  add_document(view, workload.source, chain);
  return chain;
}

std::vector<Because> why_absent(const StateView& view, const std::string& name) {
  std::vector<Because> chain;
  for (const DesiredView& document : view.desired) {
    for (const Finding& warning : document.warnings) {
      if (warning.message.find("\"" + name + "\"") == std::string::npos) continue;
      chain.push_back({"document " + document.source, "LeftOut", warning.message, {}});
    }
    add_document(view, document.source, chain);
  }
  return chain;
}

Json why_json(const StateView& view, const WorkloadView& workload) {
  Json because = Json::array();
  for (const Because& each : why(view, workload)) {
    because.push_back({{"about", each.about},
                       {"reason", each.reason},
                       {"message", each.message},
                       {"since", time_or_null(each.since)}});
  }
  return {{"name", workload.name},
          {"phase", to_string(workload.phase)},
          {"ready", workload.ready},
          {"reason", workload.reason},
          {"message", workload.message},
          {"since", time_or_null(workload.since)},
          {"source", workload.source},
          {"revision", workload.revision},
          {"nextAttempt", time_or_null(workload.next)},
          {"because", std::move(because)}};
}

}  // namespace wherry

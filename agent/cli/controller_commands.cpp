// What wherry list and get show of Deployments, Jobs and their like.
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"
#include "agent/cli/text_width.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string name_of(const Json& controller) {
  return text_of(controller, "kind") + "/" + text_of(controller, "name");
}

std::string number_text(const Json& controller, const char* key) {
  return std::to_string(number_of(controller, key));
}

// How many of how many: ready, or succeeded; of a CronJob the Jobs that run.
std::string progress_text(const Json& controller) {
  const std::string kind = text_of(controller, "kind");
  if (kind == "CronJob") return number_text(controller, "active") + " active";
  if (kind == "Job") {
    return number_text(controller, "succeeded") + "/" + number_text(controller, "completions");
  }
  return number_text(controller, "readyReplicas") + "/" + number_text(controller, "replicas");
}

std::string time_or_never(const Json& controller, const char* key) {
  const std::string time = text_of(controller, key);
  return time.empty() ? "never" : time;
}

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields details(const Json& controller) {
  const std::string kind = text_of(controller, "kind");
  if (kind == "CronJob") {
    return {{"Schedule", text_of(controller, "schedule") + " " + text_of(controller, "timeZone")},
            {"Last", time_or_never(controller, "lastScheduleTime")},
            {"Next", time_or_never(controller, "nextScheduleTime")},
            {"Active", number_text(controller, "active")}};
  }
  if (kind == "Job") {
    return {{"Started by", text_of(controller, "owner")},
            {"Active", number_text(controller, "active")},
            {"Succeeded", progress_text(controller)},
            {"Failed", number_text(controller, "failed")},
            {"Finished", text_of(controller, "finishedAt")}};
  }
  return {{"Ready", progress_text(controller)},
          {"Updated", number_text(controller, "updatedReplicas")}};
}

std::string controller_text(const Json& controller, const Clock& clock) {
  std::string phase = text_of(controller, "phase");
  if (const std::string since = human_age(text_of(controller, "since"), clock); since != "-") {
    phase += " for " + since;
  }
  Fields fields{{"Name", name_of(controller)},
                {"Phase", phase},
                {"Reason", text_of(controller, "reason")},
                {"Message", text_of(controller, "message")},
                {"Source", text_of(controller, "source")}};
  for (auto& field : details(controller)) fields.push_back(std::move(field));
  return render_fields(fields);
}

}  // namespace

std::string controllers_table(const Json& controllers, const Session& session) {
  Table table({"OBJECT", "PHASE", "PROGRESS", "AGE", "SOURCE", "REASON"});
  for (const Json& controller : controllers) {
    table.add({name_of(controller), text_of(controller, "phase"), progress_text(controller),
               human_age(text_of(controller, "since"), session.io.clock),
               text_of(controller, "source"), text_of(controller, "reason")});
  }
  return table.render(session.io.width);
}

std::string ports_text(const Json& service) {
  std::vector<std::string> ports;
  for (const Json& port : list_of(service, "ports")) {
    std::string text = number_text(port, "port");
    if (port.contains("nodePort")) text += ":" + number_text(port, "nodePort");
    ports.push_back(text + "/" + text_of(port, "protocol"));
  }
  return join(ports, ",");
}

std::string pods_text(const Json& service) {
  std::vector<std::string> pods;
  for (const Json& pod : list_of(service, "pods")) {
    if (pod.is_string()) pods.push_back(pod.get<std::string>());
  }
  return join(pods, ",");
}

std::string address_text(const Json& service) {
  const std::string address = text_of(service, "address");
  return address.empty() ? "None" : address;
}

std::string services_table(const Json& services, const Session& session) {
  Table table({"SERVICE", "ADDRESS", "PORTS", "PODS", "SOURCE", "REASON"});
  for (const Json& service : services) {
    table.add({text_of(service, "name"), address_text(service), ports_text(service),
               pods_text(service), text_of(service, "source"), text_of(service, "reason")});
  }
  return table.render(session.io.width);
}

namespace {

std::string service_text(const Json& service) {
  return render_fields({{"Name", "Service/" + text_of(service, "name")},
                        {"Address", address_text(service)},
                        {"Ports", ports_text(service)},
                        {"Pods", pods_text(service)},
                        {"Reason", text_of(service, "reason")},
                        {"Message", text_of(service, "message")},
                        {"Source", text_of(service, "source")}});
}

int show(const Session& session, const Json& object, const std::string& text) {
  if (session.format != Format::Table) {
    print_data(session, object);
  } else {
    print(session, text);
  }
  return kDone;
}

}  // namespace

int show_controller(const Session& session, const NamedObject& object) {
  const auto answer = session.client.get("/v1/workloads");
  if (!answer) return report(session, answer.error());
  for (const Json& controller : list_of(*answer, "controllers")) {
    if (name_of(controller) != object.kind + "/" + object.name) continue;
    return show(session, controller, controller_text(controller, session.io.clock));
  }
  for (const Json& service : list_of(*answer, "services")) {
    if (object.kind != "Service" || text_of(service, "name") != object.name) continue;
    return show(session, service, service_text(service));
  }
  return report(session, no_such_object(object));
}

}  // namespace wherry::cli

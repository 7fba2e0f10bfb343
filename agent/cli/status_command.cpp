// wherry status, wherry version
#include <map>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"
#include "agent/cli/text_width.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

const Json& object_of(const Json& json, const char* key) {
  static const Json kNone = Json::object();
  return json.is_object() && json.contains(key) && json[key].is_object() ? json[key] : kNone;
}

std::string joined(const Json& list) {
  std::vector<std::string> parts;
  for (const Json& item : list) {
    if (item.is_string()) parts.push_back(item.get<std::string>());
  }
  return join(parts, ", ");
}

std::string labels_text(const Json& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels.items()) {
    if (value.is_string()) parts.push_back(key + "=" + value.get<std::string>());
  }
  return join(parts, ", ");
}

// "connected for 5m" or "not connected for 2h: NotAuthorized, the broker refused …"
std::string condition_text(const Json& conditions, const std::string& type, const std::string& good,
                           const Clock& clock) {
  for (const Json& condition : conditions) {
    if (text_of(condition, "type") != type) continue;
    const bool ok = flag_of(condition, "status");
    std::string text = ok ? good : "not " + good;
    const std::string since = human_age(text_of(condition, "since"), clock);
    if (since != "-") text += " for " + since;
    std::vector<std::string> why;
    for (const char* key : {"reason", "message"}) {
      if (std::string part = text_of(condition, key); !part.empty()) why.push_back(part);
    }
    return why.empty() ? text : text + (ok ? " (" : ": ") + join(why, ", ") + (ok ? ")" : "");
  }
  return "not known yet";
}

std::string workloads_text(const Json& workloads) {
  std::map<std::string, size_t> phases;
  for (const Json& workload : workloads) ++phases[text_of(workload, "phase")];
  std::vector<std::string> parts;
  parts.reserve(phases.size());
  for (const auto& [phase, count] : phases) parts.push_back(std::to_string(count) + " " + phase);
  if (parts.empty()) return "none";
  return std::to_string(workloads.size()) + " (" + join(parts, ", ") + ")";
}

std::string device_fields(const Json& state, const Session& session) {
  const Json& device = object_of(state, "device");
  const Json& conditions = list_of(state, "conditions");
  std::vector<std::string> machine;
  if (const std::string arch = text_of(device, "arch"); !arch.empty()) machine.push_back(arch);
  if (number_of(device, "cpus") > 0) {
    machine.push_back(std::to_string(number_of(device, "cpus")) + " cpus");
  }
  if (number_of(device, "memoryBytes") > 0) {
    machine.push_back(format_bytes(number_of(device, "memoryBytes")));
  }
  std::string system = text_of(device, "os");
  if (const std::string kernel = text_of(device, "kernel"); !kernel.empty()) {
    system += (system.empty() ? "kernel " : ", kernel ") + kernel;
  }
  std::string containerd =
      condition_text(conditions, "ContainerdReady", "reachable", session.io.clock);
  if (const std::string version = text_of(device, "containerd"); !version.empty()) {
    containerd = version + ", " + containerd;
  }
  return render_fields(
      {{"Device", text_of(device, "id")},
       {"Machine", join(machine, ", ")},
       {"System", system},
       {"Agent", text_of(device, "agent")},
       {"Groups", joined(list_of(device, "groups"))},
       {"Labels", labels_text(object_of(device, "labels"))},
       {"Broker", condition_text(conditions, "BrokerConnected", "connected", session.io.clock)},
       {"Containerd", containerd},
       {"Workloads", workloads_text(list_of(state, "workloads"))}});
}

std::string findings_text(const Json& findings, const std::string& title) {
  std::string text;
  for (const Json& finding : findings) {
    const std::string path = text_of(finding, "path");
    text.append("  ").append(title).append(": ");
    if (!path.empty()) text.append(printable(path)).append(": ");
    text.append(printable(text_of(finding, "message"))).append("\n");
  }
  return text;
}

std::string documents_text(const Json& state, const Session& session) {
  const Json& desired = list_of(state, "desired");
  if (desired.empty()) return "No documents yet: nothing is meant to run.\n";
  Table table({"DOCUMENT", "REVISION", "STATE", "ERRORS", "WARNINGS"});
  std::string details;
  for (const Json& document : desired) {
    const std::string source = text_of(document, "source");
    table.add({source, std::to_string(number_of(document, "revision")), text_of(document, "state"),
               std::to_string(list_of(document, "errors").size()),
               std::to_string(list_of(document, "warnings").size())});
    std::string findings = findings_text(list_of(document, "errors"), "error") +
                           findings_text(list_of(document, "warnings"), "warning");
    if (!findings.empty()) {
      details += "\n" + source + " revision " + std::to_string(number_of(document, "revision")) +
                 ":\n" + findings;
    }
    const Json& rejected = object_of(document, "rejected");
    if (!rejected.empty()) {
      // One that cannot be read has none.
      const int64_t revision = number_of(rejected, "revision");
      details += "\n" + source +
                 (revision > 0 ? " revision " + std::to_string(revision)
                               : std::string(": a document that cannot be read")) +
                 " was rejected:\n" + findings_text(list_of(rejected, "errors"), "error");
    }
  }
  return table.render(session.io.width) + details;
}

std::string conditions_text(const Json& state, const Session& session) {
  Table table({"CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"});
  for (const Json& condition : list_of(state, "conditions")) {
    table.add({text_of(condition, "type"), flag_of(condition, "status") ? "True" : "False",
               human_age(text_of(condition, "since"), session.io.clock),
               text_of(condition, "reason"), text_of(condition, "message")});
  }
  return table.render(session.io.width);
}

}  // namespace

int show_status(const Session& session) {
  const auto state = session.client.get("/v1/status");
  if (!state) return report(session, state.error());
  if (session.format != Format::Table) {
    print_data(session, *state);
    return kDone;
  }
  print(session, device_fields(*state, session) + "\n" + documents_text(*state, session));
  if (!list_of(*state, "conditions").empty()) {
    print(session, "\n" + conditions_text(*state, session));
  }
  return kDone;
}

int print_metrics(const Session& session) {
  const Status printed = session.client.stream("/metrics", [&](std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), session.io.out) == bytes.size();
  });
  return printed ? kDone : report(session, printed.error());
}

int show_version(const Session& session, const std::string& version) {
  const auto state = session.client.get("/v1/status");
  const Json device = state ? object_of(*state, "device") : Json::object();
  if (session.format != Format::Table) {
    Json json{{"client", version}, {"daemon", nullptr}, {"containerd", nullptr}};
    if (state) {
      json["daemon"] = text_of(device, "agent");
      json["containerd"] = text_of(device, "containerd");
    }
    print_data(session, json);
    return kDone;
  }
  const std::string agent = text_of(device, "agent");
  print(session, render_fields({{"wherry", version},
                                {"wherryd", state ? (agent.empty() ? "unknown" : agent)
                                                  : state.error().full()},
                                {"containerd", text_of(device, "containerd")}}));
  return kDone;
}

}  // namespace wherry::cli

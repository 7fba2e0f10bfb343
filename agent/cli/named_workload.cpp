// Kind/name on the command line: which workloads are meant.
#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/text_width.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

// As documents write it, and what kubectl takes besides; of all, case does not matter.
struct Kind {
  std::string_view kind, plural, brief;
};
constexpr std::array<Kind, 7> kKinds{{{"Pod", "pods", "po"},
                                      {"Deployment", "deployments", "deploy"},
                                      {"DaemonSet", "daemonsets", "ds"},
                                      {"StatefulSet", "statefulsets", "sts"},
                                      {"Job", "jobs", "job"},
                                      {"CronJob", "cronjobs", "cj"},
                                      {"Service", "services", "svc"}}};
// A Service runs nothing: it can be looked at, no more.
constexpr std::span<const Kind> kRun{kKinds.data(), kKinds.size() - 1};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

Result<NamedObject> parse_object(const std::string& text, std::span<const Kind> kinds) {
  const size_t slash = text.find('/');
  const std::string word = text.substr(0, slash), name = text.substr(slash + 1);
  std::vector<std::string> known;
  std::vector<std::string_view> candidates;
  const std::string given = lower(word);
  for (const Kind& each : kinds) {
    if (given == lower(each.kind) || given == each.plural || given == each.brief) {
      return NamedObject{std::string(each.kind), name};
    }
    known.emplace_back(each.kind);
    candidates.push_back(each.kind);
  }
  const std::string near = nearest(word, candidates);
  return fail(Code::InvalidArgument,
              "\"" + printable(text) + "\": \"" + printable(word) +
                  "\" is none of the kinds that can stand before a name here: " +
                  join(known, ", ") + (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

struct Found {
  std::vector<std::string> workloads;  // Pods
  std::vector<std::string> runs;       // Jobs and CronJobs: there are events about them, too
};

Result<Found> find(const Client& client, const NamedObject& object) {
  const auto answer = client.get("/v1/workloads");
  if (!answer) return fail(answer.error());
  Found found;
  std::set<std::string> owners;  // Kind/name; the Jobs of a CronJob come before their Pods
  bool there = false;
  for (const Json& controller : list_of(*answer, "controllers")) {
    const std::string kind = text_of(controller, "kind"), name = text_of(controller, "name");
    const bool itself = kind == object.kind && name == object.name;
    if (!itself && text_of(controller, "owner") != object.kind + "/" + object.name) continue;
    there = there || itself;
    owners.insert(kind + "/" + name);
    if (kind == "Job" || kind == "CronJob") found.runs.push_back(name);
  }
  owners.insert(object.kind + "/" + object.name);
  for (const Json& workload : list_of(*answer, "workloads")) {
    const std::string name = text_of(workload, "name");
    const bool pod = object.kind == "Pod" && name == object.name;
    if (!pod && !owners.contains(text_of(workload, "owner"))) continue;
    found.workloads.push_back(name);
  }
  if (there || !found.workloads.empty()) return found;
  return fail(no_such_object(object));
}

}  // namespace

Error no_such_object(const NamedObject& object) {
  return {Code::NotFound, "there is no " + object.kind + " \"" + printable(object.name) +
                              "\" on this device; wherry list shows what is"};
}

Result<NamedObject> parse_shown_object(const std::string& text) {
  return parse_object(text, kKinds);
}

Result<std::string> find_workload(const Client& client, const std::string& text) {
  if (text.find('/') == std::string::npos) return text;
  const auto object = parse_object(text, kRun);
  if (!object) return fail(object.error());
  const auto found = find(client, *object);
  if (!found) return fail(found.error());
  if (found->workloads.size() == 1) return found->workloads.front();
  const std::string name = object->kind + "/" + printable(object->name);
  if (found->workloads.empty()) return fail(Code::NotFound, name + " has no Pod now");
  return fail(Code::InvalidArgument,
              name + " has several Pods; name one: " + join(found->workloads, ", "));
}

Result<std::vector<std::string>> find_subjects(const Client& client, const std::string& text) {
  if (text.find('/') == std::string::npos) return std::vector{text};
  const auto object = parse_object(text, kRun);
  if (!object) return fail(object.error());
  auto found = find(client, *object);
  if (!found) return fail(found.error());
  found->workloads.insert(found->workloads.end(), found->runs.begin(), found->runs.end());
  return std::move(found->workloads);
}

}  // namespace wherry::cli

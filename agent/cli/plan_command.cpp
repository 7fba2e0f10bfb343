// wherry plan: what a document would change, need and cost.
#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"
#include "agent/cli/text_width.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string said(const Json& json) {
  return printable(text_of(json, "reason") + ": " + text_of(json, "message"));
}

std::string changes(const Json& plan, const Session& session) {
  Table table({"CHANGE", "WORKLOAD", "WHY"});
  for (const Json& each : list_of(plan, "workloads")) {
    table.add({text_of(each, "change"), printable(text_of(each, "name")),
               printable(text_of(each, "message"))});
  }
  const bool none = list_of(plan, "workloads").empty();
  return none ? "No workloads.\n" : table.render(session.io.width);
}

std::string pulls(const Json& plan, const Session& session) {
  if (list_of(plan, "images").empty()) return {};
  Table table({"TO PULL", "DOWNLOAD", "ON DISK"});
  for (const Json& image : list_of(plan, "images")) {
    const bool known = image.value("problem", Json()).is_null();
    table.add({printable(text_of(image, "image")),
               known ? format_bytes(number_of(image, "downloadBytes")) : "not known",
               known ? format_bytes(number_of(image, "diskBytes")) : "not known"});
  }
  std::string text = "\n" + table.render(session.io.width);
  for (const Json& disk : list_of(plan, "disks")) {
    if (number_of(disk, "neededBytes") == 0) continue;
    text += text_of(disk, "path") + " (" + text_of(disk, "holds") + "): about " +
            format_bytes(number_of(disk, "neededBytes")) + " needed, " +
            format_bytes(number_of(disk, "freeBytes")) + " free, " +
            format_bytes(number_of(disk, "reservedBytes")) + " of them kept free\n";
  }
  return text;
}

std::string amount(const std::string& resource, const Json& value) {
  if (!value.is_number()) return "";
  const auto number = value.get<int64_t>();
  if (resource == "cpu") return std::to_string(number) + "m";
  const bool bytes =
      resource == "memory" || resource == "ephemeral-storage" || resource.starts_with("hugepages-");
  if (!bytes) return std::to_string(number);
  return number < 0 ? "-" + format_bytes(-number) : format_bytes(number);
}

std::string resources(const Json& plan, const Session& session) {
  Table table({"RESOURCE", "ASKED FOR NOW", "THEN", "LEFT", "FOR WORKLOADS"});
  for (const Json& each : list_of(plan, "resources")) {
    const std::string name = text_of(each, "resource");
    const auto cell = [&](const char* key) { return amount(name, each.value(key, Json())); };
    table.add({name, cell("before"), cell("after"), cell("left"), cell("limit")});
  }
  return "\n" + table.render(session.io.width);
}

std::string verdict(const Json& plan) {
  std::string text = "\n";
  for (const Json& each : list_of(plan, "down")) {
    text += "goes down: " + printable(text_of(each, "name")) + ": " + said(each) + "\n";
  }
  if (list_of(plan, "down").empty()) text += "Nothing that runs goes down.\n";
  for (const Json& each : list_of(plan, "workloads")) {
    const Json obstacle = each.value("obstacle", Json());
    if (!obstacle.is_object()) continue;
    text += "cannot start: " + printable(text_of(each, "name")) + ": " + said(obstacle) + "\n";
  }
  for (const Json& each : list_of(plan, "warnings")) {
    const std::string path = text_of(each, "path");
    text += "warning: " + printable((path.empty() ? "" : path + ": ") + text_of(each, "message")) +
            "\n";
  }
  return text;
}

}  // namespace

int plan(const Session& session, const PlanArguments& arguments) {
  std::string target = "/v1/plan";
  if (!arguments.source.empty()) target += "?source=" + escape_query(arguments.source);
  const auto answer = hand_in(session, "POST", target, arguments.file);
  if (!answer) return answer.error();
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  print(session, changes(*answer, session) + pulls(*answer, session) + resources(*answer, session) +
                     verdict(*answer));
  return kDone;
}

}  // namespace wherry::cli

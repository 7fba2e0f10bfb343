#include "tests/fuzz/manifest_invariants.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "agent/manifest/document.h"
#include "agent/manifest/merged_document.h"
#include "agent/manifest/node.h"
#include "agent/manifest/node_json.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr size_t kLongestMessage = 1000;

std::string broken_finding(const Finding& finding, int lines, bool merged) {
  if (finding.message.empty()) return "a finding without message";
  if (finding.message.size() > kLongestMessage) return "a message of no bounded length";
  if (!is_valid_utf8(finding.message) || !is_valid_utf8(finding.path)) {
    return "a finding that is no UTF-8: " + finding.path + ": " + finding.message;
  }
  if (finding.line < 0 || finding.line > lines + 1 || finding.column < 0) {
    return "a line that the text does not have: " + finding.message;
  }
  if (merged && finding.path.find(':') == std::string::npos) return "no source: " + finding.path;
  return {};
}

std::string broken_findings(const std::vector<Finding>& findings, int lines, bool merged) {
  if (findings.size() > 101) return "more than 100 findings and the last";
  for (const Finding& finding : findings) {
    const bool rest = findings.size() == 101 && &finding == &findings.back();
    std::string broken = broken_finding(finding, lines, merged && !rest);
    if (!broken.empty()) return broken;
  }
  return {};
}

std::string broken_workloads(const Merged& merged) {
  std::set<std::string> names;
  for (const WorkloadSpec& workload : merged.workloads) {
    if (!names.empty() && *names.rbegin() >= workload.name()) return "workloads are not sorted";
    names.insert(workload.name());
    if (workload.pod.containers.empty()) return "a workload without containers";
    if (workload.pod.hash != spec_hash(workload)) return "a workload with a wrong hash";
  }
  for (const WorkloadSpec& workload : merged.workloads) {
    for (const std::string& wanted : workload.depends_on) {
      if (names.count(wanted) == 0) return "a dependency on what is not there";
    }
  }
  return {};
}

std::vector<std::string> hashes(const Merged& merged) {
  std::vector<std::string> all;
  for (const WorkloadSpec& workload : merged.workloads) all.push_back(workload.pod.hash);
  return all;
}

// A good document written as JSON means the same.
std::string broken_round_trip(std::string_view text, const Merged& merged) {
  const manifest::Tree tree = manifest::read_tree(text);
  const std::string json = manifest::to_json(*tree.documents.at(0)).dump();
  if (json.size() > kMaxDocumentBytes) return {};
  const Document again = parse_desired_state(json);
  if (!again.valid()) {
    return "good as YAML, bad as JSON: " + again.errors[0].path + ": " + again.errors[0].message;
  }
  if (hashes(merge({{"d", &again}}, {})) != hashes(merged)) return "other hashes as JSON";
  return {};
}

// As it is shown among all documents, it means the same; of Secrets nobody is told enough for that.
std::string broken_merged(const Document& document, const Merged& merged) {
  auto shown = nlohmann::json::parse(merged_document({{"d", &document}}), nullptr, false);
  if (shown.is_discarded()) return "shown as what is no JSON";
  for (const auto& item : shown["spec"]["items"]) {
    if (item.value("kind", "") == "Secret") return {};
  }
  shown.erase("sources");
  shown["metadata"]["revision"] = 1;
  const std::string json = shown.dump();
  if (json.size() > kMaxDocumentBytes) return {};
  const Document again = parse_desired_state(json);
  if (!again.valid()) {
    return "good, but shown as bad: " + again.errors[0].path + ": " + again.errors[0].message;
  }
  if (hashes(merge({{"d", &again}}, {})) != hashes(merged)) return "shown with other hashes";
  return {};
}

}  // namespace

std::string broken_invariant(std::string_view text) {
  const int lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) +
                    static_cast<int>(std::count(text.begin(), text.end(), '\r'));
  const Document sent = parse_desired_state(text);
  const Document local = parse_local_manifest(text, "f.yaml");
  for (const Document* document : {&sent, &local}) {
    // YAML counts NEL, LS and PS as line breaks as well: each is at least two bytes.
    const int most = lines + static_cast<int>(text.size() / 2);
    for (const auto* findings : {&document->errors, &document->warnings}) {
      std::string broken = broken_findings(*findings, most, false);
      if (!broken.empty()) return broken;
    }
    if (document->valid() != (document->items != nullptr)) return "items of a bad document";
    const Merged merged = merge({{"d", document}}, {});
    std::string broken = broken_findings(merged.errors, most, true);
    if (broken.empty()) broken = broken_workloads(merged);
    if (broken.empty() && document == &sent && sent.valid())
      broken = broken_round_trip(text, merged);
    if (broken.empty() && document->valid()) broken = broken_merged(*document, merged);
    if (!broken.empty()) return broken;
  }
  if (sent.valid() && !local.valid()) return "a DesiredState that is no local manifest";
  return {};
}

}  // namespace wherry

#pragma once
// Short ways to write documents and to say what must come of them.

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "agent/manifest/document.h"

namespace wherry::manifest_test {

// A DesiredState whose items are `items` (YAML, indented by two or not at all: "- kind: Pod …").
inline std::string desired(std::string_view items, int revision = 1) {
  return "apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: " +
         std::to_string(revision) + " }\nspec:\n  items:\n" + std::string(items);
}

// One Pod "web" with this spec (YAML indented by four), beginning on line 10.
inline std::string pod(std::string_view spec) {
  return desired("  - apiVersion: v1\n    kind: Pod\n    metadata:\n      name: web\n    spec:\n" +
                 std::string(spec));
}
inline constexpr int kPodSpecLine = 11;

// The same with one good container and more fields of that container (indented by eight).
inline std::string container(std::string_view fields) {
  return pod("      containers:\n      - name: c\n        image: i:1\n" + std::string(fields));
}
inline constexpr int kContainerLine = kPodSpecLine + 3;

inline std::string print(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += std::to_string(finding.line) + ":" + std::to_string(finding.column) + " " +
            finding.path + ": " + finding.message + "\n";
  }
  return text;
}

inline const Finding* find(const std::vector<Finding>& findings, std::string_view path,
                           std::string_view part) {
  for (const Finding& finding : findings) {
    if (finding.path == path && finding.message.find(part) != std::string::npos) return &finding;
  }
  return nullptr;
}

inline void expect_valid(const Document& document) {
  EXPECT_TRUE(document.valid()) << print(document.errors);
}

// Merges one document as the device's own and gives its only workload.
inline WorkloadSpec only_workload(const std::string& text, const DeviceFacts& facts = {}) {
  const Document document = parse_desired_state(text);
  EXPECT_TRUE(document.valid()) << print(document.errors) << text;
  Merged merged = merge({{"devices/d", &document}}, facts);
  EXPECT_TRUE(merged.errors.empty()) << print(merged.errors) << text;
  EXPECT_EQ(merged.workloads.size(), 1U);
  return merged.workloads.empty() ? WorkloadSpec() : std::move(merged.workloads.front());
}

}  // namespace wherry::manifest_test

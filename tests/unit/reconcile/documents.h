#pragma once
// Documents as a fleet manager writes them.

#include <string>
#include <vector>

#include "agent/manifest/document.h"

namespace wherry::test {

// One line of YAML: usable as an item and as a local manifest. `metadata` and `spec` add to it.
inline std::string pod(const std::string& name, const std::string& image = "img:1",
                       const std::string& spec = "", const std::string& metadata = "") {
  return "{ apiVersion: v1, kind: Pod, metadata: { name: " + name + metadata +
         " }, spec: { hostNetwork: true, containers: [{ name: app, image: \"" + image + "\" }]" +
         spec + " } }\n";
}

inline std::string dependent(const std::string& name, const std::string& on) {
  return pod(name, "img:1", "", ", annotations: { wherry/depends-on: \"" + on + "\" }");
}

inline std::string document(uint64_t revision, const std::vector<std::string>& items,
                            const std::string& metadata = "") {
  std::string text = "apiVersion: wherry/v1\nkind: DesiredState\nmetadata:\n  revision: " +
                     std::to_string(revision) + "\n";
  if (!metadata.empty()) text += "  " + metadata + "\n";
  text += items.empty() ? "spec: { items: [] }\n" : "spec:\n  items:\n";
  for (const std::string& item : items) text += "  - " + item;
  return text;
}

}  // namespace wherry::test

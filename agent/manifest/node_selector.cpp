#include "agent/manifest/node_selector.h"

namespace wherry::manifest {
namespace {

std::string value_of(const DeviceFacts& facts, const std::string& key) {
  if (key == "kubernetes.io/os") return "linux";
  if (key == "kubernetes.io/arch") return facts.arch;
  if (key == "kubernetes.io/hostname") return facts.hostname;
  const auto found = facts.labels.find(key);
  return found == facts.labels.end() ? std::string() : found->second;
}

bool has_label(const DeviceFacts& facts, const std::string& key) {
  return key == "kubernetes.io/os" || key == "kubernetes.io/arch" ||
         key == "kubernetes.io/hostname" || facts.labels.count(key) != 0;
}

}  // namespace

std::string mismatch(const PodItem& pod, const DeviceFacts& facts) {
  if (facts.any) return {};
  for (const auto& [key, wanted] : pod.node_selector) {
    const bool has = has_label(facts, key);
    const std::string value = value_of(facts, key);
    if (has && value == wanted) continue;
    std::string why = "nodeSelector wants ";
    why.append(key).append("=").append(wanted).append(", and this device has ");
    return has ? why.append(key).append("=").append(value) : why.append("no label ").append(key);
  }
  return {};
}

bool may_meet(const PodItem& a, const PodItem& b) {
  for (const auto& [key, wanted] : a.node_selector) {
    const auto other = b.node_selector.find(key);
    if (other != b.node_selector.end() && other->second != wanted) return false;
  }
  return true;
}

}  // namespace wherry::manifest

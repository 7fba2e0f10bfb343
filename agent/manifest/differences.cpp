#include "agent/manifest/differences.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "agent/manifest/items.h"
#include "base/text.h"

namespace wherry {
namespace {

using manifest::ConfigItem;
using manifest::PodItem;

// What the canonical form calls by names of its own.
std::string_view field_name(std::string_view name) {
  static const std::map<std::string_view, std::string_view> kNames{
      {"active-deadline", "activeDeadlineSeconds"},
      {"alias", "hostAliases"},
      {"arg", "args"},
      {"cdi", "metadata.annotations"},
      {"counted", "resources"},
      {"cpu-limit", "resources.limits.cpu"},
      {"cpu-request", "resources.requests.cpu"},
      {"data-api", "metadata.annotations[wherry/data-api]"},
      {"dir", "workingDir"},
      {"dns", "dnsConfig.nameservers"},
      {"dns-option", "dnsConfig.options"},
      {"dns-own", "dnsPolicy"},
      {"domain", "subdomain"},
      {"fs-group", "securityContext.fsGroup"},
      {"full-hostname", "setHostnameAsFQDN"},
      {"host-ipc", "hostIPC"},
      {"host-network", "hostNetwork"},
      {"host-pids", "hostPID"},
      {"liveness", "livenessProbe"},
      {"memory-limit", "resources.limits.memory"},
      {"memory-request", "resources.requests.memory"},
      {"message-from-logs", "terminationMessagePolicy"},
      {"message-path", "terminationMessagePath"},
      {"mount", "volumeMounts"},
      {"pids-limit", "resources"},
      {"port", "ports"},
      {"post-start", "lifecycle.postStart"},
      {"pre-stop", "lifecycle.preStop"},
      {"qos", "resources (their class of service)"},
      {"readiness", "readinessProbe"},
      {"restart", "restartPolicy"},
      {"role", "restartPolicy"},
      {"runtime-class", "runtimeClassName"},
      {"search", "dnsConfig.searches"},
      {"security", "securityContext"},
      {"share-processes", "shareProcessNamespace"},
      {"startup", "startupProbe"},
      {"sysctl", "securityContext.sysctls"}};
  const auto found = kNames.find(name);
  return found == kNames.end() ? name : found->second;
}

// The values of each field, in order.
using Fields = std::map<std::string, std::vector<std::string>>;

// Takes the canonical form apart again.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text) : text_(text) {}

  Fields read() {
    while (!text_.empty()) {
      if (text_[0] == '}') {
        text_.remove_prefix(1);
        if (!levels_.empty()) levels_.pop_back();
        continue;
      }
      const size_t end = text_.find_first_of("{=");
      if (end == std::string_view::npos) break;
      const std::string_view name = text_.substr(0, end);
      const bool opens = text_[end] == '{';
      text_.remove_prefix(end + 1);
      if (opens) {
        levels_.emplace_back(name);
        key_.clear();
      } else if (!take(name)) {
        break;
      }
    }
    return std::move(fields_);
  }

 private:
  bool take(std::string_view name) {
    size_t size = 0;
    const auto number = std::from_chars(text_.data(), text_.data() + text_.size(), size);
    const auto begin = static_cast<size_t>(number.ptr - text_.data()) + 1;
    if (number.ec != std::errc() || begin + size >= text_.size()) return false;
    std::string value(text_.substr(begin, size));
    text_.remove_prefix(begin + size + 1);
    const bool listed =
        levels_.size() == 1 && (levels_[0] == "container" || levels_[0] == "volume");
    if (listed && name == "name") {
      levels_[0] += "s[" + value + "]";
      fields_[levels_[0]];
      return true;
    }
    // One that is told by a name of its own: an environment variable is "env" and "is".
    if (name == "env") {
      key_ = "[" + value + "]";
      fields_[path(name) + key_];
      return true;
    }
    fields_[name == "is" && !key_.empty() ? path("env") + key_ : path(name)].push_back(
        std::string(name) + "=" + value);
    if (name != "is") key_.clear();
    return true;
  }

  // As deep as people need it: a container's field, or that of the Pod.
  std::string path(std::string_view name) const {
    if (levels_.empty()) return std::string(field_name(name));
    if (levels_[0].starts_with("volumes[")) return levels_[0];
    if (!levels_[0].starts_with("containers[")) return std::string(field_name(levels_[0]));
    const std::string_view field = levels_.size() > 1 ? std::string_view(levels_[1]) : name;
    return levels_[0] + "." + std::string(field_name(field));
  }

  std::string_view text_;
  std::vector<std::string> levels_;
  std::string key_;
  Fields fields_;
};

// "containers[web]" of "containers[web].image".
std::string object_of(const std::string& field) {
  return field.substr(0, std::min(field.size(), field.find("].") + 1));
}

}  // namespace

std::vector<std::string> spec_differences(const WorkloadSpec& before, const WorkloadSpec& after) {
  const Fields old = FieldReader(canonical_spec(before)).read();
  const Fields now = FieldReader(canonical_spec(after)).read();
  std::set<std::string> names;
  const auto compare = [&](const Fields& one, const Fields& other) {
    for (const auto& [field, values] : one) {
      const auto found = other.find(field);
      if (found != other.end() && found->second == values) continue;
      const std::string object = object_of(field);
      const bool whole = object.ends_with(']') && !other.contains(object);
      names.insert(whole ? object : field);
    }
  };
  compare(old, now);
  compare(now, old);
  if (names.empty() && before.pod.hash != after.pod.hash) names.insert("spec");
  return {names.begin(), names.end()};
}

namespace {

struct Configs {
  std::map<std::string, const ConfigItem*> all;  // by Kind/name
  std::map<std::string, const PodItem*> pods;    // by name, or Kind/name

  explicit Configs(const std::vector<Source>& sources) {
    for (const Source& source : sources) {
      if (source.document == nullptr || !source.document->items) continue;
      const ParsedItems& items = *source.document->items;
      for (const ConfigItem& item : items.config_maps) all["ConfigMap/" + item.name] = &item;
      for (const ConfigItem& item : items.secrets) all["Secret/" + item.name] = &item;
      for (const PodItem& pod : items.pods) pods[pod.workload.name()] = &pod;
      for (const manifest::ControllerItem& item : items.controllers) {
        pods[std::string(to_string(item.spec.owner.kind)) + "/" + item.spec.owner.name] = &item.pod;
      }
    }
  }
};

void compare_keys(const std::map<std::string, std::string>& one,
                  const std::map<std::string, std::string>& other, std::set<std::string>& keys) {
  for (const auto& [key, value] : one) {
    const auto found = other.find(key);
    if (found == other.end() || found->second != value) keys.insert(key);
  }
}

// "ConfigMap/settings (level)"; "" where it is the same.
std::string difference(const std::string& name, const ConfigItem* before, const ConfigItem* after) {
  if (before == nullptr && after == nullptr) return {};
  static const ConfigItem kNone;
  const ConfigItem& one = before == nullptr ? kNone : *before;
  const ConfigItem& other = after == nullptr ? kNone : *after;
  std::set<std::string> keys;
  compare_keys(one.data, other.data, keys);
  compare_keys(other.data, one.data, keys);
  compare_keys(one.binary, other.binary, keys);
  compare_keys(other.binary, one.binary, keys);
  if (keys.empty() && (before == nullptr) == (after == nullptr)) return {};
  if (before == nullptr) return name + " (new)";
  if (after == nullptr) return name + " (gone)";
  return name + " (" + join({keys.begin(), keys.end()}, ", ") + ")";
}

std::set<std::string> taken_from(const PodItem& pod) {
  std::set<std::string> names;
  const auto add = [&](const manifest::ValueRef& ref) {
    if (ref.from == manifest::ValueRef::From::ConfigMap) names.insert("ConfigMap/" + ref.name);
    if (ref.from == manifest::ValueRef::From::Secret) names.insert("Secret/" + ref.name);
  };
  for (const manifest::ContainerItem& container : pod.containers) {
    for (const auto& entry : container.env_from) add(entry.source);
    for (const auto& entry : container.env) {
      if (entry.from) add(*entry.from);
    }
  }
  for (const manifest::VolumeItem& volume : pod.volumes) {
    for (const manifest::FileSource& source : volume.sources) {
      if (source.from == manifest::FileSource::From::ConfigMap) {
        names.insert("ConfigMap/" + source.name);
      } else if (source.from == manifest::FileSource::From::Secret) {
        names.insert("Secret/" + source.name);
      }
    }
  }
  return names;
}

const ConfigItem* find(const Configs& configs, const std::string& name) {
  const auto found = configs.all.find(name);
  return found == configs.all.end() ? nullptr : found->second;
}

}  // namespace

std::map<std::string, std::vector<std::string>> config_differences(
    const std::vector<Source>& before, const std::vector<Source>& after) {
  const Configs old(before), now(after);
  std::map<std::string, std::vector<std::string>> all;
  for (const auto& [pod, item] : now.pods) {
    for (const std::string& name : taken_from(*item)) {
      std::string text = difference(name, find(old, name), find(now, name));
      if (!text.empty()) all[pod].push_back(std::move(text));
    }
  }
  return all;
}

}  // namespace wherry

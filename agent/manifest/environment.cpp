#include "agent/manifest/environment.h"

#include <algorithm>
#include <unordered_map>

#include "agent/manifest/names.h"
#include "base/text.h"
#include "runtime/device_amounts.h"

namespace wherry::manifest {
namespace {

// Only known when a container starts, as Services change without its Pod.
bool is_service_variable(std::string_view name) {
  const size_t at = name.find("_SERVICE_");
  const bool upper = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!upper || at == std::string_view::npos || at == 0) return false;
  const std::string_view end = name.substr(at);
  return end == "_SERVICE_HOST" || end == "_SERVICE_PORT" || end.starts_with("_SERVICE_PORT_");
}

// What is known only later, as long as it can get.
std::string with_later_values(std::string text) {
  const std::string name(63, 'x');
  for (const std::string_view mark : {kPodNameMark, kJobNameMark, runtime::kPodUidMark}) {
    replace_all(text, mark, name);
  }
  replace_all(text, kIndexMark, "9999");
  for (const std::string_view mark : {runtime::kPodIpMark, runtime::kHostIpMark}) {
    replace_all(text, mark, "255.255.255.255");
  }
  runtime::fill_device_amounts(text, INT64_MAX, INT64_MAX);
  return text;
}

class Resolver {
 public:
  Resolver(const PodItem& pod, const ConfigObjects& objects, const DeviceFacts& facts,
           size_t& budget, const Complain& complain, runtime::ContainerSpec& container)
      : pod_(pod),
        objects_(objects),
        facts_(facts),
        budget_(budget),
        complain_(complain),
        container_(container) {}

  bool run(const ContainerItem& item) {
    for (const EnvFromEntry& source : item.env_from) take_all(source);
    for (const EnvEntry& entry : item.env) {
      if (good_) take(entry, item.place);
    }
    expand_all(container_.command, item.place, "command");
    expand_all(container_.args, item.place, "args");
    for (const SubPathExpr& expression : item.sub_path_exprs) expand(expression);
    return good_;
  }

 private:
  bool fail(const Place& place, std::string message) {
    complain_(place, std::move(message));
    return good_ = false;
  }

  const ConfigItem* find(const ValueRef& ref) {
    const bool secret = ref.from == ValueRef::From::Secret;
    const auto& all = secret ? objects_.secrets : objects_.config_maps;
    const auto found = all.find(ref.name);
    if (found != all.end()) return found->second;
    if (!ref.optional) {
      fail(ref.place, std::string(secret ? "Secret" : "ConfigMap") + " \"" + shown(ref.name) +
                          "\" is not there: add it, or mark the reference optional: true");
    }
    return nullptr;
  }

  void take_all(const EnvFromEntry& source) {
    const ConfigItem* object = find(source.source);
    if (object == nullptr) return;
    for (const auto& [key, value] : object->data) {
      if (!set(source.prefix + key, value, source.source.place)) return;
    }
  }

  void take(const EnvEntry& entry, const Place& place) {
    if (!entry.from) {
      std::string value;
      if (!expand_variables(entry.value, lookup(), kMaxExecString, value)) {
        fail(place, "env " + shown(entry.name) + ": " + too_long());
        return;
      }
      set(entry.name, std::move(value), place);
      return;
    }
    const ValueRef& ref = *entry.from;
    if (ref.from == ValueRef::From::Field) {
      set(entry.name, field(ref.key), ref.place);
      return;
    }
    if (ref.from == ValueRef::From::Resource) return take_resource(entry.name, ref);
    const ConfigItem* object = find(ref);
    if (object == nullptr) return;
    const auto value = object->data.find(ref.key);
    if (value != object->data.end()) {
      set(entry.name, value->second, ref.place);
    } else if (!ref.optional) {
      const bool secret = ref.from == ValueRef::From::Secret;
      fail(ref.place, std::string(secret ? "Secret" : "ConfigMap") + " \"" + shown(ref.name) +
                          "\" has no key \"" + shown(ref.key) +
                          "\": add it, or mark the reference optional: true");
    }
  }

  void take_resource(const std::string& name, const ValueRef& ref) {
    const std::string& container = ref.container.empty() ? container_.name : ref.container;
    auto value = resource_value(pod_, container, ref.key, ref.divisor);
    if (value) {
      set(name, std::move(*value), ref.place);
    } else {
      fail(ref.place, "the Pod has no container named \"" + shown(container) + "\"");
    }
  }

  std::string field(std::string_view path) const {
    if (path == "metadata.name") return pod_.workload.name();
    if (path == "metadata.namespace") return "default";
    if (path == "metadata.uid") return std::string(runtime::kPodUidMark);
    if (path == "spec.nodeName") return facts_.hostname;
    if (path == "spec.serviceAccountName") return pod_.service_account;
    if (path.starts_with("status.podIP")) return std::string(runtime::kPodIpMark);
    if (path.starts_with("status.hostIP")) return std::string(runtime::kHostIpMark);
    const bool label = path.substr(0, 15) == "metadata.labels";
    const auto& map = label ? pod_.labels : pod_.annotations;
    const size_t start = path.find('\'') + 1;
    const auto found = map.find(std::string(path.substr(start, path.rfind('\'') - start)));
    return found == map.end() ? std::string() : found->second;
  }

  bool set(std::string name, std::string value, const Place& place) {
    if (value.find('\0') != std::string::npos) {
      return fail(
          place, shown(name) + ": the value contains a NUL byte, which an environment cannot hold");
    }
    if (!spend(name.size() + value.size() + 1, place, shown(name))) return false;
    const auto [known, added] = index_.emplace(name, container_.env.size());
    if (added) {
      container_.env.emplace_back(std::move(name), std::move(value));
    } else {
      container_.env[known->second].second = std::move(value);
    }
    return true;
  }

  bool spend(size_t bytes, const Place& place, const std::string& what) {
    if (bytes > kMaxExecString) return fail(place, what + ": " + too_long());
    spent_ += bytes;
    if (spent_ > kMaxExecTotal) {
      return fail(place,
                  "command, arguments and environment are longer than 1 MiB together: no process "
                  "can be started with that");
    }
    if (bytes > budget_) {
      return fail(place, "the environments of all workloads are larger than 16 MiB together");
    }
    budget_ -= bytes;
    return true;
  }

  static std::string too_long() {
    return "longer than 128 KiB, the most that the kernel hands to a process in one string";
  }

  const std::string* known(std::string_view name) const {
    const auto found = index_.find(std::string(name));
    return found == index_.end() ? nullptr : &container_.env[found->second].second;
  }

  VariableLookup lookup() {
    return [this](std::string_view name) -> const std::string* {
      const std::string* value = known(name);
      if (value != nullptr || !is_service_variable(name)) return value;
      std::string& mark = marks_[std::string(name)];
      mark = std::string(kServiceVariableMark).append(name) + kServiceVariableEnd;
      return &mark;
    };
  }

  void expand_all(std::vector<std::string>& words, const Place& place, const char* what) {
    for (std::string& word : words) {
      if (!good_) return;
      std::string result;
      if (!expand_variables(word, lookup(), kMaxExecString, result)) {
        fail(place, std::string(what) + ": " + too_long());
        return;
      }
      if (!spend(result.size(), place, what)) return;
      word = std::move(result);
    }
  }

  // Unlike in a command, what is not known is an error: the part of the volume would be a guess.
  void expand(const SubPathExpr& expression) {
    std::string unknown, path;
    const VariableLookup all = [&](std::string_view name) {
      const std::string* value = known(name);
      if (value == nullptr && unknown.empty()) unknown = name;
      return value;
    };
    const bool fits = expand_variables(expression.text, all, kMaxExecString, path);
    if (!unknown.empty()) {
      fail(expression.place, "subPathExpr: there is no variable \"" + shown(unknown) + "\"");
      return;
    }
    const std::string later = with_later_values(path);
    const std::string_view problem = fits ? sub_path_problem(later) : "is too long";
    if (problem.empty()) {
      container_.mounts.at(expression.mount).sub_path = plain_sub_path(path);
    } else {
      fail(expression.place, "subPathExpr " + std::string(problem) + " once $(NAME) is replaced");
    }
  }

  const PodItem& pod_;
  const ConfigObjects& objects_;
  const DeviceFacts& facts_;
  size_t& budget_;
  const Complain& complain_;
  runtime::ContainerSpec& container_;
  std::unordered_map<std::string, size_t> index_;  // of env, by name
  std::map<std::string, std::string> marks_;       // of variables of Services, by name
  size_t spent_ = 0;
  bool good_ = true;
};

}  // namespace

bool expand_variables(std::string_view text, const VariableLookup& lookup, size_t bound,
                      std::string& result) {
  size_t at = 0;
  while (at < text.size() && result.size() <= bound) {
    const size_t dollar = std::min(text.find('$', at), text.size());
    result += text.substr(at, dollar - at);
    at = dollar;
    if (at == text.size()) break;
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    const size_t close = next == '(' ? text.find(')', at + 2) : std::string_view::npos;
    if (next == '$') {
      result += '$';
      at += 2;
    } else if (close != std::string_view::npos) {
      const std::string* value = lookup(text.substr(at + 2, close - at - 2));
      result += value != nullptr ? std::string_view(*value) : text.substr(at, close + 1 - at);
      at = close + 1;
    } else {
      result += '$';
      ++at;
    }
  }
  return result.size() <= bound;
}

std::optional<std::string> resource_value(const PodItem& pod, const std::string& container,
                                          std::string_view resource, int64_t divisor) {
  const auto found = std::find_if(pod.containers.begin(), pod.containers.end(),
                                  [&](const auto& each) { return each.spec.name == container; });
  if (found == pod.containers.end()) return {};
  const runtime::Resources& has = found->spec.resources;
  const bool cpu = resource.ends_with(".cpu");
  const bool limit = resource.starts_with("limits.");
  const int64_t amount = limit ? (cpu ? has.cpu_limit_milli : has.memory_limit)
                               : (cpu ? has.cpu_request_milli : has.memory_request);
  const int64_t unit = cpu ? divisor : std::max<int64_t>(1, divisor / 1000);
  if (amount == 0 && limit) {
    using runtime::DeviceResource;
    return runtime::device_amount_mark(cpu ? DeviceResource::Cpu : DeviceResource::Memory, unit);
  }
  return std::to_string(amount / unit + (amount % unit != 0 ? 1 : 0));
}

bool resolve_container(const PodItem& pod, const ContainerItem& item, const ConfigObjects& objects,
                       const DeviceFacts& facts, size_t& budget, const Complain& complain,
                       runtime::ContainerSpec& container) {
  return Resolver(pod, objects, facts, budget, complain, container).run(item);
}

}  // namespace wherry::manifest

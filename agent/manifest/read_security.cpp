// securityContext and resources.

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::manifest {
namespace {

constexpr int64_t kMaxId = 2147483647;  // Kubernetes' own bound for user and group ids
constexpr int64_t kLeastMemoryLimit = 1 << 20;

// capabilities(7), without CAP_.
constexpr std::string_view kCapabilities[] = {"ALL",
                                              "AUDIT_CONTROL",
                                              "AUDIT_READ",
                                              "AUDIT_WRITE",
                                              "BLOCK_SUSPEND",
                                              "BPF",
                                              "CHECKPOINT_RESTORE",
                                              "CHOWN",
                                              "DAC_OVERRIDE",
                                              "DAC_READ_SEARCH",
                                              "FOWNER",
                                              "FSETID",
                                              "IPC_LOCK",
                                              "IPC_OWNER",
                                              "KILL",
                                              "LEASE",
                                              "LINUX_IMMUTABLE",
                                              "MAC_ADMIN",
                                              "MAC_OVERRIDE",
                                              "MKNOD",
                                              "NET_ADMIN",
                                              "NET_BIND_SERVICE",
                                              "NET_BROADCAST",
                                              "NET_RAW",
                                              "PERFMON",
                                              "SETFCAP",
                                              "SETGID",
                                              "SETPCAP",
                                              "SETUID",
                                              "SYSLOG",
                                              "SYS_ADMIN",
                                              "SYS_BOOT",
                                              "SYS_CHROOT",
                                              "SYS_MODULE",
                                              "SYS_NICE",
                                              "SYS_PACCT",
                                              "SYS_PTRACE",
                                              "SYS_RAWIO",
                                              "SYS_RESOURCE",
                                              "SYS_TIME",
                                              "SYS_TTY_CONFIG",
                                              "WAKE_ALARM"};

void read_capabilities(const Cursor& capabilities, std::string_view field,
                       std::vector<std::string>& into) {
  capabilities.each(field, Kind::String, [&](const Cursor& entry) {
    const std::string_view name = entry.node().text;
    if (std::find(std::begin(kCapabilities), std::end(kCapabilities), name) !=
        std::end(kCapabilities)) {
      if (std::find(into.begin(), into.end(), name) == into.end()) into.emplace_back(name);
      return;
    }
    const bool prefixed = name.substr(0, 4) == "CAP_";
    const std::string near = nearest(prefixed ? name.substr(4) : name, kCapabilities);
    entry.error("\"" + shown(name) + "\" is no capability" +
                (near.empty() ? "; write it as in NET_ADMIN" : "; write " + near));
  });
}

void read_ids(const Cursor& context, runtime::SecurityContext& security) {
  if (const auto user = context.integer_within("runAsUser", 0, kMaxId)) {
    security.run_as_user = *user;
  }
  if (const auto group = context.integer_within("runAsGroup", 0, kMaxId)) {
    security.run_as_group = *group;
  }
  security.run_as_non_root = context.boolean("runAsNonRoot", security.run_as_non_root);
  context.each("supplementalGroups", Kind::Integer, [&](const Cursor& entry) {
    const std::optional<int64_t> group = to_integer(entry.node());
    if (!group) return;
    if (*group < 0 || *group > kMaxId) {
      return entry.error("must be between 0 and " + std::to_string(kMaxId));
    }
    security.supplemental_groups.push_back(*group);
  });
  if (context.string("supplementalGroupsPolicy") == "Strict") security.strict_groups = true;
  if (security.run_as_non_root && security.run_as_user == 0) {
    const bool here = context.has("runAsUser");
    context.error_at(here ? "runAsUser" : "runAsNonRoot",
                     "runAsNonRoot forbids user 0: choose another runAsUser");
  }
}

// Below a directory of ours: relative and without "..", so that it cannot lead out.
void read_profile(const Cursor& context, std::string_view field, bool is_file,
                  runtime::SecurityProfile& profile) {
  using ProfileKind = runtime::SecurityProfile::Kind;
  context.with(field, [&](const Cursor& at) {
    const std::string_view type = at.string("type");
    profile = {};  // Unconfined is what holds by default
    if (type == "RuntimeDefault") profile.kind = ProfileKind::RuntimeDefault;
    if (type == "Localhost") profile.kind = ProfileKind::Localhost;
    profile.name = at.string("localhostProfile");
    const bool localhost = profile.kind == ProfileKind::Localhost;
    if (localhost && profile.name.empty()) {
      return at.error_at("localhostProfile", "is required with type: Localhost");
    }
    if (!localhost && at.has("localhostProfile")) {
      return at.error_at("localhostProfile", "goes with type: Localhost only");
    }
    if (!localhost) return;
    const std::string_view problem = is_file ? sub_path_problem(profile.name) : "";
    if (!problem.empty()) at.error_at("localhostProfile", std::string(problem));
  });
}

// What no container can harm its neighbours with: Kubernetes' list.
constexpr std::string_view kSafeSysctls[] = {
    "kernel.shm_rmid_forced",           "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",        "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",     "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",      "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",          "net.ipv4.tcp_wmem"};

void read_sysctl(const Cursor& entry, runtime::PodSpec& pod) {
  std::string name(entry.string("name"));
  std::replace(name.begin(), name.end(), '/', '.');
  if (name.empty()) return;
  if (std::find(std::begin(kSafeSysctls), std::end(kSafeSysctls), name) == std::end(kSafeSysctls)) {
    const std::string near = nearest(name, kSafeSysctls);
    return entry.error_at("name", "\"" + shown(name) + "\" is not one of the safe sysctls" +
                                      (near.empty() ? ": a Pod can have no other ones here"
                                                    : "; did you mean " + near + "?"));
  }
  if (pod.host_network && name.starts_with("net.")) {
    return entry.error_at("name", "with hostNetwork this is the device's own: set it there");
  }
  if (pod.host_ipc && name.starts_with("kernel.shm")) {
    return entry.error_at("name", "with hostIPC this is the device's own: set it there");
  }
  const auto same = [&](const auto& other) { return other.first == name; };
  if (std::any_of(pod.sysctls.begin(), pod.sysctls.end(), same)) {
    return entry.error_at("name", "is set twice");
  }
  pod.sysctls.emplace_back(std::move(name), entry.string("value"));
}

// Thousandths for cpu, bytes for memory. Errors of form are check()'s.
int64_t quantity(const Cursor& at, std::string_view field, bool milli) {
  const Node* value = at.get(field);
  if (value == nullptr || !value->is_scalar()) return 0;
  const Result<int64_t> number =
      milli ? parse_quantity_milli(value->text) : parse_quantity(value->text);
  return number.value_or(0);
}

// Kubernetes, "Extended resources" and "Manage HugePages".
bool is_counted(std::string_view name) {
  if (name.find('/') != std::string_view::npos) return true;
  static const Schema& limits = *find_field(kResourcesSchema, "limits")->of;
  return runtime::huge_page_of(name) && find_field(limits, name) != nullptr;
}

void check_counted(const Cursor& at, std::string_view name, int64_t amount) {
  if (const auto page = runtime::huge_page_of(name)) {
    if (amount % *page != 0) {
      at.error("must be a whole number of pages of " + format_bytes_exact(*page));
    }
    return;
  }
  const auto milli = parse_quantity_milli(at.node().text);
  if (milli && *milli % 1000 != 0) at.error("must be a whole number of devices");
  const std::string_view domain = name.substr(0, name.find('/'));
  if (const auto problem = label_key_problem(name); !problem.empty()) {
    at.error(std::string(problem));
  } else if (domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")) {
    at.error("kubernetes.io is Kubernetes' own: name the resource after a domain of yours");
  }
}

// Every amount of what is counted, by name; zeros too.
std::map<std::string, int64_t> read_counted(const Cursor& at) {
  std::map<std::string, int64_t> amounts;
  for (const Node& value : at.node()) {
    const std::string_view name = value.key->text;
    if (!is_counted(name) || !value.is_scalar() || value.is_null()) continue;
    const Cursor place(at, name, value);
    const int64_t amount = parse_quantity(value.text).value_or(0);
    check_counted(place, name, amount);
    amounts.emplace(name, amount);
  }
  return amounts;
}

void read_extended(const Cursor& at, runtime::Resources& resources) {
  at.with("limits", [&](const Cursor& limits) { resources.extended = read_counted(limits); });
  at.with("requests", [&](const Cursor& requests) {
    for (const auto& [name, amount] : read_counted(requests)) {
      const auto limit = resources.extended.find(name);
      if (limit == resources.extended.end()) {
        if (amount == 0) continue;
        requests.error_at(name, "needs the same under limits: what is counted cannot be exceeded");
      } else if (limit->second != amount) {
        requests.error_at(name, "must equal the limit of " + name + ", or be left out");
      }
    }
  });
  std::erase_if(resources.extended, [](const auto& each) { return each.second == 0; });
  const bool pages =
      std::any_of(resources.extended.begin(), resources.extended.end(),
                  [](auto& each) { return runtime::huge_page_of(each.first).has_value(); });
  if (pages && same_size(resources, {})) {
    at.error("huge pages need a limit or request of cpu or memory beside them");
  }
}

}  // namespace

runtime::SecurityContext read_security(const Cursor& context, runtime::SecurityContext base) {
  runtime::SecurityContext security = std::move(base);
  read_ids(context, security);
  security.privileged = context.boolean("privileged");
  security.read_only_root_filesystem = context.boolean("readOnlyRootFilesystem");
  security.allow_privilege_escalation =
      context.boolean("allowPrivilegeEscalation", security.privileged);
  if (security.privileged && !security.allow_privilege_escalation) {
    context.error_at("allowPrivilegeEscalation",
                     "a privileged container can always gain privileges: leave one of the two out");
  }
  read_profile(context, "seccompProfile", true, security.seccomp);
  read_profile(context, "appArmorProfile", false, security.apparmor);
  context.with("capabilities", [&](const Cursor& capabilities) {
    read_capabilities(capabilities, "add", security.capabilities_add);
    read_capabilities(capabilities, "drop", security.capabilities_drop);
  });
  return security;
}

void read_pod_security(const Cursor& context, runtime::PodSpec& pod) {
  if (const auto group = context.integer_within("fsGroup", 0, kMaxId)) pod.fs_group = *group;
  pod.fs_group_if_needed = context.string("fsGroupChangePolicy") == "OnRootMismatch";
  context.each("sysctls", Kind::Map, [&](const Cursor& entry) { read_sysctl(entry, pod); });
}

runtime::Resources read_resources(const Cursor& at) {
  runtime::Resources resources;
  at.with("limits", [&](const Cursor& limits) {
    resources.cpu_limit_milli = quantity(limits, "cpu", true);
    resources.memory_limit = quantity(limits, "memory", false);
    resources.storage_limit = quantity(limits, "ephemeral-storage", false);
    if (resources.memory_limit > 0 && resources.memory_limit < kLeastMemoryLimit) {
      limits.error_at("memory",
                      "no container can start in less than 1Mi; a plain number is bytes and m is "
                      "thousandths: write for example 64Mi");
    }
  });
  resources.cpu_request_milli = resources.cpu_limit_milli;
  resources.memory_request = resources.memory_limit;
  resources.storage_request = resources.storage_limit;
  at.with("requests", [&](const Cursor& requests) {
    const auto check = [&](std::string_view field, bool milli, int64_t limit, int64_t& request) {
      if (!requests.has(field)) return;
      request = quantity(requests, field, milli);
      if (limit > 0 && request > limit) {
        requests.error_at(field, "must be at most the limit of " + std::string(field));
      }
    };
    check("cpu", true, resources.cpu_limit_milli, resources.cpu_request_milli);
    check("memory", false, resources.memory_limit, resources.memory_request);
    check("ephemeral-storage", false, resources.storage_limit, resources.storage_request);
  });
  read_extended(at, resources);
  return resources;
}

void read_resize_policy(const Cursor& container, runtime::Resources& resources) {
  std::set<std::string, std::less<>> seen;
  container.each("resizePolicy", Kind::Map, [&](const Cursor& entry) {
    const std::string_view name = entry.string("resourceName");
    if (!name.empty() && !seen.emplace(name).second) {
      entry.error_at("resourceName", "\"" + shown(name) + "\" is given twice");
    }
    const bool restarts = entry.string("restartPolicy") == "RestartContainer";
    if (name == "cpu") resources.cpu_restarts = restarts;
    if (name == "memory") resources.memory_restarts = restarts;
  });
}

}  // namespace wherry::manifest

#include "runtime/spec/oci_spec.h"

#include <algorithm>
#include <unordered_map>

#include <climits>
#include <nlohmann/json.hpp>

#include "runtime/spec/capabilities.h"
#include "runtime/spec/linux_parts.h"
#include "runtime/spec/profiles.h"
#include "runtime/spec/user.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr const char* kVersion = "1.0.2";  // what runc 1.1 and crun of the field accept
constexpr const char* kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr size_t kLongestHostname = HOST_NAME_MAX;
// What systemd gives services: enough for servers that raise their soft limit, and select(2) safe.
constexpr int64_t kSoftFiles = 1024;
constexpr int64_t kHardFiles = 524'288;

tl::unexpected<Error> config_error(std::string message) {
  return fail(Code::InvalidArgument, std::move(message), "CreateContainerConfigError");
}

// Kubernetes: command replaces the entrypoint and, with it, the image's cmd; args replace cmd.
Result<std::vector<std::string>> process_args(const ContainerSpec& container,
                                              const ImageConfig& image) {
  std::vector<std::string> args = container.command;
  const std::vector<std::string>* rest = &container.args;
  if (args.empty()) {
    args = image.entrypoint;
    if (container.args.empty()) rest = &image.cmd;
  }
  args.insert(args.end(), rest->begin(), rest->end());
  if (args.empty() || args.front().empty()) {
    return config_error("the image names no program to run: set command");
  }
  return args;
}

// Later entries win but keep the place of the first, as a shell's export does.
class Environment {
 public:
  void set(const std::string& entry) {
    const std::string name = entry.substr(0, entry.find('='));
    if (name.empty()) return;
    const auto [place, added] = places_.try_emplace(name, entries_.size());
    if (added) {
      entries_.push_back(entry);
    } else {
      entries_[place->second] = entry;
    }
  }
  std::vector<std::string> take() { return std::move(entries_); }

 private:
  std::vector<std::string> entries_;
  std::unordered_map<std::string, size_t> places_;
};

std::string hostname_of(const SpecInput& in) {
  if (in.pod.host_network || in.pod.hostname.empty()) return in.host.hostname;
  return in.pod.hostname_is_full ? full_name(in.pod) : in.pod.hostname;
}

std::vector<std::string> process_env(const SpecInput& in) {
  Environment env;
  env.set(kDefaultPath);
  env.set("HOSTNAME=" + hostname_of(in));
  for (const std::string& entry : in.image.env) env.set(entry);
  for (const auto& [name, value] : in.container.env) env.set(name + "=" + value);
  return env.take();
}

Result<std::string> working_dir(const SpecInput& in) {
  std::string dir =
      in.container.working_dir.empty() ? in.image.working_dir : in.container.working_dir;
  if (dir.empty()) dir = "/";
  if (dir.front() != '/') {
    return config_error("the working directory \"" + dir + "\" is not absolute");
  }
  return dir;
}

Result<Json> make_process(const SpecInput& in) {
  const SecurityContext& security = in.container.security;
  Result<std::vector<std::string>> args = process_args(in.container, in.image);
  if (!args) return fail(args.error());
  Result<std::string> cwd = working_dir(in);
  if (!cwd) return fail(cwd.error());
  const Result<ProcessUser> user = resolve_user(security, in.image.user, in.rootfs);
  if (!user) return fail(user.error());
  const auto capabilities = container_capabilities(security, in.host.capabilities);
  if (!capabilities) return fail(capabilities.error());

  Json process = {
      {"terminal", false},
      {"args", std::move(*args)},
      {"env", process_env(in)},
      {"cwd", std::move(*cwd)},
      {"user", {{"uid", user->uid}, {"gid", user->gid}}},
      // A privileged process could undo it anyway; Kubernetes leaves it off too.
      {"noNewPrivileges", !security.allow_privilege_escalation && !security.privileged},
      {"capabilities",
       {{"bounding", *capabilities}, {"effective", *capabilities}, {"permitted", *capabilities}}}};
  std::vector<uint32_t> groups = user->additional_gids;
  if (in.pod.fs_group) groups.push_back(static_cast<uint32_t>(*in.pod.fs_group));
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  if (!groups.empty()) process["user"]["additionalGids"] = std::move(groups);
  const auto apparmor = apparmor_of(security, in.host);
  if (!apparmor) return fail(apparmor.error());
  if (!apparmor->empty()) process["apparmorProfile"] = *apparmor;
  if (in.host.can_raise_rlimits) {
    process["rlimits"] =
        Json::array({{{"type", "RLIMIT_NOFILE"}, {"soft", kSoftFiles}, {"hard", kHardFiles}}});
  }
  process["oomScoreAdj"] =
      std::max(oom_score_adj(in.pod, in.container, in.host.memory_bytes), in.host.least_oom_score);
  return process;
}

Json make_namespaces(const SpecInput& in) {
  Json list = Json::array({{{"type", "mount"}}});
  // What is left out is the device's.
  const auto add = [&](const char* type, const std::string& path) {
    Json made = {{"type", type}};
    if (!path.empty()) made["path"] = path;
    list.push_back(std::move(made));
  };
  if (!in.pod.host_pids) add("pid", in.pids_path);
  if (!in.pod.host_ipc) add("ipc", in.ipc_path);
  if (!in.pod.host_network) {
    // Kubernetes: a Pod on the host's network also has the host's name.
    add("uts", "");
    add("network", in.netns_path);
  }
  if (in.host.cgroup_v2) list.push_back({{"type", "cgroup"}});
  return list;
}

Result<Json> make_linux(const SpecInput& in) {
  const bool privileged = in.container.security.privileged;
  Json part = {{"cgroupsPath", in.cgroup_path},
               {"namespaces", make_namespaces(in)},
               {"resources", linux_resources(in.container.resources, privileged, in.host)}};
  if (const char* propagation = rootfs_propagation(in.mounts)) {
    part["rootfsPropagation"] = propagation;
  }
  if (privileged) {
    part["devices"] = host_devices(in.host.dev_dir);
  } else {
    part["maskedPaths"] = masked_paths();
    part["readonlyPaths"] = read_only_paths();
  }
  for (const auto& [name, value] : in.pod.sysctls) part["sysctl"][name] = value;
  const auto capabilities = container_capabilities(in.container.security, in.host.capabilities);
  if (!capabilities) return fail(capabilities.error());
  auto seccomp = seccomp_of(in.container.security, *capabilities, in.host, in.seccomp_dir);
  if (!seccomp) return fail(seccomp.error());
  if (!seccomp->is_null()) part["seccomp"] = std::move(*seccomp);
  return part;
}

}  // namespace

std::string make_resize(const Resources& resources, const HostFacts& host) {
  Json json = linux_resources(resources, false, host);
  json.erase("devices");
  json.erase("pids");
  json.erase("hugepageLimits");
  if (resources.cpu_limit_milli == 0) {
    json["cpu"]["quota"] = -1;
    json["cpu"]["period"] = kCpuPeriod;
  }
  if (resources.memory_limit == 0) {
    json["memory"]["limit"] = -1;
    if (host.swap_limit) json["memory"]["swap"] = -1;
  }
  return json.dump();
}

Result<std::string> resized_spec(const std::string& spec_json, const Resources& resources,
                                 const HostFacts& host) {
  Json spec = Json::parse(spec_json, nullptr, false);
  if (!spec.is_object() || !spec.contains("linux") || !spec["linux"].is_object()) {
    return fail(Code::InvalidArgument, "the container's record holds no specification");
  }
  const Json made = linux_resources(resources, false, host);
  Json& kept = spec["linux"]["resources"];
  for (const char* part : {"cpu", "memory"}) {
    kept.erase(part);
    if (made.contains(part)) kept[part] = made[part];
  }
  return spec.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> make_oci_spec(const SpecInput& input) {
  Result<Json> process = make_process(input);
  if (!process) return fail(process.error(), "container " + input.container.name);
  Result<Json> linux_part = make_linux(input);
  if (!linux_part) return fail(linux_part.error(), "container " + input.container.name);
  const SecurityContext& security = input.container.security;
  Json spec = {{"ociVersion", kVersion},
               {"process", std::move(*process)},
               {"root", {{"path", "rootfs"}, {"readonly", security.read_only_root_filesystem}}},
               {"mounts", container_mounts(input.mounts, security.privileged)},
               {"linux", std::move(*linux_part)}};
  if (!input.pod.host_network) {
    const std::string hostname = hostname_of(input);
    if (hostname.size() > kLongestHostname) {
      return config_error("setHostnameAsFQDN: \"" + hostname + "\" is longer than the " +
                          std::to_string(kLongestHostname) +
                          " characters that a host name has room for: shorten hostname, " +
                          "subdomain or namespace");
    }
    spec["hostname"] = hostname;
  }
  // Text from outside may be no UTF-8: it must not make this throw.
  return spec.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wherry::runtime

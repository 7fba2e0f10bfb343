// What the kernel has to have.
#include <algorithm>
#include <sstream>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/check/probes.h"
#include "base/files.h"
#include "base/text.h"
#include "runtime/spec/oci_spec.h"

namespace wherry::check {
namespace {

constexpr const char* kCgroups = "cgroups";
constexpr const char* kKernel = "kernel";
constexpr size_t kMostBytes = 64u << 10;

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Those that the kernel has and has not been told to leave off.
std::vector<std::string> controllers(bool v2) {
  std::vector<std::string> names;
  const auto text =
      read_file(v2 ? "/sys/fs/cgroup/cgroup.controllers" : "/proc/cgroups", kMostBytes);
  if (!text) return names;
  std::istringstream words(*text);
  if (v2) {
    for (std::string name; words >> name;) names.push_back(name);
    return names;
  }
  for (std::string line; std::getline(words, line);) {
    std::istringstream fields(line);
    std::string name;
    int hierarchy = 0, groups = 0, enabled = 0;
    if (fields >> name >> hierarchy >> groups >> enabled && enabled == 1) names.push_back(name);
  }
  return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string kernel_release() {
  utsname names{};
  return uname(&names) == 0 ? names.release : "unknown";
}

// As a module it shows only once it is loaded; modprobe(8) finds it by these lists.
bool has_module(const std::string& name) {
  for (const char* list : {"modules.builtin", "modules.dep"}) {
    const auto text = read_file("/lib/modules/" + kernel_release() + "/" + list);
    if (text && text->find("/" + name + ".ko") != std::string::npos) return true;
  }
  return false;
}

bool has_overlayfs() {
  const auto text = read_file("/proc/filesystems", kMostBytes);
  return (text && text->find("\toverlay\n") != std::string::npos) || has_module("overlay");
}

Finding look_at_security(const runtime::HostFacts& facts) {
  std::string seen = std::string("seccomp ") + (facts.seccomp ? "on" : "off") + ", AppArmor " +
                     (facts.apparmor ? "on" : "off");
  if (facts.seccomp) {
    return ok(kKernel, "security modules",
              facts.apparmor ? seen : seen + ": Pods that name a profile of it are refused");
  }
  return warn(kKernel, "security modules", std::move(seen),
              "take a kernel with CONFIG_SECCOMP_FILTER: Pods with a seccompProfile are refused");
}

}  // namespace

Findings look_at_cgroups(const Scene&) {
  const bool v2 = runtime::detect_host().cgroup_v2;
  const std::string version = v2 ? "version 2" : "version 1";
  const std::vector<std::string> names = controllers(v2);
  if (names.empty() || (!v2 && !exists("/sys/fs/cgroup/memory") && !exists("/sys/fs/cgroup/cpu"))) {
    return {failed(kCgroups, "", "no cgroups are mounted",
                   "boot with systemd, or mount them at /sys/fs/cgroup")};
  }
  std::vector<std::string> missing;
  for (const char* name : {"cpu", "memory", "pids"}) {
    if (!has(names, name)) missing.emplace_back(name);
  }
  if (missing.empty()) return {ok(kCgroups, version, "controllers " + join(names, ", "))};
  const std::string seen = "the kernel has no controller for " + join(missing, ", ");
  if (has(missing, "memory")) {
    return {failed(kCgroups, version, seen + ": limits of memory would not hold",
                   "add cgroup_enable=memory to the kernel's command line (on a Raspberry Pi in "
                   "cmdline.txt) and reboot")};
  }
  return {warn(kCgroups, version, seen + ": such limits do not hold",
               "take a kernel with CONFIG_CGROUP_PIDS and CONFIG_CFS_BANDWIDTH")};
}

Findings look_at_kernel(const Scene& scene) {
  Findings findings;
  const std::string release = kernel_release();
  std::vector<std::string> missing;
  for (const char* name : {"mnt", "net", "pid", "ipc", "uts"}) {
    if (!exists(std::string("/proc/self/ns/") + name)) missing.emplace_back(name);
  }
  findings.push_back(missing.empty()
                         ? ok(kKernel, "namespaces", release + " has all that containers need")
                         : failed(kKernel, "namespaces",
                                  release + " has none for " + join(missing, ", "),
                                  "take a kernel with CONFIG_NAMESPACES and all of its parts"));
  if (scene.config().containerd.snapshotter == "overlayfs") {
    findings.push_back(has_overlayfs()
                           ? ok(kKernel, "overlayfs", "the kernel has it")
                           : failed(kKernel, "overlayfs", "the kernel does not have it",
                                    "install the module overlay (CONFIG_OVERLAY_FS), or set "
                                    "containerd.snapshotter: native"));
  }
  const runtime::HostFacts facts = runtime::detect_host();
  findings.push_back(look_at_security(facts));
  if (!facts.can_raise_rlimits) {
    findings.push_back(
        warn(kKernel, "capabilities",
             "CAP_SYS_RESOURCE is missing: no container can be kept from the OOM killer",
             "run wherryd as root outside of a container, with all capabilities"));
  }
  return findings;
}

}  // namespace wherry::check

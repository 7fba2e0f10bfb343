#include "runtime/spec/profiles.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "runtime/spec/seccomp_syscalls.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using Kind = SecurityProfile::Kind;

constexpr size_t kMaxProfile = 1 << 20;
constexpr int kNoSuchCall = 38;                 // ENOSYS
constexpr int64_t kNewNamespaces = 0x7E020000;  // every CLONE_NEW… of clone(2)
constexpr int64_t kVsock = 40;                  // AF_VSOCK: would reach the host past the network
constexpr int64_t kPersonalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};  // personality(2)
constexpr const char* kAppArmorDefault = "wherry-default";

tl::unexpected<Error> config_error(std::string message) {
  return fail(Code::InvalidArgument, std::move(message), "CreateContainerConfigError");
}

Json architectures() {
#if defined(__x86_64__)
  return {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  return {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#elif defined(__arm__)
  return {"SCMP_ARCH_ARM"};
#else
  return Json::array();  // the runtime's own
#endif
}

Json allow(std::string_view names) {
  Json list = Json::array();
  for (const std::string& name : split(std::string(names), ' ')) {
    if (!name.empty()) list.push_back(name);
  }
  return {{"names", std::move(list)}, {"action", "SCMP_ACT_ALLOW"}};
}

Json allow_where(const char* name, int64_t value, const char* how, int64_t mask = -1) {
  Json argument = {{"index", 0}, {"value", value}, {"op", how}};
  if (mask >= 0) {
    argument["value"] = mask;
    argument["valueTwo"] = value;
  }
  Json rule = allow(name);
  rule["args"] = Json::array({std::move(argument)});
  return rule;
}

bool has(const std::vector<std::string>& capabilities, std::string_view name) {
  return std::any_of(capabilities.begin(), capabilities.end(), [&](const std::string& each) {
    return each.size() == name.size() + 4 && each.ends_with(name);
  });
}

Json default_profile(const std::vector<std::string>& capabilities) {
  Json rules = Json::array({allow(kAnyContainer)});
  for (const int64_t persona : kPersonalities) {
    rules.push_back(allow_where("personality", persona, "SCMP_CMP_EQ"));
  }
  rules.push_back(allow_where("socket", kVsock, "SCMP_CMP_NE"));
  for (const SyscallsOfCapability& more : kWithCapability) {
    if (has(capabilities, more.capability)) rules.push_back(allow(more.names));
  }
  if (!has(capabilities, "SYS_ADMIN")) {
    // Threads and processes, but no namespaces. What clone3 asks for cannot be looked into: a C
    // library that is told it does not exist uses clone.
    rules.push_back(allow_where("clone", 0, "SCMP_CMP_MASKED_EQ", kNewNamespaces));
    rules.push_back(
        {{"names", {"clone3"}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", kNoSuchCall}});
  }
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"defaultErrnoRet", 1},  // EPERM
          {"architectures", architectures()},
          {"syscalls", std::move(rules)}};
}

Result<Json> profile_of_file(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  const Result<std::string> text = read_file(path, kMaxProfile);
  if (!text) {
    return config_error("seccomp profile " + path + " cannot be read: " + text.error().message());
  }
  Json profile = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!profile.is_object() || !profile.contains("defaultAction")) {
    return config_error("seccomp profile " + path +
                        " is no JSON object with a defaultAction (OCI runtime specification)");
  }
  return profile;
}

bool is_loaded(const std::string& list, const std::string& profile) {
  for (const std::string& line : split(list, '\n')) {
    if (line.starts_with(profile + " (")) return true;
  }
  return false;
}

}  // namespace

Result<Json> seccomp_of(const SecurityContext& security,
                        const std::vector<std::string>& capabilities, const HostFacts& host,
                        const std::string& profiles_dir) {
  const SecurityProfile& wanted = security.seccomp;
  const bool none = wanted.kind == Kind::Unset || wanted.kind == Kind::Unconfined;
  if (none || security.privileged) return Json();
  if (!host.seccomp) {
    return config_error("seccompProfile: this device's kernel has no seccomp: leave it out");
  }
  if (wanted.kind == Kind::Localhost) return profile_of_file(profiles_dir, wanted.name);
  return default_profile(capabilities);
}

Result<std::string> apparmor_of(const SecurityContext& security, const HostFacts& host) {
  const SecurityProfile& wanted = security.apparmor;
  const bool none = wanted.kind == Kind::Unset || wanted.kind == Kind::Unconfined;
  if (none || security.privileged) return std::string();
  if (!host.apparmor) {
    return config_error("appArmorProfile: this device's kernel has no AppArmor: leave it out");
  }
  const std::string name = wanted.kind == Kind::Localhost ? wanted.name : kAppArmorDefault;
  const Result<std::string> loaded = read_file(host.apparmor_profiles);
  if (!loaded || !is_loaded(*loaded, name)) {
    return config_error("appArmorProfile: no profile \"" + name +
                        "\" is loaded: load it with apparmor_parser -r");
  }
  return name;
}

}  // namespace wherry::runtime

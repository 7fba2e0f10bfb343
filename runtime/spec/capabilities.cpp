#include "runtime/spec/capabilities.h"

#include <array>
#include <cctype>

#include "base/log.h"

namespace wherry::runtime {
namespace {

// By bit number (linux/capability.h).
constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};

constexpr uint64_t kAll = (1ULL << kNames.size()) - 1;

// What Docker and containerd give by default.
constexpr std::array<std::string_view, 14> kDefault = {
    "CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
    "MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
    "SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
    "KILL",    "AUDIT_WRITE"};

uint64_t default_set() {
  uint64_t set = 0;
  for (const std::string_view name : kDefault) set |= 1ULL << capability_bit(name);
  return set;
}

// Names of the request that are not ALL, as a set.
Result<uint64_t> named_set(const std::vector<std::string>& names) {
  uint64_t set = 0;
  for (const std::string& name : names) {
    if (name == "ALL" || name == "all") continue;
    const int bit = capability_bit(name);
    if (bit < 0) {
      return fail(Code::InvalidArgument, "unknown capability \"" + name + "\"",
                  "CreateContainerConfigError");
    }
    set |= 1ULL << bit;
  }
  return set;
}

bool has_all(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name == "ALL" || name == "all") return true;
  }
  return false;
}

std::vector<std::string> to_names(uint64_t set) {
  std::vector<std::string> names;
  for (size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((set >> bit & 1) != 0) names.push_back("CAP_" + std::string(kNames[bit]));
  }
  return names;
}

}  // namespace

int capability_bit(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string_view wanted = upper;
  if (wanted.starts_with("CAP_")) wanted.remove_prefix(4);
  for (size_t bit = 0; bit < kNames.size(); ++bit) {
    if (kNames[bit] == wanted) return static_cast<int>(bit);
  }
  return -1;
}

Result<std::vector<std::string>> container_capabilities(const SecurityContext& security,
                                                        uint64_t grantable) {
  const Result<uint64_t> add = named_set(security.capabilities_add);
  if (!add) return fail(add.error());
  const Result<uint64_t> drop = named_set(security.capabilities_drop);
  if (!drop) return fail(drop.error());

  uint64_t set = default_set();
  if (has_all(security.capabilities_add)) set = kAll;
  if (has_all(security.capabilities_drop)) set = 0;
  set = (set | *add) & ~*drop;
  if (security.privileged) set = kAll;

  if (const uint64_t missing = *add & set & ~grantable; missing != 0) {
    for (const std::string& name : to_names(missing)) {
      log_warn("this host cannot grant a capability that was asked for", {{"capability", name}});
    }
  }
  return to_names(set & grantable);
}

}  // namespace wherry::runtime

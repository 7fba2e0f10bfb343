#include "runtime/image/platform.h"

#include <array>
#include <string_view>
#include <sys/utsname.h>
#include <utility>

namespace wherry::runtime {
namespace {

// 5 to 8, or 0 for what is no such variant.
int arm_level(std::string_view variant) {
  if (variant.size() < 2 || variant[0] != 'v' || variant[1] < '5' || variant[1] > '9') return 0;
  return variant[1] - '0';
}

// amd64 levels: "" and v1 are the same machine.
int amd64_level(std::string_view variant) {
  if (variant.empty()) return 1;
  if (variant.size() != 2 || variant[0] != 'v' || variant[1] < '1' || variant[1] > '4') return 0;
  return variant[1] - '0';
}

std::optional<int> level_distance(int host, int candidate) {
  if (candidate == 0 || candidate > host) return std::nullopt;
  return host - candidate;
}

[[maybe_unused]] std::string machine() {
  utsname names{};
  return uname(&names) == 0 ? names.machine : std::string();
}

}  // namespace

Platform normalize(Platform platform) {
  struct Alias {
    std::string_view from, to, variant;
  };
  static constexpr std::array<Alias, 8> kAliases{{{"x86_64", "amd64", ""},
                                                  {"x86-64", "amd64", ""},
                                                  {"aarch64", "arm64", ""},
                                                  {"armhf", "arm", "v7"},
                                                  {"armel", "arm", "v6"},
                                                  {"i386", "386", ""},
                                                  {"i686", "386", ""},
                                                  {"ppc64el", "ppc64le", ""}}};
  for (const Alias& alias : kAliases) {
    if (platform.architecture != alias.from) continue;
    platform.architecture = alias.to;
    if (!alias.variant.empty()) platform.variant = alias.variant;
  }
  if (!platform.variant.empty() && platform.variant[0] >= '0' && platform.variant[0] <= '9') {
    platform.variant.insert(0, "v");
  }
  if (platform.architecture == "arm64" && platform.variant.empty()) platform.variant = "v8";
  if (platform.architecture == "arm" && platform.variant.empty()) platform.variant = "v7";
  if (platform.architecture == "amd64" && platform.variant == "v1") platform.variant.clear();
  return platform;
}

std::string to_string(const Platform& platform) {
  std::string text = platform.os + "/" + platform.architecture;
  const bool silent =
      platform.variant.empty() || (platform.architecture == "arm64" && platform.variant == "v8");
  return silent ? text : text + "/" + platform.variant;
}

Platform host_platform() {
#if defined(__x86_64__)
  return {"linux", "amd64", ""};
#elif defined(__aarch64__)
  return {"linux", "arm64", "v8"};
#elif defined(__arm__)
  // A 32-bit agent may run on a 64-bit kernel, whose name says nothing about the level.
  const std::string name = machine();
  const bool known = name.size() > 4 && name.compare(0, 4, "armv") == 0;
  const int level = known ? arm_level("v" + name.substr(4, 1)) : 0;
  return {"linux", "arm", level == 5 || level == 6 ? "v" + std::to_string(level) : "v7"};
#elif defined(__i386__)
  return {"linux", "386", ""};
#elif defined(__riscv)
  return {"linux", "riscv64", ""};
#else
  return normalize({"linux", machine(), ""});
#endif
}

std::optional<int> fitness(const Platform& host, const Platform& candidate_as_written) {
  // Past every distance between variants of one architecture.
  constexpr int kOtherArchitecture = 10;
  const Platform candidate = normalize(candidate_as_written);
  if (candidate.os != host.os) return std::nullopt;
  if (candidate.architecture == host.architecture) {
    if (host.architecture == "arm" || host.architecture == "arm64") {
      return level_distance(arm_level(host.variant), arm_level(candidate.variant));
    }
    if (host.architecture == "amd64") {
      return level_distance(amd64_level(host.variant), amd64_level(candidate.variant));
    }
    return candidate.variant == host.variant ? std::optional<int>(0) : std::nullopt;
  }
  if (host.architecture == "arm64" && candidate.architecture == "arm") {
    const auto distance = level_distance(8, arm_level(candidate.variant));
    return distance ? std::optional<int>(kOtherArchitecture + *distance) : std::nullopt;
  }
  if (host.architecture == "amd64" && candidate.architecture == "386") return kOtherArchitecture;
  return std::nullopt;
}

}  // namespace wherry::runtime

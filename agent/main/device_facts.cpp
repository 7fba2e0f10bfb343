#include "agent/main/device_facts.h"

#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <thread>

#include "base/files.h"
#include "base/text.h"

namespace wherry {
namespace {

std::string pretty_name() {
  const auto text = read_file("/etc/os-release", 64u << 10);
  if (!text) return "unknown";
  for (const std::string& line : split(*text, '\n')) {
    constexpr std::string_view kKey = "PRETTY_NAME=";
    if (!line.starts_with(kKey)) continue;
    std::string value(trim(std::string_view(line).substr(kKey.size())));
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return "unknown";
}

std::string kubernetes_arch(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.starts_with("arm")) return "arm";
  return machine;
}

}  // namespace

DeviceView read_device(const Config& config, const std::string& agent_version) {
  DeviceView device;
  device.id = config.device.id;
  device.groups = config.device.groups;
  device.labels = config.device.labels;
  device.agent = agent_version;
  if (const auto boot = read_file("/proc/sys/kernel/random/boot_id", 256)) {
    device.boot = std::string(trim(*boot));
  }
  device.os = pretty_name();
  utsname names{};
  if (uname(&names) == 0) {
    device.kernel = names.release;
    device.arch = kubernetes_arch(names.machine);
  }
  device.cpus = static_cast<int>(std::thread::hardware_concurrency());
  struct sysinfo info {};
  if (sysinfo(&info) == 0) {
    device.memory_bytes = static_cast<int64_t>(info.totalram) * info.mem_unit;
  }
  return device;
}

int64_t disk_bytes(const std::string& directory) {
  struct statvfs info {};
  if (statvfs(directory.c_str(), &info) != 0) return 0;
  return static_cast<int64_t>(info.f_blocks) * static_cast<int64_t>(info.f_frsize);
}

}  // namespace wherry

#include "telemetry/metrics/node.h"

#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/text.h"
#include "telemetry/metrics/kernel_files.h"

namespace wherry::telemetry {
namespace {

using enum MetricType;

constexpr double kMebi = 1 << 20;

constexpr Metric kCpu{"wherry_node_cpu_seconds_total",
                      "Time that the processors spent in each mode, all of them together.",
                      Counter,
                      "cpu",
                      "cpuRatio",
                      Sent::RatePerCpu,
                      0.05};
constexpr Metric kCpus{"wherry_node_cpus", "Processors that are online.", Gauge, "cpu", "cpus",
                       Sent::WhenFull};
constexpr Metric kLoad1{"wherry_node_load1",
                        "Load average over one minute.",
                        Gauge,
                        "load",
                        "load1",
                        Sent::Value,
                        0.5,
                        0.25};
constexpr Metric kLoad5{
    "wherry_node_load5", "Load average over five minutes.", Gauge, "load", "load5", Sent::WhenFull};
constexpr Metric kLoad15{
    "wherry_node_load15", "Load average over fifteen minutes.", Gauge, "load", "load15",
    Sent::WhenFull};
constexpr Metric kMemoryTotal{"wherry_node_memory_total_bytes",
                              "Memory of the device.",
                              Gauge,
                              "memory",
                              "memoryTotalBytes",
                              Sent::WhenFull};
constexpr Metric kMemoryAvailable{"wherry_node_memory_available_bytes",
                                  "Memory that programs could still take without swapping.",
                                  Gauge,
                                  "memory",
                                  "memoryAvailableBytes",
                                  Sent::Value,
                                  4 * kMebi,
                                  0.05};
constexpr Metric kSwapTotal{"wherry_node_swap_total_bytes",
                            "Swap space.",
                            Gauge,
                            "memory",
                            "swapTotalBytes",
                            Sent::WhenFull};
constexpr Metric kSwapFree{"wherry_node_swap_free_bytes",
                           "Swap space that is not in use.",
                           Gauge,
                           "memory",
                           "swapFreeBytes",
                           Sent::Value,
                           4 * kMebi,
                           0.05};
constexpr Metric kWaiting{"wherry_node_pressure_waiting_seconds_total",
                          "Time in which at least one task waited for the resource (PSI, some).",
                          Counter,
                          "pressure",
                          "pressureWaitingRatio",
                          Sent::Rate,
                          0.1};
constexpr Metric kStalled{
    "wherry_node_pressure_stalled_seconds_total",
    "Time in which all tasks that were not idle waited for the resource (PSI, full).",
    Counter,
    "pressure",
    "pressureStalledRatio",
    Sent::Rate,
    0.05};
constexpr Metric kDiskSize{"wherry_node_filesystem_size_bytes",
                           "Size of the filesystem.",
                           Gauge,
                           "filesystem",
                           "filesystemSizeBytes",
                           Sent::WhenFull};
constexpr Metric kDiskUsed{"wherry_node_filesystem_used_bytes",
                           "Space that is in use; of this and what is available df has its part."};
constexpr Metric kDiskFree{"wherry_node_filesystem_available_bytes",
                           "Space that is left to programs without privileges.",
                           Gauge,
                           "filesystem",
                           "filesystemAvailableBytes",
                           Sent::Value,
                           16 * kMebi,
                           0.01};
constexpr Metric kInodes{"wherry_node_filesystem_inodes",
                         "Inodes of the filesystem.",
                         Gauge,
                         "filesystem",
                         "filesystemInodes",
                         Sent::WhenFull};
constexpr Metric kInodesFree{"wherry_node_filesystem_inodes_free",
                             "Inodes that are free.",
                             Gauge,
                             "filesystem",
                             "filesystemInodesFree",
                             Sent::Value,
                             1000,
                             0.05};
constexpr Metric kReceived{"wherry_node_network_receive_bytes_total",
                           "Bytes that the interface received.",
                           Counter,
                           "network",
                           "networkReceiveBytes",
                           Sent::Value,
                           kMebi};
constexpr Metric kTransmitted{"wherry_node_network_transmit_bytes_total",
                              "Bytes that the interface sent.",
                              Counter,
                              "network",
                              "networkTransmitBytes",
                              Sent::Value,
                              kMebi};
constexpr Metric kReceiveErrors{"wherry_node_network_receive_errors_total",
                                "Packets that the interface received with errors.",
                                Counter,
                                "network",
                                "networkReceiveErrors",
                                Sent::Value,
                                0,
                                0.1};
constexpr Metric kTransmitErrors{"wherry_node_network_transmit_errors_total",
                                 "Packets that the interface could not send.",
                                 Counter,
                                 "network",
                                 "networkTransmitErrors",
                                 Sent::Value,
                                 0,
                                 0.1};
constexpr Metric kTemperature{"wherry_node_temperature_celsius",
                              "Temperature of the thermal zone.",
                              Gauge,
                              "temperature",
                              "temperatureCelsius",
                              Sent::Value,
                              2};
constexpr Metric kUptime{"wherry_node_uptime_seconds",
                         "Time since the device was booted.",
                         Gauge,
                         "uptime",
                         "uptimeSeconds",
                         Sent::WhenFull};
constexpr Metric kClock{"wherry_node_clock_synchronised",
                        "Whether something keeps the clock synchronised.",
                        Gauge,
                        "clock",
                        "clockSynchronised",
                        Sent::Value,
                        0,
                        0,
                        true};
constexpr Metric kThrottling{"wherry_node_throttling_active",
                             "Whether the board holds itself back now.",
                             Gauge,
                             "throttling",
                             "throttlingActive",
                             Sent::Value,
                             0,
                             0,
                             true};
constexpr Metric kThrottled{"wherry_node_throttling_since_boot",
                            "Whether the board has held itself back since it was booted.",
                            Gauge,
                            "throttling",
                            "throttlingSinceBoot",
                            Sent::Value};
constexpr Metric kThrottles{"wherry_node_cpu_throttles_total",
                            "How often processors were slowed down because they were too hot.",
                            Counter,
                            "throttling",
                            "cpuThrottles",
                            Sent::Value,
                            0,
                            0.1};

constexpr Metric kProcessCpu{"process_cpu_seconds_total",
                             "Processor time that the agent has taken.", Counter};
constexpr Metric kProcessMemory{"process_resident_memory_bytes",
                                "Resident memory of the agent, shared pages included.", Gauge};
constexpr Metric kProcessThreads{"process_threads", "Threads of the agent.", Gauge};
constexpr Metric kProcessStart{"process_start_time_seconds",
                               "When the agent was started, since the epoch.", Gauge};
constexpr Metric kProcessWritten{"wherry_agent_written_bytes_total",
                                 "Bytes that the agent has had written to disk.", Counter};

double ticks() { return static_cast<double>(sysconf(_SC_CLK_TCK)); }

std::optional<double> times(std::optional<double> value, double factor) {
  return value ? std::optional(*value * factor) : std::nullopt;
}

// proc(5), /proc/stat. Guest time is part of user time already.
void read_cpu(const NodePlaces& places, Readings& readings) {
  constexpr std::array<std::string_view, 8> kModes{"user",   "nice", "system",  "idle",
                                                   "iowait", "irq",  "softirq", "steal"};
  const std::string text = text_of(places.proc + "/stat");
  if (!text.starts_with("cpu ")) return;
  const std::vector<std::string> words = words_of(text);
  for (size_t i = 0; i < kModes.size() && i + 1 < words.size(); ++i) {
    add(readings, kCpu, times(number_of(words[i + 1]), 1 / ticks()),
        {{"mode", std::string(kModes.at(i))}});
  }
  double cpus = 0;
  for (const std::string& line : split(text, '\n')) {
    if (line.starts_with("cpu") && line.size() > 3 && line[3] != ' ') ++cpus;
  }
  if (cpus > 0) add(readings, kCpus, cpus);
}

void read_load(const NodePlaces& places, Readings& readings) {
  const std::vector<std::string> words = words_of(text_of(places.proc + "/loadavg"));
  if (words.size() < 3) return;
  add(readings, kLoad1, number_of(words[0]));
  add(readings, kLoad5, number_of(words[1]));
  add(readings, kLoad15, number_of(words[2]));
}

void read_memory(const NodePlaces& places, Readings& readings) {
  const std::string text = text_of(places.proc + "/meminfo");
  const auto bytes = [&](const char* key) { return times(number_after(text, key), 1024); };
  add(readings, kMemoryTotal, bytes("MemTotal:"));
  add(readings, kMemoryAvailable, bytes("MemAvailable:"));
  const auto swap = bytes("SwapTotal:");
  if (!swap || *swap <= 0) return;
  add(readings, kSwapTotal, swap);
  add(readings, kSwapFree, bytes("SwapFree:"));
}

// Documentation/accounting/psi.rst of the kernel: totals are microseconds.
void read_pressure(const NodePlaces& places, Readings& readings) {
  for (const char* resource : {"cpu", "memory", "io"}) {
    for (const std::string& line : split(text_of(places.proc + "/pressure/" + resource), '\n')) {
      const size_t at = line.find("total=");
      if (at == std::string::npos) continue;
      const auto seconds = times(number_of(std::string_view(line).substr(at + 6)), 1e-6);
      if (line.starts_with("some")) add(readings, kWaiting, seconds, {{"resource", resource}});
      // Of the processor as a whole it says nothing.
      if (line.starts_with("full") && std::string_view(resource) != "cpu") {
        add(readings, kStalled, seconds, {{"resource", resource}});
      }
    }
  }
}

void read_filesystems(const NodePlaces& places, Readings& readings) {
  std::set<dev_t> told;
  for (const NodePlaces::Directory& directory : places.directories) {
    struct stat file {};
    struct statvfs info {};
    if (stat(directory.path.c_str(), &file) != 0 || !told.insert(file.st_dev).second) continue;
    if (statvfs(directory.path.c_str(), &info) != 0) continue;
    const auto unit = static_cast<double>(info.f_frsize);
    const Labels labels{{"holds", directory.holds}};
    add(readings, kDiskSize, static_cast<double>(info.f_blocks) * unit, labels);
    add(readings, kDiskUsed, static_cast<double>(info.f_blocks - info.f_bfree) * unit, labels);
    add(readings, kDiskFree, static_cast<double>(info.f_bavail) * unit, labels);
    if (info.f_files == 0) continue;  // it has no fixed number: btrfs, vfat
    add(readings, kInodes, static_cast<double>(info.f_files), labels);
    add(readings, kInodesFree, static_cast<double>(info.f_favail), labels);
  }
}

// Hardware has a device behind it; bridges, veths and the loopback have none. Some drivers never
// say "up" but "unknown" (Documentation/networking/operstates.rst).
bool is_up_hardware(const std::string& interface) {
  struct stat device {};
  if (stat((interface + "/device").c_str(), &device) != 0) return false;
  const std::string state(trim(text_of(interface + "/operstate")));
  const std::string flags = text_of(interface + "/flags");
  constexpr unsigned long kIffUp = 1;
  const bool switched_on = (std::strtoul(flags.c_str(), nullptr, 16) & kIffUp) != 0;
  return state == "up" || (state == "unknown" && switched_on);
}

void read_network(const NodePlaces& places, Readings& readings) {
  const std::string net = places.sys + "/class/net/";
  for (const std::string& name : names_in(net)) {
    if (!is_up_hardware(net + name)) continue;
    const std::string counters = net + name + "/statistics/";
    const Labels labels{{"interface", name}};
    add(readings, kReceived, number_in(counters + "rx_bytes"), labels);
    add(readings, kTransmitted, number_in(counters + "tx_bytes"), labels);
    add(readings, kReceiveErrors, number_in(counters + "rx_errors"), labels);
    add(readings, kTransmitErrors, number_in(counters + "tx_errors"), labels);
  }
}

// Thousandths of a degree (Documentation/driver-api/thermal/sysfs-api.rst). A sensor that is not
// there tells nonsense.
void read_temperatures(const NodePlaces& places, Readings& readings) {
  const std::string thermal = places.sys + "/class/thermal/";
  std::set<std::string> told;
  for (const std::string& zone : names_in(thermal, "thermal_zone")) {
    const auto celsius = times(number_in(thermal + zone + "/temp"), 1e-3);
    if (!celsius || *celsius < -100 || *celsius > 250) continue;
    std::string name(trim(text_of(thermal + zone + "/type")));
    if (name.empty()) name = zone;
    // Several may be of one type.
    if (!told.insert(name).second) name += "-" + zone.substr(std::string("thermal_zone").size());
    add(readings, kTemperature, celsius, {{"zone", name}});
  }
}

// The firmware of a Raspberry Pi: vcgencmd get_throttled in its documentation. Sixteen bits further
// up is the same since boot.
void read_firmware_throttling(const NodePlaces& places, Readings& readings) {
  constexpr std::array<std::string_view, 4> kReasons{"under_voltage", "frequency_capped",
                                                     "throttled", "soft_temperature_limit"};
  const std::string text(
      trim(text_of(places.sys + "/devices/platform/soc/soc:firmware/get_throttled")));
  char* end = nullptr;
  const unsigned long bits = std::strtoul(text.c_str(), &end, 16);
  if (text.empty() || *end != '\0') return;
  for (size_t i = 0; i < kReasons.size(); ++i) {
    const Labels labels{{"reason", std::string(kReasons.at(i))}};
    add(readings, kThrottling, (bits >> i) & 1UL, labels);
    add(readings, kThrottled, (bits >> (i + 16)) & 1UL, labels);
  }
}

// x86: every processor tells the count of its core and of its package.
void read_cpu_throttling(const NodePlaces& places, Readings& readings) {
  const std::string cpus = places.sys + "/devices/system/cpu/";
  std::map<std::string, double> cores, packages;
  for (const std::string& cpu : names_in(cpus, "cpu")) {
    const std::string counts = cpus + cpu + "/thermal_throttle/";
    const auto core = number_in(counts + "core_throttle_count");
    if (!core) continue;
    const std::string package(trim(text_of(cpus + cpu + "/topology/physical_package_id")));
    cores[package + "/" + text_of(cpus + cpu + "/topology/core_id")] = *core;
    if (const auto all = number_in(counts + "package_throttle_count")) packages[package] = *all;
  }
  const auto tell = [&](const char* scope, const std::map<std::string, double>& counts) {
    double sum = 0;
    for (const auto& [name, count] : counts) sum += count;
    if (!counts.empty()) add(readings, kThrottles, sum, {{"scope", scope}});
  };
  tell("core", cores);
  tell("package", packages);
}

}  // namespace

std::optional<bool> kernel_clock_synchronised() {
  timex asked{};
  const int state = adjtimex(&asked);
  if (state < 0) return std::nullopt;
  return state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
}

Readings read_node(const NodePlaces& places) {
  Readings readings;
  read_cpu(places, readings);
  read_load(places, readings);
  read_memory(places, readings);
  read_pressure(places, readings);
  read_filesystems(places, readings);
  read_network(places, readings);
  read_temperatures(places, readings);
  add(readings, kUptime, number_in(places.proc + "/uptime"));
  if (places.clock_synchronised) {
    if (const auto good = places.clock_synchronised()) add(readings, kClock, *good ? 1 : 0);
  }
  read_firmware_throttling(places, readings);
  read_cpu_throttling(places, readings);
  return readings;
}

Readings read_process(const std::string& proc) {
  Readings readings;
  const std::string stat = text_of(proc + "/self/stat");
  // The second field is a name in parentheses that may hold anything.
  const size_t name_end = stat.rfind(") ");
  if (name_end != std::string::npos) {
    // From the third field of proc(5) on.
    const std::vector<std::string> words = words_of(std::string_view(stat).substr(name_end + 2));
    const auto field = [&](size_t number) {
      return number - 3 < words.size() ? number_of(words[number - 3]) : std::nullopt;
    };
    const auto user = field(14), system = field(15), started = field(22);
    if (user && system) add(readings, kProcessCpu, (*user + *system) / ticks());
    add(readings, kProcessThreads, field(20));
    add(readings, kProcessMemory, times(field(24), static_cast<double>(sysconf(_SC_PAGESIZE))));
    const auto booted = number_after(text_of(proc + "/stat"), "btime ");
    if (booted && started) add(readings, kProcessStart, *booted + *started / ticks());
  }
  add(readings, kProcessWritten, number_after(text_of(proc + "/self/io"), "write_bytes:"));
  return readings;
}

uint64_t written_bytes(const std::string& proc) {
  return static_cast<uint64_t>(
      number_after(text_of(proc + "/self/io"), "write_bytes:").value_or(0));
}

}  // namespace wherry::telemetry

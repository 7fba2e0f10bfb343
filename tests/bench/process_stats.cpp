#include "tests/bench/process_stats.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace wherry::bench {
namespace {

// The number after `key` in a "key: value" file; 0 where there is none.
int64_t field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    int64_t value = 0;
    if (word == key && file >> value) return value;
  }
  return 0;
}

std::string proc(pid_t pid, const std::string& name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

}  // namespace

Footprint footprint(pid_t pid) {
  const std::string path = proc(pid, "smaps_rollup");
  return {field(path, "Pss:") * 1024, field(path, "Private_Dirty:") * 1024};
}

int64_t cpu_nanoseconds(pid_t pid) {
  int64_t sum = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(proc(pid, "task"), error)) {
    std::ifstream file(task.path() / "schedstat");
    int64_t spent = 0;
    if (file >> spent) sum += spent;
  }
  return sum;
}

int64_t process_cpu_nanoseconds(pid_t pid) {
  std::ifstream file(proc(pid, "stat"));
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // proc(5): utime and stime are 14 and 15
  int64_t user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * (1'000'000'000 / sysconf(_SC_CLK_TCK));
}

void reset_peak(pid_t pid) { std::ofstream(proc(pid, "clear_refs")) << "5"; }
int64_t peak_resident(pid_t pid) { return field(proc(pid, "status"), "VmHWM:") * 1024; }
int64_t resident(pid_t pid) { return field(proc(pid, "status"), "VmRSS:") * 1024; }

int64_t written_bytes(pid_t pid) { return field(proc(pid, "io"), "write_bytes:"); }

int thread_count(pid_t pid) { return static_cast<int>(field(proc(pid, "status"), "Threads:")); }

}  // namespace wherry::bench

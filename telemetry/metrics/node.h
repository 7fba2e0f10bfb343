#pragma once
// The device itself, from /proc and /sys. What this board or kernel does not have is left out.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/metrics/metric.h"

namespace wherry::telemetry {

struct NodePlaces {
  std::string proc = "/proc";  // proc(5)
  std::string sys = "/sys";    // sysfs(5)
  struct Directory {
    std::string holds;  // what people call it: "state"
    std::string path;   // on the filesystem meant
  };
  // Of two on one filesystem the first is told.
  std::vector<Directory> directories;
  // Whether something keeps the clock synchronised; nothing where the kernel does not say.
  std::function<std::optional<bool>()> clock_synchronised;
};

// As adjtimex(2) says it.
std::optional<bool> kernel_clock_synchronised();

// Reads a few dozen small files; nothing is kept. Thread-safe.
Readings read_node(const NodePlaces& places);
// Of the process that asks, by the names that Prometheus' clients use, and what it has had written
// to disk (proc(5), io).
Readings read_process(const std::string& proc = "/proc");
uint64_t written_bytes(const std::string& proc = "/proc");  // that alone; 0 where it is not known

}  // namespace wherry::telemetry

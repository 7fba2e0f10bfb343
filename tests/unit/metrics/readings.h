#pragma once
// Looks things up in readings, and lays out what a kernel would show.

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "telemetry/metrics/metric.h"
#include "tests/support/temp_dir.h"

namespace wherry::telemetry {

// The value of `name` whose label values are `labels`, in order.
inline std::optional<double> value_of(const Readings& readings, std::string_view name,
                                      const std::vector<std::string>& labels = {}) {
  for (const Reading& reading : readings) {
    std::vector<std::string> values;
    for (const auto& [key, value] : reading.labels) values.push_back(value);
    if (reading.metric->name == name && values == labels) return reading.value;
  }
  return std::nullopt;
}

// A directory of files, made as they are named.
class KernelTree {
 public:
  void file(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = dir_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::remove(path);  // a file that is cut short is flushed when it is closed
    std::ofstream(path) << text;
  }
  std::string path(const std::string& name) const { return dir_ / name; }

 private:
  test::TempDir dir_;
};

}  // namespace wherry::telemetry

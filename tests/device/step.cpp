#include "tests/device/step.h"

#include <stdexcept>

namespace wherry::test {

using nlohmann::json;

void require(bool fine, const std::string& what) {
  if (!fine) throw std::runtime_error(what);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

json entry_of(const json& object, const char* list, const char* key, const std::string& value) {
  for (const json& entry : object.is_object() ? object.value(list, json::array()) : json::array()) {
    if (entry.value(key, "") == value) return entry;
  }
  return nullptr;
}

json workload_in(const json& reported, const std::string& name) {
  return entry_of(reported, "workloads", "name", name);
}

bool runs(const json& reported, const std::string& workload) {
  const json entry = workload_in(reported, workload);
  return entry.is_object() && entry.value("phase", "") == "Running" && entry.value("ready", false);
}

}  // namespace wherry::test

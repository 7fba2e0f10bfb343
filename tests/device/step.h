#pragma once
// What the steps print and demand, and how they read what the device tells.

#include <chrono>
#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

namespace wherry::test {

template <typename... Values>
void say(const char* format, Values... values) {
  std::printf(format, values...);
  std::printf("\n");
  std::fflush(stdout);
}

// Throws std::runtime_error with `what` unless it is `fine`.
void require(bool fine, const std::string& what);

double seconds_since(std::chrono::steady_clock::time_point start);

// The entry of `list` whose `key` is `value`; null where there is none.
nlohmann::json entry_of(const nlohmann::json& object, const char* list, const char* key,
                        const std::string& value);

// In a ReportedState, or what `wherry status -o json` prints; null where there is none.
nlohmann::json workload_in(const nlohmann::json& reported, const std::string& name);

// It is Running and ready.
bool runs(const nlohmann::json& reported, const std::string& workload);

}  // namespace wherry::test

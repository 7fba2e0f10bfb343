#include "agent/manifest/workload_spec.h"

#include <array>

namespace wherry {
namespace {

constexpr std::array<std::string_view, 3> kLogForwards{"none", "errors", "all"};

}  // namespace

std::string_view to_string(LogForward forward) {
  return kLogForwards.at(static_cast<size_t>(forward));
}

std::optional<LogForward> log_forward_of(std::string_view text) {
  for (size_t i = 0; i < kLogForwards.size(); ++i) {
    if (kLogForwards.at(i) == text) return static_cast<LogForward>(i);
  }
  return std::nullopt;
}

}  // namespace wherry

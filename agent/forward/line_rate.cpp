#include "agent/forward/line_rate.h"

#include <algorithm>

#include "base/clock.h"

namespace wherry {
namespace {

constexpr size_t kToTheSecond = 19;
constexpr int64_t kLongest = 86'400;  // of a pause: enough for any burst

}  // namespace

void LineRate::pass(std::string_view time) {
  const std::string_view second = time.substr(0, kToTheSecond);
  if (second == second_) return;
  const auto parsed = parse_rfc3339(std::string(second) + "Z");
  if (!parsed) return;
  const int64_t at =
      std::chrono::duration_cast<std::chrono::seconds>(parsed->time_since_epoch()).count();
  // A clock that was set back gives nothing, and holds nothing up.
  const int64_t passed = second_.empty() ? 0 : std::clamp<int64_t>(at - at_, 0, kLongest);
  left_ = std::min(burst_, left_ + passed * rate_);
  at_ = at;
  second_ = second;
}

bool LineRate::take(int64_t bytes, std::string_view time) {
  pass(time);
  if (dry_ && left_ < burst_ / 4) return false;
  dry_ = bytes > left_;
  if (!dry_) left_ -= bytes;
  return !dry_;
}

}  // namespace wherry

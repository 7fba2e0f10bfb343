#include "telemetry/metrics/daily.h"

namespace wherry::telemetry {
namespace {

constexpr Duration kLeast = std::chrono::hours(1);
constexpr size_t kDate = 10;  // of RFC 3339

}  // namespace

std::optional<Daily::Day> Daily::at(WallTime wall, MonoTime now, const Totals& totals) {
  std::string date = to_rfc3339(wall).substr(0, kDate);
  if (date == date_) return last_;
  if (!date_.empty() && now - since_ >= kLeast) {
    last_ = {date_,
             {totals.sent - before_.sent, totals.received - before_.received,
              totals.written - before_.written}};
  }
  date_ = std::move(date);
  since_ = now;
  before_ = totals;
  return last_;
}

}  // namespace wherry::telemetry

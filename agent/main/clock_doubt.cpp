#include "agent/main/clock_doubt.h"

#include <sys/timex.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry {
namespace {

// No device of ours has ever been at work before this: 2026-01-01.
constexpr WallTime kEarliest{std::chrono::seconds(1'767'225'600)};

bool is_synchronised() {
  timex asked{};
  const int state = adjtimex(&asked);
  return state >= 0 && state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
}

// Of a battery-backed clock, by the kernel, before anything ran.
bool was_set_at_boot() {
  const Result<std::string> set = read_file("/sys/class/rtc/rtc0/hctosys");
  return set && trim(*set) == "1";
}

}  // namespace

std::string clock_doubt(WallTime now) {
  if (now < kEarliest) {
    return "the clock says " + to_rfc3339(now) +
           ", which cannot be: nothing starts by schedule until it is set";
  }
  if (is_synchronised() || was_set_at_boot()) return {};
  return "nothing keeps the clock synchronised, and no real-time clock has set it: nothing starts "
         "by schedule until NTP does, or device.clock says trusted";
}

}  // namespace wherry

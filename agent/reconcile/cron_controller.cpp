#include "agent/reconcile/cron_controller.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "agent/manifest/cron.h"
#include "base/text.h"

namespace wherry {
namespace {

// A clock that is set back begins another stretch; so many earlier ones are remembered.
constexpr size_t kStretches = 16;
// Jobs that never end, started every minute, would fill the device.
constexpr size_t kMostActive = 100;

struct Stretch {
  WallTime from{}, to{};
  bool has(WallTime time) const { return from <= time && time <= to; }
};

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<Stretch> read_stretches(const std::string& text) {
  std::vector<Stretch> all;
  for (const std::string& entry : split(text, ',')) {
    const size_t dash = entry.find('-', 1);
    if (dash == std::string::npos) continue;
    const std::string_view view = entry;
    all.push_back({WallTime(Duration(number(view.substr(0, dash)))),
                   WallTime(Duration(number(view.substr(dash + 1))))});
  }
  return all;
}

std::string write_stretches(const std::vector<Stretch>& all) {
  std::string text;
  const size_t first = all.size() > kStretches ? all.size() - kStretches : 0;
  for (size_t i = first; i < all.size(); ++i) {
    text += (text.empty() ? "" : ",") + std::to_string(all[i].from.time_since_epoch().count()) +
            "-" + std::to_string(all[i].to.time_since_epoch().count());
  }
  return text;
}

class Decider {
 public:
  Decider(const CronRecord& before, const CronInput& input)
      : rules_(input.rules), input_(input), seen_(read_stretches(before.seen)) {
    decision_.record = before;
  }

  CronDecision run() {
    const auto schedule = CronSchedule::parse(rules_.schedule);
    const auto zone = TimeZone::find(rules_.time_zone);
    if (!schedule || !zone) {
      say("InvalidSchedule", !schedule ? schedule.error().message() : zone.error().message());
      return std::move(decision_);
    }
    begin();
    if (rules_.suspend) {
      say("Suspended", "spec.suspend is true; times that pass meanwhile are missed");
    } else {
      look(*schedule, *zone);
    }
    decision_.next = next_unseen(*schedule, *zone, input_.wall);
    decision_.record.seen = write_stretches(seen_);
    return std::move(decision_);
  }

 private:
  void say(std::string reason, std::string message) {
    decision_.reason = std::move(reason);
    decision_.message = std::move(message);
  }

  // Times count from now on for what is new, and after the clock was set back.
  void begin() {
    const std::string schedule = rules_.schedule + " " + rules_.time_zone;
    const bool other = decision_.record.schedule != schedule;
    decision_.record.schedule = schedule;
    if (seen_.empty() || input_.wall < seen_.back().to || other) {
      seen_.push_back({input_.wall, input_.wall});
    }
  }

  const Stretch* stretch_of(WallTime time) const {
    for (const Stretch& stretch : seen_) {
      if (stretch.has(time)) return &stretch;
    }
    return nullptr;
  }

  std::optional<WallTime> next_unseen(const CronSchedule& schedule, TimeZone zone,
                                      WallTime after) const {
    std::optional<WallTime> time = schedule.next(after, zone);
    while (time) {
      const Stretch* stretch = stretch_of(*time);
      if (stretch == nullptr) break;
      time = schedule.next(stretch->to, zone);
    }
    return time;
  }

  std::optional<WallTime> last_unseen(const CronSchedule& schedule, TimeZone zone,
                                      WallTime after) const {
    std::optional<WallTime> time = schedule.last(after, input_.wall, zone);
    while (time) {
      const Stretch* stretch = stretch_of(*time);
      if (stretch == nullptr) break;
      if (stretch->from <= after) return {};
      time = schedule.last(after, stretch->from - Duration(1), zone);
    }
    return time;
  }

  void look(const CronSchedule& schedule, TimeZone zone) {
    WallTime after = seen_.back().to;
    const bool bounded = rules_.starting_deadline.has_value();
    if (bounded) after = std::max(after, input_.wall - *rules_.starting_deadline - Duration(1));
    const auto due = last_unseen(schedule, zone, after);
    if (!due) return;
    using Concurrency = CronRules::Concurrency;
    if (rules_.concurrency == Concurrency::Forbid && input_.active > 0) {
      return say("JobAlreadyActive",
                 "the Job for " + to_rfc3339(*due) +
                     " waits: an earlier one has not finished, and concurrencyPolicy is Forbid");
    }
    if (rules_.concurrency == Concurrency::Allow && input_.active >= kMostActive) {
      return say("TooManyJobs", std::to_string(input_.active) +
                                    " Jobs of it have not finished: nothing more starts until one "
                                    "does; see concurrencyPolicy and activeDeadlineSeconds");
    }
    decision_.start = due;
    decision_.replace = rules_.concurrency == Concurrency::Replace && input_.active > 0;
    decision_.record.started = *due;
    // What was missed in between is not part of what has been seen to: were the clock set back, it
    // would be due again.
    const auto first = next_unseen(schedule, zone, seen_.back().to);
    if (first && *first < *due) {
      seen_.push_back({*due, *due});
    } else {
      seen_.back().to = *due;
    }
  }

  const CronRules& rules_;
  const CronInput& input_;
  std::vector<Stretch> seen_;  // the present one last
  CronDecision decision_;
};

}  // namespace

CronDecision decide_cron(const CronRecord& before, const CronInput& input) {
  return Decider(before, input).run();
}

std::string cron_job_name(const std::string& cron_job, WallTime time) {
  const auto minutes = std::chrono::floor<std::chrono::minutes>(time).time_since_epoch().count();
  return cron_job + "-" + std::to_string(minutes);
}

}  // namespace wherry

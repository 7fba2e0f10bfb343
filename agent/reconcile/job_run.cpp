#include "agent/reconcile/job_run.h"

#include <charconv>
#include <utility>

#include "base/digest.h"
#include "base/text.h"

namespace wherry {
namespace {

// "a<separator>b", or "a" alone, which stands for both.
std::pair<int, int> two_numbers(std::string_view text, char separator) {
  int first = 0, second = 0;
  const size_t at = text.find(separator);
  const std::string_view left = text.substr(0, at);
  const std::string_view right = at == std::string_view::npos ? left : text.substr(at + 1);
  std::from_chars(left.data(), left.data() + left.size(), first);
  std::from_chars(right.data(), right.data() + right.size(), second);
  return {first, second};
}

std::string ranges_of(const std::set<int>& numbers) {
  std::string text;
  for (auto number = numbers.begin(); number != numbers.end();) {
    const int first = *number;
    int last = first;
    while (++number != numbers.end() && *number == last + 1) last = *number;
    text += (text.empty() ? "" : ",") + std::to_string(first);
    if (last != first) text += "-" + std::to_string(last);
  }
  return text;
}

std::string_view to_string(JobRun::Phase phase) {
  if (phase == JobRun::Phase::Complete) return "Complete";
  return phase == JobRun::Phase::Failed ? "Failed" : "";
}

}  // namespace

std::string JobRun::pod_hash(int index, uint32_t attempt) const {
  const std::string text = run + "/" + std::to_string(index) + "/" + std::to_string(attempt);
  return sha256_hex(text).substr(0, 16);
}

JobRecord to_record(const JobRun& run, const BootClock& clock) {
  JobRecord record;
  record.name = run.name;
  record.cron_job = run.cron_job;
  record.source = run.source;
  record.run = run.run;
  record.template_hash = run.template_hash;
  record.scheduled_at = run.scheduled_at;
  record.phase = to_string(run.phase);
  record.reason = run.reason;
  record.message = run.message;
  record.started_at = run.started_at;
  record.finished_at = run.finished_at;
  record.succeeded = ranges_of(run.succeeded);
  for (const auto& [index, count] : run.attempts) {
    record.attempts +=
        (record.attempts.empty() ? "" : ",") + std::to_string(index) + ":" + std::to_string(count);
  }
  record.failed = run.failed;
  record.suspended = run.suspended;
  record.boot = clock.boot;
  record.clock = clock.now.time_since_epoch().count();
  record.lasted = (clock.now - run.since).count();
  return record;
}

JobRun from_record(const JobRecord& record, const BootClock& clock) {
  JobRun run;
  run.name = record.name;
  run.cron_job = record.cron_job;
  run.source = record.source;
  run.run = record.run;
  run.template_hash = record.template_hash;
  run.scheduled_at = record.scheduled_at;
  run.started_at = record.started_at;
  run.finished_at = record.finished_at;
  if (record.phase == "Complete") run.phase = JobRun::Phase::Complete;
  if (record.phase == "Failed") run.phase = JobRun::Phase::Failed;
  run.reason = record.reason;
  run.message = record.message;
  for (const std::string& range : split(record.succeeded, ',')) {
    const auto [first, last] = two_numbers(range, '-');
    for (int index = first; index <= last; ++index) run.succeeded.insert(index);
  }
  for (const std::string& entry : split(record.attempts, ',')) {
    const auto [index, count] = two_numbers(entry, ':');
    run.attempts[index] = static_cast<uint32_t>(count);
  }
  run.failed = record.failed;
  run.suspended = record.suspended;
  Duration lasted(record.lasted);
  if (record.boot == clock.boot) lasted += clock.now - MonoTime(Duration(record.clock));
  run.since = clock.now - lasted;
  return run;
}

}  // namespace wherry

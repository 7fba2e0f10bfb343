#include "agent/manifest/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <date/tz.h>
#include <vector>

#include "base/text.h"

namespace wherry {
namespace {

// No day of a valid schedule is rarer than a 29 February (8 years, where a century has none).
constexpr int kMaxDays = 366 * 9;

struct FieldForm {
  const char* name;
  unsigned least, most;
  std::array<std::string_view, 12> words;  // from `least` on
};
constexpr std::array<FieldForm, 5> kFields{{
    {"minute", 0, 59, {}},
    {"hour", 0, 23, {}},
    {"day of the month", 1, 31, {}},
    {"month",
     1,
     12,
     {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
    {"day of the week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}};

struct Macro {
  std::string_view name, fields;
};
constexpr std::array<Macro, 7> kMacros{{{"@yearly", "0 0 1 1 *"},
                                        {"@annually", "0 0 1 1 *"},
                                        {"@monthly", "0 0 1 * *"},
                                        {"@weekly", "0 0 * * 0"},
                                        {"@daily", "0 0 * * *"},
                                        {"@midnight", "0 0 * * *"},
                                        {"@hourly", "0 * * * *"}}};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

tl::unexpected<Error> wrong(const FieldForm& form, std::string_view text, const std::string& why) {
  return fail(Code::InvalidArgument,
              std::string(form.name) + " \"" + printable(text, 40) + "\": " + why);
}

std::optional<unsigned> plain_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

Result<unsigned> value_of(const FieldForm& form, std::string_view text) {
  const std::string word = lower(text);
  for (unsigned i = 0; i < form.words.size(); ++i) {
    if (!form.words.at(i).empty() && form.words.at(i) == word) return form.least + i;
  }
  const auto value = plain_number(text);
  if (value && *value >= form.least && *value <= form.most) return *value;
  return wrong(
      form, text,
      "must be " + std::to_string(form.least) + " to " + std::to_string(form.most) +
          (form.words[0].empty() ? "" : ", or a name such as " + std::string(form.words[1])));
}

struct Bits {
  uint64_t bits = 0;
  bool any = false;
};

// *, 5, 1-5, each with /step.
Result<Bits> parse_part(const FieldForm& form, std::string_view part) {
  const size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  unsigned step = 1;
  if (slash != std::string_view::npos) {
    const auto given = plain_number(part.substr(slash + 1));
    if (!given || *given == 0 || *given > form.most) {
      return wrong(form, part, "the step must be 1 to " + std::to_string(form.most));
    }
    step = *given;
  }
  const bool star = range == "*" || range == "?";
  // 7 is Sunday only where it is written.
  unsigned first = form.least, last = form.most == 7 ? 6 : form.most;
  if (!star) {
    const size_t dash = range.find('-');
    const auto from = value_of(form, range.substr(0, dash));
    if (!from) return fail(from.error());
    first = *from;
    if (dash != std::string_view::npos) {
      const auto to = value_of(form, range.substr(dash + 1));
      if (!to) return fail(to.error());
      last = *to;
    } else if (slash == std::string_view::npos) {
      last = first;
    }
    if (first > last) return wrong(form, part, "the range runs backwards");
  }
  Bits bits;
  bits.any = star && step == 1;
  for (unsigned value = first; value <= last; value += step) bits.bits |= uint64_t{1} << value;
  return bits;
}

Result<Bits> parse_field(const FieldForm& form, std::string_view text) {
  Bits all;
  for (const std::string& part : split(text, ',')) {
    const auto bits = parse_part(form, part);
    if (!bits) return fail(bits.error());
    all.bits |= bits->bits;
    all.any = all.any || bits->any;
  }
  if (form.most == 7 && (all.bits & 1 << 7) != 0) all.bits = (all.bits | 1) & 0x7f;
  return all;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string& line : split(text, '\t')) {
    for (const std::string& word : split(line, ' ')) {
      if (!word.empty()) words.push_back(word);
    }
  }
  return words;
}

Result<std::string_view> expand_macro(std::string_view text) {
  std::vector<std::string_view> names;
  for (const Macro& macro : kMacros) {
    names.push_back(macro.name);
    if (macro.name == lower(text)) return macro.fields;
  }
  const std::string near = nearest(text, names);
  return fail(Code::InvalidArgument, "\"" + printable(text, 40) + "\" is not known" +
                                         (near.empty() ? "; write five fields, or @hourly, @daily, "
                                                         "@weekly, @monthly or @yearly"
                                                       : "; did you mean " + near + "?"));
}

// ---- the calendar ----

const date::time_zone* zone_of(TimeZone zone) {
  return static_cast<const date::time_zone*>(zone.handle());
}

date::local_days local_day(WallTime time, TimeZone zone) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const date::time_zone* rules = zone_of(zone);
  if (rules == nullptr)
    return date::floor<date::days>(date::local_seconds(seconds.time_since_epoch()));
  return date::floor<date::days>(rules->to_local(seconds));
}

void add_instants(const CronSchedule& schedule, date::local_seconds local, TimeZone zone,
                  std::vector<WallTime>& times) {
  const date::time_zone* rules = zone_of(zone);
  if (rules == nullptr) {
    times.emplace_back(local.time_since_epoch());
    return;
  }
  const date::local_info info = rules->get_info(local);
  if (info.result == date::local_info::nonexistent) return;
  times.emplace_back(local.time_since_epoch() - info.first.offset);
  if (info.result == date::local_info::ambiguous && schedule.every_hour()) {
    times.emplace_back(local.time_since_epoch() - info.second.offset);
  }
}

// All times of one local day, in order.
std::vector<WallTime> times_of(const CronSchedule& schedule, date::local_days day, TimeZone zone) {
  std::vector<WallTime> times;
  const date::year_month_day calendar(day);
  const unsigned weekday = date::weekday(day).c_encoding();
  if (!schedule.has_day(static_cast<unsigned>(calendar.month()),
                        static_cast<unsigned>(calendar.day()), weekday)) {
    return times;
  }
  for (unsigned hour = 0; hour < 24; ++hour) {
    for (unsigned minute = 0; schedule.has_hour(hour) && minute < 60; ++minute) {
      if (!schedule.has_minute(minute)) continue;
      add_instants(schedule, day + std::chrono::hours(hour) + std::chrono::minutes(minute), zone,
                   times);
    }
  }
  std::sort(times.begin(), times.end());
  return times;
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  TimeZone found;
  if (name.empty() || name == "UTC" || name == "Etc/UTC") return found;
  try {
    found.zone_ = date::locate_zone(name);
    // Read now: it may be damaged, and what asks for times later expects no error.
    (void)zone_of(found)->get_info(date::sys_seconds{});
    return found;
  } catch (const std::exception& error) {
    return fail(Code::InvalidArgument,
                "\"" + printable(name, 40) +
                    "\" is no time zone of this machine: write a name such as Europe/Berlin, and "
                    "see that the package tzdata is installed");
  }
}

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  std::string_view fields = trim(text);
  if (fields.starts_with("TZ=") || fields.starts_with("CRON_TZ=")) {
    return fail(Code::InvalidArgument, "a time zone does not belong here: write timeZone");
  }
  if (fields.starts_with('@')) {
    const auto expanded = expand_macro(fields);
    if (!expanded) return fail(expanded.error());
    fields = *expanded;
  }
  const std::vector<std::string> words = words_of(fields);
  if (words.size() != kFields.size()) {
    return fail(Code::InvalidArgument,
                "needs five fields (minute hour day month weekday), and has " +
                    std::to_string(words.size()));
  }
  std::array<Bits, kFields.size()> bits;
  for (size_t i = 0; i < kFields.size(); ++i) {
    const auto field = parse_field(kFields.at(i), words[i]);
    if (!field) return fail(field.error());
    bits.at(i) = *field;
  }
  CronSchedule made;
  made.minutes_ = bits[0].bits;
  made.hours_ = static_cast<uint32_t>(bits[1].bits);
  made.days_ = static_cast<uint32_t>(bits[2].bits);
  made.months_ = static_cast<uint32_t>(bits[3].bits);
  made.weekdays_ = static_cast<uint32_t>(bits[4].bits);
  made.any_hour_ = bits[1].any;
  made.any_day_ = bits[2].any;
  made.any_weekday_ = bits[4].any;
  if (made.occurs()) return made;
  return fail(Code::InvalidArgument, "never occurs: no such month has that day");
}

bool CronSchedule::occurs() const {
  if (!any_day_ && !any_weekday_) return true;  // some weekday comes in any month
  for (unsigned month = 1; month <= 12; ++month) {
    const bool short_one = month == 4 || month == 6 || month == 9 || month == 11;
    const unsigned longest = month == 2 ? 29 : short_one ? 30 : 31;
    const uint32_t days = days_ & ((uint32_t{1} << longest << 1) - 1);
    if ((months_ >> month & 1) != 0 && days != 0) return true;
  }
  return false;
}

bool CronSchedule::has_day(unsigned month, unsigned day, unsigned weekday) const {
  if ((months_ >> month & 1) == 0) return false;
  const bool by_day = (days_ >> day & 1) != 0;
  const bool by_weekday = (weekdays_ >> weekday & 1) != 0;
  return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

std::optional<WallTime> CronSchedule::next(WallTime after, TimeZone zone) const {
  date::local_days day = local_day(after, zone);
  for (int i = 0; i < kMaxDays; ++i, day += date::days(1)) {
    for (const WallTime time : times_of(*this, day, zone)) {
      if (time > after) return time;
    }
  }
  return {};
}

std::optional<WallTime> CronSchedule::last(WallTime after, WallTime until, TimeZone zone) const {
  date::local_days day = local_day(until, zone);
  const date::local_days first = local_day(after, zone);
  for (; day >= first; day -= date::days(1)) {
    std::optional<WallTime> found;
    for (const WallTime time : times_of(*this, day, zone)) {
      if (time > after && time <= until) found = time;
    }
    if (found) return found;
  }
  return {};
}

}  // namespace wherry

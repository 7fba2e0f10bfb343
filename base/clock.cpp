#include "base/clock.h"

#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <limits>

namespace wherry {
namespace {

using std::chrono::duration_cast;

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};
constexpr std::array<Unit, 7> kUnits{{{"d", 86'400'000'000'000},
                                      {"h", 3'600'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"s", 1'000'000'000},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"ns", 1}}};

tl::unexpected<Error> bad_duration(std::string_view text) {
  return fail(Code::InvalidArgument,
              "\"" + std::string(text.substr(0, 64)) +
                  "\" is not a duration; write for example 250ms, 30s, 5m or 7d");
}

// Reads exactly `count` digits at `at`; -1 where there are fewer.
int digits(std::string_view text, size_t at, size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

MonoTime SystemClock::now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}
WallTime SystemClock::wall() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

std::string to_rfc3339(WallTime time) {
  if (time.time_since_epoch() == Duration::zero()) return {};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto ms = duration_cast<std::chrono::milliseconds>(time - day).count();
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(ms / 3'600'000),
                static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1'000 % 60),
                static_cast<int>(ms % 1'000));
  return text.data();
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::InvalidArgument, "\"" + std::string(text.substr(0, 64)) +
                                           "\" is not a time; write it as 2027-01-01T00:00:00Z");
  };
  const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (year < 0 || month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0) return bad();
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':') {
    return bad();
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return bad();
  size_t at = 19;
  int64_t nanoseconds = 0;
  if (at < text.size() && text[at] == '.') {
    int64_t scale = 100'000'000;
    const size_t start = ++at;
    for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0; ++at) {
      nanoseconds += (text[at] - '0') * scale;
      scale /= 10;
    }
    if (at == start) return bad();
  }
  if (at >= text.size()) return bad();
  int offset_minutes = 0;
  if (text[at] == 'Z' || text[at] == 'z') {
    if (at + 1 != text.size()) return bad();
  } else {
    const int hours = digits(text, at + 1, 2), minutes = digits(text, at + 4, 2);
    if ((text[at] != '+' && text[at] != '-') || hours < 0 || hours > 23 || minutes < 0 ||
        minutes > 59 || text[at + 3] != ':' || at + 6 != text.size()) {
      return bad();
    }
    offset_minutes = (hours * 60 + minutes) * (text[at] == '-' ? -1 : 1);
  }
  // Years beyond what nanoseconds since 1970 can hold (2262) saturate: "never expires" stays so.
  if (year >= 2262) return WallTime::max();
  if (year <= 1677) return WallTime::min();
  return WallTime(std::chrono::sys_days(date).time_since_epoch()) + std::chrono::hours(hour) +
         std::chrono::minutes(minute - offset_minutes) + std::chrono::seconds(second) +
         Duration(nanoseconds);
}

Result<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (text.empty()) return bad_duration(text);
  int64_t total = 0;
  size_t at = 0;
  while (at < text.size()) {
    int64_t number = 0;
    const size_t start = at;
    for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0; ++at) {
      if (__builtin_mul_overflow(number, 10, &number) ||
          __builtin_add_overflow(number, text[at] - '0', &number)) {
        return bad_duration(text);
      }
    }
    if (at == start) return bad_duration(text);
    const size_t unit_start = at;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0) ++at;
    const std::string_view unit = text.substr(unit_start, at - unit_start);
    int64_t factor = 0;
    for (const Unit& known : kUnits) {
      if (known.name == unit) factor = known.nanoseconds;
    }
    int64_t part = 0;
    if (factor == 0 || __builtin_mul_overflow(number, factor, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return bad_duration(text);
    }
  }
  return Duration(total);
}

std::string format_duration(Duration duration) {
  int64_t rest = duration.count();
  if (rest <= 0) return "0s";
  std::string text;
  for (const Unit& unit : kUnits) {
    if (rest >= unit.nanoseconds) {
      text += std::to_string(rest / unit.nanoseconds);
      text += unit.name;
      rest %= unit.nanoseconds;
    }
  }
  return text;
}

}  // namespace wherry

// Schedules: every form, and the times they stand for, over changes of the clocks.

#include "agent/manifest/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry {
namespace {

WallTime at(const std::string& text) { return *parse_rfc3339(text); }
CronSchedule schedule(const std::string& text) {
  const auto parsed = CronSchedule::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().full();
  return *parsed;
}
TimeZone zone(const std::string& name) {
  const auto found = TimeZone::find(name);
  EXPECT_TRUE(found) << found.error().full();
  return *found;
}
std::string next(const std::string& text, const std::string& after, const std::string& where = "") {
  const auto time = schedule(text).next(at(after), zone(where));
  return time ? to_rfc3339(*time).substr(0, 16) : "never";
}

TEST(Cron, EveryForm) {
  const std::string t = "2026-03-11T10:20:30Z";  // a Wednesday
  EXPECT_EQ(next("* * * * *", t), "2026-03-11T10:21");
  EXPECT_EQ(next("*/15 * * * *", t), "2026-03-11T10:30");
  EXPECT_EQ(next("5/20 * * * *", t), "2026-03-11T10:25");
  EXPECT_EQ(next("0 9-17/4 * * ?", t), "2026-03-11T13:00");
  EXPECT_EQ(next("30 8,12 * * *", t), "2026-03-11T12:30");
  EXPECT_EQ(next("0 0 1 JAN *", t), "2027-01-01T00:00");
  EXPECT_EQ(next("0 0 * * fri", t), "2026-03-13T00:00");
  EXPECT_EQ(next("0 0 * * 7", t), "2026-03-15T00:00") << "7 is Sunday, as 0 is";
  EXPECT_EQ(next("0 0 13 * fri", t), "2026-03-13T00:00") << "either day is enough";
  EXPECT_EQ(next("0 0 20 * fri", t), "2026-03-13T00:00") << "either day is enough";
  EXPECT_EQ(next("0 0 29 2 *", t), "2028-02-29T00:00");
  EXPECT_EQ(next("\t0   0 1 * * ", t), "2026-04-01T00:00");
}

TEST(Cron, EveryMacro) {
  const std::string t = "2026-03-11T10:20:30Z";
  EXPECT_EQ(next("@hourly", t), "2026-03-11T11:00");
  EXPECT_EQ(next("@daily", t), "2026-03-12T00:00");
  EXPECT_EQ(next("@midnight", t), "2026-03-12T00:00");
  EXPECT_EQ(next("@weekly", t), "2026-03-15T00:00");
  EXPECT_EQ(next("@monthly", t), "2026-04-01T00:00");
  EXPECT_EQ(next("@yearly", t), "2027-01-01T00:00");
  EXPECT_EQ(next("@Annually", t), "2027-01-01T00:00");
}

TEST(Cron, BadOnesSayWhatIsWrong) {
  const std::pair<const char*, const char*> kBad[] = {
      {"", "needs five fields"},
      {"* * * *", "needs five fields"},
      {"60 * * * *", "minute \"60\": must be 0 to 59"},
      {"* 24 * * *", "hour"},
      {"* * 0 * *", "day of the month"},
      {"* * * 13 *", "or a name such as feb"},
      {"* * * * 8", "day of the week"},
      {"* * * * xyz", "day of the week"},
      {"5-1 * * * *", "runs backwards"},
      {"*/0 * * * *", "the step must be"},
      {"1, * * * *", "minute \"\""},
      {"-1 * * * *", "minute"},
      {"1.5 * * * *", "minute"},
      {"* * 30 2 *", "never occurs"},
      {"* * 31 4,6,9,11 *", "never occurs"},
      {"@dayly", "did you mean @daily?"},
      {"@reboot", "is not known"},
      {"@every 1h", "is not known"},
      {"TZ=UTC * * * * *", "write timeZone"},
      {"99999999999999999999 * * * *", "minute"},
  };
  for (const auto& [text, part] : kBad) {
    const auto parsed = CronSchedule::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message(), testing::HasSubstr(part)) << text;
  }
}

TEST(Cron, ZonesAreThoseOfTheSystem) {
  EXPECT_EQ(next("0 8 * * *", "2026-01-10T00:00:00Z", "Europe/Berlin"), "2026-01-10T07:00");
  EXPECT_EQ(next("0 8 * * *", "2026-07-10T00:00:00Z", "Europe/Berlin"), "2026-07-10T06:00");
  EXPECT_EQ(next("0 0 * * *", "2026-07-10T00:00:00Z", "Asia/Kolkata"), "2026-07-10T18:30");
  for (const char* bad : {"Mars/Base", "../../etc/passwd", "Local", "europe/berlin", "UTC+1"}) {
    EXPECT_FALSE(TimeZone::find(bad)) << bad;
  }
}

// Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00.
TEST(Cron, ATimeThatTheClocksSkipDoesNotOccur) {
  EXPECT_EQ(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-30T00:30");
  EXPECT_EQ(next("30 * * * *", "2026-03-29T00:45:00Z", "Europe/Berlin"), "2026-03-29T01:30");
}

TEST(Cron, ATimeThatComesTwiceIsTakenOnceUnlessEveryHourIs) {
  EXPECT_EQ(next("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin"), "2026-10-25T00:30");
  EXPECT_EQ(next("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"), "2026-10-26T01:30");
  EXPECT_EQ(next("30 * * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"), "2026-10-25T01:30");
}

TEST(Cron, LastIsTheLatestWithinTheStretch) {
  const CronSchedule hourly = schedule("0 * * * *");
  EXPECT_EQ(hourly.last(at("2026-03-01T00:00:00Z"), at("2026-03-11T10:20:00Z"), {}),
            at("2026-03-11T10:00:00Z"));
  EXPECT_EQ(hourly.last(at("2026-03-11T10:00:00Z"), at("2026-03-11T10:20:00Z"), {}), std::nullopt)
      << "the beginning is not part of it";
  EXPECT_EQ(hourly.last(at("2026-03-11T09:59:59Z"), at("2026-03-11T10:00:00Z"), {}),
            at("2026-03-11T10:00:00Z"));
}

// next() and last() agree, on random schedules, times and zones.
TEST(Cron, NextAndLastAgree) {
  uint32_t seed = 1;
  const auto random = [&](uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
  };
  const char* const kZones[] = {"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"};
  for (int i = 0; i < 300; ++i) {
    const std::string text = std::to_string(random(60)) + "/" + std::to_string(1 + random(30)) +
                             " " + (random(2) == 0 ? "*" : std::to_string(random(24))) + " " +
                             (random(2) == 0 ? "*" : std::to_string(1 + random(28))) + " * " +
                             (random(2) == 0 ? "*" : std::to_string(random(7)));
    const TimeZone where = zone(kZones[random(4)]);
    const WallTime from = at("2026-01-01T00:00:00Z") + std::chrono::minutes(random(525600));
    const CronSchedule made = schedule(text);
    const auto following = made.next(from, where);
    ASSERT_TRUE(following) << text;
    EXPECT_GT(*following, from);
    EXPECT_EQ(made.last(from, *following, where), following) << text;
    EXPECT_EQ(made.last(from, *following - Duration(1), where), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace wherry

// What people see: widths, cuts, ages, YAML.
#include "agent/cli/table.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/cli/text_width.h"
#include "agent/cli/yaml_writer.h"

namespace wherry::cli {
namespace {

TEST(TextWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(text_width(""), 0u);
  EXPECT_EQ(text_width("web"), 3u);
  EXPECT_EQ(text_width("über…"), 5u);
  EXPECT_EQ(text_width("u\u0308ber"), 4u);  // a combining mark
  EXPECT_EQ(text_width("船"), 2u);
  EXPECT_EQ(text_width("🚢!"), 3u);
  EXPECT_EQ(text_width("a\xff"), 2u);
}

TEST(TextWidth, CutsBetweenCharacters) {
  EXPECT_EQ(cut_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(cut_to_width("abcdef", 5), "abcd…");
  EXPECT_EQ(cut_to_width("äöü", 2), "ä…");
  EXPECT_EQ(cut_to_width("船船船", 4), "船…");
  EXPECT_EQ(cut_to_width("ab", 1), "…");
  EXPECT_EQ(cut_to_width("ab", 0), "");
}

TEST(TextWidth, NothingReachesTheTerminalButText) {
  EXPECT_EQ(printable("a\x1b[31mb\nc\td\x7f"), "a [31mb c d ");
  EXPECT_EQ(printable("\xc2\x9b"
                      "0m"),
            " 0m");  // the one-byte form of ESC [
  EXPECT_EQ(printable("ok ä 船"), "ok ä 船");
  EXPECT_EQ(printable("a\u202Eb\u2067c"), "abc") << "what turns text round";
  EXPECT_EQ(printable("\xff\xc3"), "\uFFFD\uFFFD");
}

TEST(Table, AlignsByColumns) {
  Table table({"NAME", "AGE", "MESSAGE"});
  table.add({"web", "5s", "fine"});
  table.add({"größe", "3m12s", ""});
  table.add({"船", "", "two\nlines"});
  EXPECT_EQ(table.render(0),
            "NAME   AGE    MESSAGE\n"
            "web    5s     fine\n"
            "größe  3m12s  -\n"
            "船     -      two lines\n");
}

TEST(Table, CutsTheLastColumnOnATerminal) {
  Table table({"NAME", "MESSAGE"});
  table.add({"web", "a message that does not fit"});
  EXPECT_EQ(table.render(20),
            "NAME  MESSAGE\n"
            "web   a message tha…\n");
  EXPECT_EQ(table.render(0), "NAME  MESSAGE\nweb   a message that does not fit\n");
  // Too narrow for any sense: left to the terminal.
  EXPECT_EQ(table.render(10), table.render(0));
}

TEST(Fields, LeaveOutWhatIsEmpty) {
  EXPECT_EQ(render_fields({{"Name", "web"}, {"IP", ""}, {"Restarts", "3"}}),
            "Name:      web\nRestarts:  3\n");
  EXPECT_EQ(render_fields({{"A", "1"}}, "  "), "  A:  1\n");
}

TEST(HumanDuration, TwoUnitsAtMost) {
  using std::chrono::seconds;
  EXPECT_EQ(human_duration(seconds(0)), "0s");
  EXPECT_EQ(human_duration(std::chrono::milliseconds(999)), "0s");
  EXPECT_EQ(human_duration(seconds(59)), "59s");
  EXPECT_EQ(human_duration(seconds(60)), "1m");
  EXPECT_EQ(human_duration(seconds(192)), "3m12s");
  EXPECT_EQ(human_duration(seconds(45 * 60 + 12)), "45m");
  EXPECT_EQ(human_duration(seconds(2 * 3600 + 5 * 60)), "2h5m");
  EXPECT_EQ(human_duration(seconds(23 * 3600)), "23h");
  EXPECT_EQ(human_duration(seconds(86'400 * 3 + 3'600 * 4)), "3d4h");
  EXPECT_EQ(human_duration(seconds(86'400 * 400)), "400d");
  EXPECT_EQ(human_duration(seconds(-5)), "0s");
}

TEST(HumanAge, OfATimeAsTheDaemonWritesIt) {
  const FakeClock clock;
  EXPECT_EQ(human_age(to_rfc3339(clock.wall() - std::chrono::minutes(5)), clock), "5m");
  EXPECT_EQ(human_age(to_rfc3339(clock.wall() + std::chrono::minutes(5)), clock), "0s");
  EXPECT_EQ(human_age("", clock), "-");
  EXPECT_EQ(human_age("soon", clock), "-");
}

TEST(Yaml, BlocksAndQuotes) {
  const auto json = nlohmann::ordered_json::parse(R"({
    "name": "web", "ready": true, "count": 3, "none": null, "empty": [], "nothing": {},
    "no": "no", "number": "12", "digest": "sha256:ab", "path": "/v1/x", "text": "two\nlines",
    "blank": "", "star": "*a", "list": ["a", 1, {"b": 2, "c": [3]}, [4, 5]], "inner": {"d": {"e": "f"}}})");
  EXPECT_EQ(to_yaml(json),
            "name: web\n"
            "ready: true\n"
            "count: 3\n"
            "none: null\n"
            "empty: []\n"
            "nothing: {}\n"
            "\"no\": \"no\"\n"
            "number: \"12\"\n"
            "digest: \"sha256:ab\"\n"
            "path: /v1/x\n"
            "text: \"two\\nlines\"\n"
            "blank: \"\"\n"
            "star: \"*a\"\n"
            "list:\n"
            "- a\n"
            "- 1\n"
            "- b: 2\n"
            "  c:\n"
            "  - 3\n"
            "- - 4\n"
            "  - 5\n"
            "inner:\n"
            "  d:\n"
            "    e: f\n");
  EXPECT_EQ(to_yaml(nlohmann::ordered_json::array()), "[]\n");
}

}  // namespace
}  // namespace wherry::cli

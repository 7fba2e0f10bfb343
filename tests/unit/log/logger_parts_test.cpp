// The parts of wherry-logger: framing and the rotated files.

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"
#include "runtime/log/cri_line.h"
#include "runtime/log/logger/line_framer.h"
#include "runtime/log/logger/rotating_file.h"

namespace wherry::logger {
namespace {

using runtime::CriLine;
using runtime::parse_cri_line;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr timespec kNow = {1'790'000'000, 123'456'789};  // 2026-09-21T14:13:20Z

class LoggerParts : public testing::Test {
 protected:
  LoggerParts() {
    char name[] = "/tmp/wherry-logger-XXXXXX";
    dir = mkdtemp(name);
    path = dir + "/main.log";
  }
  ~LoggerParts() override {
    while (umount((dir + "/full").c_str()) == 0) {
    }
    static_cast<void>(remove_tree(dir));
  }

  // Feeds `text` in reads of at most `step` bytes, as a pipe would.
  static void feed(LineFramer& framer, RecordSink& sink, std::string_view text, size_t step) {
    while (!text.empty()) {
      const size_t count = std::min({step, text.size(), framer.space_size()});
      text.copy(framer.space(), count);
      framer.take(count, kNow, sink);
      text.remove_prefix(count);
    }
  }
  static std::string content(const std::string& file) { return read_file(file).value_or(""); }
  // "stdout F text" of each record.
  std::vector<std::string> records() const {
    std::vector<std::string> all;
    for (const std::string& line : split(content(path), '\n')) {
      if (!line.empty()) all.push_back(line.substr(31));
    }
    return all;
  }

  std::string dir;
  std::string path;
};

TEST(Header, WritesTheDateTheCLibraryWrites) {
  // Across leap years, centuries and years' ends.
  for (const time_t seconds : {0L, 68'169'599L, 68'169'600L, 951'782'400L, 951'868'799L,
                               1'709'164'800L, 1'798'761'599L, 4'107'542'400L}) {
    char header[kHeader];
    write_header({seconds, 7}, false, true, header);
    tm parts{};
    gmtime_r(&seconds, &parts);
    char expected[64];
    strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000000007Z stdout F ", &parts);
    EXPECT_EQ(std::string(header, kHeader), expected);
  }
}

TEST_F(LoggerParts, FramesLinesHoweverTheyArrive) {
  for (const size_t step : {1UL, 2UL, 5UL, 1000UL}) {
    unlink(path.c_str());
    RotatingFile file(path.c_str(), 0);
    RecordSink sink(file);
    LineFramer out(false);
    LineFramer err(true);
    feed(out, sink, "one\n\ntwo\r\nrest", step);
    feed(err, sink, "bad\n", step);
    out.finish(kNow, sink);
    err.finish(kNow, sink);
    EXPECT_THAT(records(), ElementsAre("stdout F one", "stdout F ", "stdout F two\r",
                                       "stderr F bad", "stdout F rest"));
  }
}

TEST_F(LoggerParts, ItsRecordsParse) {
  RotatingFile file(path.c_str(), 0);
  RecordSink sink(file);
  LineFramer err(true);
  feed(err, sink, "a b \n", 100);
  const std::string line = split(content(path), '\n').front();
  CriLine parsed;
  ASSERT_TRUE(parse_cri_line(line, parsed));
  EXPECT_EQ(parsed.time, "2026-09-21T14:13:20.123456789Z");
  EXPECT_TRUE(parsed.is_stderr);
  EXPECT_TRUE(parsed.full);
  EXPECT_EQ(parsed.text, "a b ");
}

TEST_F(LoggerParts, SplitsLinesThatAreTooLong) {
  RotatingFile file(path.c_str(), 1 << 20);
  RecordSink sink(file);
  LineFramer out(false);
  feed(out, sink, std::string(kMaxText, 'a') + std::string(kMaxText, 'b') + "c\n", 4096);
  const auto all = records();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0], "stdout P " + std::string(kMaxText, 'a'));
  EXPECT_EQ(all[1], "stdout P " + std::string(kMaxText, 'b'));
  EXPECT_EQ(all[2], "stdout F c");
}

TEST_F(LoggerParts, ManyShortLinesAtOnce) {
  RotatingFile file(path.c_str(), 10 << 20);
  RecordSink sink(file);
  LineFramer out(false);
  feed(out, sink, std::string(3000, '\n'), 3000);
  EXPECT_EQ(records().size(), 3000U);
}

TEST_F(LoggerParts, RotatesWithinTheCap) {
  constexpr int64_t kCap = 200'000;
  RotatingFile file(path.c_str(), kCap);
  RecordSink sink(file);
  LineFramer out(false);
  std::string newest;
  for (int i = 0; i < 20'000; ++i) {
    newest = "line " + std::to_string(i);
    feed(out, sink, newest + "\n", 100);
    if (i % 500 != 0) continue;
    int64_t total = 0;
    for (int n = 0; n < 9; ++n) {
      char name[kMaxPath];
      numbered_path(path.c_str(), n, name);
      struct stat info {};
      if (stat(name, &info) == 0) total += info.st_size;
    }
    ASSERT_LE(total, kCap) << i;
    if (i > 10'000) {
      ASSERT_GE(total, kCap * 7 / 10) << i;
    }
  }
  EXPECT_THAT(content(path), HasSubstr(newest + "\n"));
  EXPECT_FALSE(content(path + ".3").empty());
  EXPECT_TRUE(content(path + ".4").empty());
}

TEST_F(LoggerParts, EndsTheHalfRecordOfAPowerCut) {
  std::ofstream(path) << "2026-09-21T14:13:20.1234";
  RotatingFile file(path.c_str(), 0);
  RecordSink sink(file);
  LineFramer out(false);
  feed(out, sink, "next\n", 100);
  const auto lines = split(content(path), '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[1], HasSubstr("stdout F next"));
}

TEST_F(LoggerParts, TwoLoggersOfOneContainerDoNotRotateTwice) {
  RotatingFile old_one(path.c_str(), 0);
  RotatingFile new_one(path.c_str(), 0);
  RecordSink old_sink(old_one);
  RecordSink new_sink(new_one);
  LineFramer a(false);
  LineFramer b(false);
  feed(a, old_sink, "first\n", 100);
  feed(b, new_sink, std::string(20'000, 'x') + "\n", 16'000);
  feed(b, new_sink, std::string(20'000, 'y') + "\n", 16'000);  // rotates
  feed(a, old_sink, std::string(16'000, 'z') + "\n", 16'000);
  feed(a, old_sink, std::string(16'000, 'z') + "\n", 16'000);  // its file is .1 by now
  EXPECT_THAT(content(path + ".1"), HasSubstr("first"));
}

TEST_F(LoggerParts, AFullDiskCostsRecordsAndSaysSo) {
  const std::string full = dir + "/full";
  mkdir(full.c_str(), 0755);
  ASSERT_EQ(mount("tmpfs", full.c_str(), "tmpfs", 0, "size=64k"), 0);
  path = full + "/main.log";
  RotatingFile file(path.c_str(), 10 << 20);
  RecordSink sink(file);
  LineFramer out(false);
  for (int i = 0; i < 20; ++i) feed(out, sink, std::string(8000, 'a') + "\n", 9000);
  EXPECT_GT(sink.lost(), 0U);
  EXPECT_EQ(file.last_error(), ENOSPC);
  for (const std::string& record : records()) EXPECT_EQ(record.size(), 8009U);  // whole ones only

  const uint64_t lost = sink.lost();
  ASSERT_EQ(mount("tmpfs", full.c_str(), "tmpfs", MS_REMOUNT, "size=1m"), 0);
  feed(out, sink, "back\n", 100);
  EXPECT_EQ(sink.lost(), 0U);
  const auto all = records();
  ASSERT_GE(all.size(), 2U);
  EXPECT_EQ(all.back(), "stdout F back");
  EXPECT_EQ(all[all.size() - 2], "stderr F wherry-logger: " + std::to_string(lost) +
                                     " records lost, the log could not be written: No space left "
                                     "on device");
}

TEST_F(LoggerParts, GoesOnWithoutADirectory) {
  path = dir + "/later/main.log";
  RotatingFile file(path.c_str(), 0);
  RecordSink sink(file);
  LineFramer out(false);
  feed(out, sink, "lost\n", 100);
  EXPECT_EQ(sink.lost(), 1U);
  mkdir((dir + "/later").c_str(), 0755);
  feed(out, sink, "kept\n", 100);
  EXPECT_EQ(records().back(), "stdout F kept");
}

}  // namespace
}  // namespace wherry::logger

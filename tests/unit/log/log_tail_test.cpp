// Reading a container's log on from a place that was kept.

#include "runtime/log/log_tail.h"

#include <fstream>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/support/log_writer.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using test::LogWriter;
using Texts = std::vector<std::string>;

class LogTailTest : public testing::Test {
 protected:
  std::string path() const { return directory_ / "main.log"; }
  // What there is behind `place_`, in a new life; `place_` moves there.
  Texts read(size_t most = SIZE_MAX) {
    LogTail tail(path());
    EXPECT_TRUE(tail.open(place_));
    gap_ = false;
    Texts texts;
    while (texts.size() < most) {
      const LogLine* line = tail.next();
      if (line == nullptr && tail.pass_gap()) {
        gap_ = true;
        continue;
      }
      if (line == nullptr) break;
      texts.push_back(std::string(line->is_stderr ? "!" : "") + std::string(line->text) +
                      (line->cut ? "…" : ""));
    }
    // As it is kept and read back.
    const auto place = parse_log_place(to_text(tail.place()));
    EXPECT_TRUE(place && *place == tail.place()) << to_text(tail.place());
    if (place) place_ = *place;
    return texts;
  }

  test::TempDir directory_;
  LogPlace place_;
  bool gap_ = false;
};

TEST_F(LogTailTest, GoesOnWhereItWas) {
  LogWriter writer(path());
  EXPECT_EQ(read(), Texts{});
  writer.say("one\n", 1);
  writer.say("two\nthree\n", 2);
  writer.say("oh\n", 3, true);
  EXPECT_EQ(read(2), (Texts{"one", "two"}));
  EXPECT_EQ(read(), (Texts{"three", "!oh"}));
  EXPECT_EQ(read(), Texts{});
  writer.say("four\n", 4);
  EXPECT_EQ(read(), Texts{"four"});
  EXPECT_FALSE(gap_);
}

TEST_F(LogTailTest, HasEveryLineOnceAcrossRotations) {
  LogWriter writer(path(), 128 << 10);
  Texts said, heard;
  for (int i = 0; i < 3000; ++i) {
    said.push_back("line " + std::to_string(i) + std::string(60, 'x'));
    writer.say(said.back() + "\n", i);
    if (i % 100 != 0) continue;
    for (std::string& text : read()) heard.push_back(std::move(text));
    ASSERT_FALSE(gap_) << i;
  }
  for (std::string& text : read()) heard.push_back(std::move(text));
  EXPECT_TRUE(heard == said);
  EXPECT_EQ(access((path() + ".3").c_str(), F_OK), 0) << "it has not been rotated often enough";
}

// Without a new life in between, files are followed while they are renamed.
TEST_F(LogTailTest, FollowsRotationsWhileItIsOpen) {
  LogWriter writer(path(), 128 << 10);
  LogTail tail(path());
  ASSERT_TRUE(tail.open({}));
  int heard = 0;
  for (int i = 0; i < 3000; ++i) {
    writer.say("line " + std::to_string(i) + std::string(60, 'x') + "\n", i);
    if (i % 100 != 99) continue;
    ASSERT_TRUE(tail.refresh());
    while (const LogLine* line = tail.next()) {
      ASSERT_TRUE(line->text.starts_with("line " + std::to_string(heard++) + "x"));
    }
  }
  EXPECT_EQ(heard, 3000);
  EXPECT_FALSE(tail.pass_gap());
}

TEST_F(LogTailTest, SaysWhenLinesWereRotatedAway) {
  LogWriter writer(path(), 128 << 10);
  writer.say("one\n", 0);
  EXPECT_EQ(read(), Texts{"one"});
  LogTail open(path());
  ASSERT_TRUE(open.open(place_));
  for (int i = 1; i < 3000; ++i) {
    writer.say("line " + std::to_string(i) + std::string(60, 'x') + "\n", i);
  }
  const Texts rest = read();
  EXPECT_TRUE(gap_);
  EXPECT_LT(rest.size(), 2000U);
  EXPECT_TRUE(rest.back().starts_with("line 2999x"));
  while (open.next() != nullptr) {
  }
  EXPECT_FALSE(open.pass_gap());
  ASSERT_TRUE(open.refresh());
  ASSERT_EQ(open.next(), nullptr);
  EXPECT_TRUE(open.pass_gap()) << "also while it is open";
}

// Nobody knows what was before the oldest name; before the others there was nothing.
TEST_F(LogTailTest, ItsBeginningMayBeMissedToo) {
  LogWriter writer(path(), 128 << 10);
  for (int files = 1; files <= 4; ++files) {
    for (int i = 0; i < 10; ++i) writer.say(std::string(3000, 'x') + "\n", i);
    place_ = {};
    EXPECT_FALSE(read().empty());
    EXPECT_EQ(gap_, files == 4) << files;
    read();
    EXPECT_FALSE(gap_) << "what has been read is not missed";
  }
}

TEST_F(LogTailTest, BeginsAnewWithAnotherLog) {
  {
    LogWriter writer(path());
    writer.say("one\ntwo\n", 1);
  }
  EXPECT_EQ(read(), (Texts{"one", "two"}));
  ASSERT_EQ(unlink(path().c_str()), 0);
  LogWriter writer(path());
  writer.say("uno\ndue\ntre\n", 50);
  EXPECT_EQ(read(), (Texts{"uno", "due", "tre"}));
  EXPECT_FALSE(gap_);
}

TEST_F(LogTailTest, LinesThatAreTooLongAreCutOnce) {
  LogWriter writer(path());
  const std::string part(logger::kMaxText, 'a');
  writer.say(part, 1);
  writer.say("oh\n", 2, true);
  EXPECT_EQ(read(), (Texts{part + "…", "!oh"}));
  writer.say(part + part + "end\nnext\n", 3);
  EXPECT_EQ(read(), Texts{"next"}) << "also where the place was within the line";
  writer.say(part, 4);
  writer.end(5);
  EXPECT_EQ(read(), Texts{part + "…"});
  writer.say("another attempt\n", 6);
  EXPECT_EQ(read(), Texts{"another attempt"});
}

// The queue is synced, the log is not: it may have lost what was read of it.
TEST_F(LogTailTest, APowerCutMayTakeWhatWasRead) {
  {
    LogWriter writer(path());
    writer.say("one\n", 1);
    writer.say("two\n", 2);
    writer.say("three\n", 3);
  }
  EXPECT_EQ(read().size(), 3U);
  ASSERT_EQ(truncate(path().c_str(), 60), 0);  // within "two"
  LogWriter writer(path());
  writer.say("four and some more to be longer than before\n", 4);
  writer.say("five\n", 5);
  const Texts rest = read();
  EXPECT_EQ(rest, (Texts{"four and some more to be longer than before", "five"}));
}

TEST_F(LogTailTest, PassesOverWhatIsNoRecord) {
  LogWriter(path()).say("one\n", 1);
  std::ofstream(path(), std::ios::app) << std::string(200, '\0') << "\nrubbish\n";
  LogWriter(path()).say("two\n", 2);
  EXPECT_EQ(read(), (Texts{"one", "two"}));
  LogWriter(path()).say("three\n", 3);
  EXPECT_EQ(read(), Texts{"three"});
}

TEST_F(LogTailTest, OneThatBeginsWithRubbishIsKnownAgain) {
  std::ofstream(path()) << std::string(100'000, '\0');
  LogWriter(path()).say("one\n", 1);
  EXPECT_EQ(read(), Texts{"one"});
  LogWriter(path()).say("two\n", 2);
  EXPECT_EQ(read(), Texts{"two"});
}

TEST(LogPlaceTest, WhatIsNoPlaceIsRefused) {
  EXPECT_EQ(to_text({}), "");
  EXPECT_EQ(parse_log_place(""), LogPlace{});
  const std::string time = "2026-09-21T14:13:20.000000001Z";
  const std::string good = time + " 17 4711 " + time + " 3";
  ASSERT_TRUE(parse_log_place(good));
  EXPECT_EQ(to_text(*parse_log_place(good)), good);
  for (const std::string& bad :
       {std::string("17"), time, time + " 17 -1 " + time + " 0", time + " 17 1 " + time + " 4",
        time + " x 1 " + time + " 0", time + " 17 1 yesterday 0", good + " ", good + "0"}) {
    EXPECT_FALSE(parse_log_place(bad)) << bad;
  }
}

}  // namespace
}  // namespace wherry::runtime

// A log that is rotated while its names are looked at, at each of the moments there are.

#include <array>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/files.h"
#include "runtime/log/log_tail.h"
#include "runtime/log/logger/rotating_file.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using logger::kFiles;

std::string record(int number) {
  std::array<char, 64> text{};
  snprintf(text.data(), text.size(), "2026-09-21T14:13:20.%09dZ stdout F %d\n", number, number);
  return text.data();
}

// Does what RotatingFile does, one system call at a time. Each file has one record: its number.
class SlowLogger {
 public:
  explicit SlowLogger(std::string path) : path_(std::move(path)) {}
  void steps(int count) {
    for (; count > 0; --count) step();
  }
  void files(int count) { steps(count * kFiles); }
  int newest() const { return newest_; }
  bool has(int number) const {
    for (int n = 0; n < kFiles; ++n) {
      if (read_file(name(n)).value_or("") == record(number)) return true;
    }
    return false;
  }

 private:
  std::string name(int n) const { return n == 0 ? path_ : path_ + "." + std::to_string(n); }
  void step() {
    const int to = kFiles - 1 - step_;
    step_ = (step_ + 1) % kFiles;
    if (to > 0) {
      unlink(name(to).c_str());  // a rename onto it would wait for the disk; no look is in between
      static_cast<void>(rename(name(to - 1).c_str(), name(to).c_str()));
    } else {
      std::ofstream(path_) << record(++newest_);
    }
  }

  const std::string path_;
  int step_ = 0, newest_ = 0;
};

// So many steps of the logger before one look at a name, or before each.
struct Schedule {
  int steps = 0;
  int before = -1;  // each
};

class Race {
 public:
  explicit Race(int files) { logger_.files(files); }

  void begin(const Schedule& schedule) {
    schedule_ = schedule;
    looks_ = 0;
    tail_.emplace(path_, [this] {
      const int look = looks_++;
      if (schedule_.before < 0 || schedule_.before == look) logger_.steps(schedule_.steps);
    });
    ASSERT_TRUE(tail_->open(place_));
  }
  void refresh(const Schedule& schedule) {
    schedule_ = schedule;
    looks_ = 0;
    ASSERT_TRUE(tail_->refresh());
  }
  // Every line, or a gap in its place; a gap only where it was too late for the next line.
  void read() {
    while (true) {
      if (const LogLine* line = tail_->next()) {
        const int number = std::stoi(std::string(line->text));
        ASSERT_GT(number, last_) << "it was read before";
        ASSERT_TRUE(number == last_ + 1 || gap_) << last_ << ", then without a word " << number;
        last_ = number;
        gap_ = false;
      } else if (tail_->pass_gap()) {
        ASSERT_FALSE(last_ > 0 && logger_.has(last_)) << last_ << " is still there";
        ASSERT_GE(logger_.newest(), kFiles - 1);
        gap_ = gaps_ = true;
      } else {
        break;
      }
    }
    place_ = tail_->place();
  }
  // Once the logger is quiet, all that is left is read.
  void finish() {
    refresh({});
    read();
    EXPECT_EQ(last_, logger_.newest());
  }
  bool gaps() const { return gaps_; }

 private:
  test::TempDir directory_;
  const std::string path_ = directory_ / "main.log";
  SlowLogger logger_{path_};
  Schedule schedule_;
  int looks_ = 0;
  std::optional<LogTail> tail_;
  LogPlace place_;
  int last_ = 0;  // number that was read
  bool gap_ = false, gaps_ = false;
};

template <typename Try>
void each_schedule(const Try& attempt) {
  for (int steps = 1; steps <= 4 * kFiles + 1; ++steps) {
    for (int before = -1; before < 8; ++before) {
      SCOPED_TRACE(std::to_string(steps) + " steps before look " + std::to_string(before));
      attempt(Schedule{steps, before});
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(LogRaceTest, WhoFollowsMissesNothingUnsaid) {
  for (const int files : {0, 2, 6}) {
    each_schedule([&](const Schedule& schedule) {
      Race race(files);
      race.begin({});
      race.read();
      race.refresh(schedule);
      race.read();
      race.finish();
    });
  }
}

TEST(LogRaceTest, WhoBeginsOrComesBackMissesNothingUnsaid) {
  for (const int files : {0, 2, 6}) {
    each_schedule([&](const Schedule& schedule) {
      Race race(files);
      race.begin(schedule);
      race.read();
      race.begin(schedule);
      race.read();
      race.finish();
    });
  }
}

// Ten steps after it was seen, a file may be gone: it may have been about to lose its first name.
TEST(LogRaceTest, WhoKeepsUpHearsOfNoGap) {
  for (int before = 0; before < 6; ++before) {
    for (int steps = 1; steps < 10; ++steps) {
      Race race(1);
      race.begin({});
      for (int turn = 0; turn < 12; ++turn) {
        race.read();
        race.refresh({steps, before});
        race.read();
        race.refresh({});  // if it was not before a look that there was
      }
      race.read();
      race.finish();
      ASSERT_FALSE(race.gaps()) << steps << " steps before look " << before;
    }
  }
}

// What the logger writes between the reader's last line and its look still belongs before the gap.
TEST(LogRaceTest, TheGapIsWhereTheLinesAreMissing) {
  test::TempDir directory;
  const std::string path = directory / "main.log";
  SlowLogger slow(path);
  slow.files(1);
  LogTail tail(path);
  ASSERT_TRUE(tail.open({}));
  ASSERT_NE(tail.next(), nullptr);
  ASSERT_EQ(tail.next(), nullptr);
  std::ofstream(path, std::ios::app) << record(100);
  slow.files(6);
  ASSERT_TRUE(tail.refresh());
  const LogLine* line = tail.next();
  ASSERT_TRUE(line != nullptr && line->text == "100") << "the rest of the file that it was in";
  ASSERT_EQ(tail.next(), nullptr);
  EXPECT_TRUE(tail.pass_gap());
  line = tail.next();
  ASSERT_TRUE(line != nullptr && line->text == "4");
  EXPECT_FALSE(tail.pass_gap()) << "it is said once";
}

}  // namespace
}  // namespace wherry::runtime

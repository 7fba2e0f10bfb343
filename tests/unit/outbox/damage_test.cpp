// Queues whose file is damaged, cut, gone, or cannot be opened.

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "tests/unit/outbox/outbox_fixture.h"

namespace wherry::telemetry {
namespace {

TEST_F(OutboxTest, ADamagedRecordIsAnnouncedAndTheRestArrives) {
  add("events", numbered(1, 1, 300));
  add("events", numbered(2, 1, 300));
  add("events", numbered(3, 1, 300));
  outbox_.reset();
  std::string bytes = *read_file(options_.path);
  const size_t place = bytes.find("{\"n\":2,");
  ASSERT_NE(place, std::string::npos);
  bytes[place + 20] = '!';
  ASSERT_TRUE(write_file_atomic(options_.path, bytes));
  open();
  EXPECT_EQ(set_aside_, "");
  EXPECT_EQ(receive("events"), (std::vector{1, 3}));
  EXPECT_EQ(dropped_, 1U);
  EXPECT_EQ(read("events", 1).dropped->reason, "Damaged");
}

TEST_F(OutboxTest, DamagedTelemetryIsCountedWhenItIsThinned) {
  open(1 << 20);
  for (int i = 0; i < 100; ++i) add("telemetry", numbered(i, 1, 500));
  outbox_.reset();
  std::string bytes = *read_file(options_.path);
  const size_t place = bytes.find("{\"n\":7,");
  ASSERT_NE(place, std::string::npos);
  bytes[place + 20] = '!';
  ASSERT_TRUE(write_file_atomic(options_.path, bytes));
  open(1 << 20);
  for (int i = 100; i < 800; ++i) add("telemetry", numbered(i, 1, 500));
  const std::vector<int> left = receive("telemetry");
  EXPECT_EQ(state("telemetry").records, left.size());
  EXPECT_EQ(dropped_ + left.size(), 800U);
}

TEST_F(OutboxTest, AFileThatIsNoDatabaseIsSetAside) {
  add("events", numbered(1, 3));
  outbox_.reset();
  ASSERT_TRUE(write_file_atomic(options_.path, std::string(8192, 'z')));
  open();
  EXPECT_TRUE(set_aside_.starts_with(options_.path + ".corrupt-")) << set_aside_;
  EXPECT_EQ(access(set_aside_.c_str(), F_OK), 0);
  EXPECT_EQ(add("events", numbered(1, 1)).first, 1U);
}

TEST_F(OutboxTest, ATruncatedFileIsSetAsideOnceThatIsMet) {
  for (int i = 0; i < 50; ++i) add("events", numbered(i, 1, 10'000));
  outbox_.reset();
  const std::string bytes = *read_file(options_.path);
  ASSERT_TRUE(write_file_atomic(options_.path, bytes.substr(0, bytes.size() / 2)));
  auto opened = Outbox::open(options_, clock_);
  if (opened.renewed.set_aside.empty()) {
    for (uint64_t after = 0; opened.outbox->ready();) {
      const auto chunk = opened.outbox->read("events", after, 1);
      ASSERT_TRUE(!chunk || chunk->first > 0) << "all was readable";
      if (chunk) after = chunk->last();
    }
    opened.outbox.reset();
    // The next one starts anew, or meets the damage again: never a crash, never a wrong record.
    opened = Outbox::open(options_, clock_);
    EXPECT_TRUE(opened.outbox->ready());
  }
}

TEST_F(OutboxTest, ADamagedOneIsRenewedWhileItRuns) {
  for (int i = 0; i < 100; ++i) add("events", numbered(i, 1, 10'000));
  const std::string epoch = state("events").epoch;
  open();
  std::string bytes = *read_file(options_.path);
  std::fill(bytes.begin() + 4096, bytes.end(), 'z');
  { std::ofstream(options_.path, std::ios::binary | std::ios::in) << bytes; }
  EXPECT_FALSE(outbox_->read("events", 0, 1 << 20));
  EXPECT_FALSE(outbox_->ready());
  EXPECT_FALSE(outbox_->append("events", numbered(1, 1)));
  const auto aside = outbox_->renew();
  ASSERT_TRUE(aside) << aside.error().full();
  EXPECT_EQ(read_file(aside->set_aside)->size(), bytes.size());
  EXPECT_TRUE(outbox_->ready());
  EXPECT_EQ(add("events", numbered(1, 1)).first, 1U);
  EXPECT_NE(state("events").epoch, epoch);
}

// Whatever is done to the files: what is read is what was written, under its number, and what is
// missing is announced or is in another epoch; and it goes on.
class AnyDamageTest : public OutboxTest {
 protected:
  // 400 records, the number of each in it; the first 40 acknowledged.
  void SetUp() override {
    for (int i = 1; i <= 400; i += 4) add(kStream, numbered(i, 4, 300));
    acknowledge(kStream, 40);
    add("events", numbered(1, 3));
    epoch_ = state(kStream).epoch;
    outbox_.reset();
    whole_ = *read_file(options_.path);
  }
  void put(const std::string& bytes) {
    outbox_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      std::filesystem::remove(entry.path());
    }
    std::ofstream(options_.path, std::ios::binary) << bytes;
  }
  // Reads on; false once the file proves to be damaged.
  bool check() {
    const StreamState now = state(kStream);
    if (now.next == 1) return true;  // it is not there
    EXPECT_EQ(now.epoch, epoch_);
    EXPECT_GE(now.next, 401U) << "numbers would be given twice";
    EXPECT_EQ(now.acked, 40U);
    uint64_t after = now.acked;
    while (true) {
      const auto chunk = outbox_->read(kStream, after, 4096);
      if (!chunk) return false;
      if (chunk->first == 0) break;
      const uint64_t begin = chunk->dropped ? chunk->dropped->from : chunk->first;
      EXPECT_EQ(begin, after + 1) << "a hole that is not announced";
      const auto batch = nlohmann::json::parse(batch_json(kStream, epoch_, *chunk), nullptr, false);
      EXPECT_FALSE(batch.is_discarded());
      uint64_t number = chunk->first;
      for (const auto& record : batch["records"]) EXPECT_EQ(record["n"], number++);
      after = chunk->last();
    }
    return true;
  }
  void try_out(const std::string& bytes, const std::string& what) {
    SCOPED_TRACE(what);
    put(bytes);
    auto opened = Outbox::open(options_, clock_);
    outbox_ = std::move(opened.outbox);
    if (!outbox_->ready()) {
      // By its header it is another program's, or a newer version's.
      EXPECT_EQ(outbox_->trouble().error().code(), Code::FailedPrecondition);
      return;
    }
    if (!opened.renewed.set_aside.empty()) ++damaged_;
    if (!check()) {
      ++damaged_;
      ASSERT_FALSE(outbox_->ready());
      ASSERT_TRUE(outbox_->renew());
    }
    auto appended = outbox_->append(kStream, numbered(1, 1));
    if (!appended) {
      ++damaged_;
      ASSERT_EQ(appended.error().code(), Code::DataLoss) << appended.error().full();
      ASSERT_TRUE(outbox_->renew());
      appended = outbox_->append(kStream, numbered(1, 1));
    }
    ASSERT_TRUE(appended) << appended.error().full();
    EXPECT_TRUE(appended->first > 400 || state(kStream).epoch != epoch_);
  }
  static constexpr const char* kStream = "data/web/t";
  std::string epoch_, whole_;
  int damaged_ = 0;
};

TEST_F(AnyDamageTest, FlippedBytes) {
  std::mt19937 random(4);
  const size_t row = whole_.find(epoch_);
  ASSERT_NE(row, std::string::npos);
  for (size_t round = 0; round < 240 && !HasFatalFailure(); ++round) {
    std::string bytes = whole_;
    // The header, the row of the stream, then anywhere.
    const size_t at = round < 100   ? round
                      : round < 160 ? row - 12 + (round - 100)
                                    : random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random() % 255));
    try_out(bytes, "byte " + std::to_string(at));
  }
  EXPECT_GT(damaged_, 50) << "the test does not damage anything";
}

TEST_F(AnyDamageTest, Truncated) {
  std::mt19937 random(5);
  for (int round = 0; round < 40 && !HasFatalFailure(); ++round) {
    const size_t size = random() % whole_.size();
    try_out(whole_.substr(0, size), "cut to " + std::to_string(size));
  }
  EXPECT_GT(damaged_, 20);
}

TEST_F(AnyDamageTest, WhileItRuns) {
  std::mt19937 random(6);
  put(whole_);
  open();
  // More than is held in memory.
  for (int i = 401; i <= 800; i += 8) add(kStream, numbered(i, 8, 2000));
  outbox_.reset();
  whole_ = *read_file(options_.path);
  for (int round = 0; round < 40 && !HasFatalFailure(); ++round) {
    SCOPED_TRACE(round);
    put(whole_);
    open();
    std::string bytes = whole_;
    for (int i = 0; i < 20; ++i) bytes[100 + random() % (bytes.size() - 100)] ^= 0x40;
    if (round % 3 == 0) {
      std::filesystem::resize_file(options_.path, random() % whole_.size());
    } else {
      std::ofstream(options_.path, std::ios::binary | std::ios::in) << bytes;
    }
    bool good = check();
    good = good && outbox_->append(kStream, numbered(801, 1));
    good = good && outbox_->acknowledge({{kStream, epoch_, 200}});
    if (good) continue;
    ++damaged_;
    ASSERT_TRUE(outbox_->ready() || outbox_->renew());
    ASSERT_TRUE(outbox_->append(kStream, numbered(1, 1)));
  }
  EXPECT_GT(damaged_, 5);
}

// What a kill of the agent leaves, damaged.
class LogDamageTest : public OutboxTest {
 protected:
  // 100 records that have been sent and acknowledged; the file itself knows of 10.
  void SetUp() override {
    add(kStream, numbered(1, 10));
    acknowledge(kStream, 10);
    open();
    for (int i = 11; i <= 100; ++i) add(kStream, numbered(i, 1));
    acknowledge(kStream, 100);
    epoch_ = state(kStream).epoch;
  }
  // The files as they are, elsewhere.
  void kill() {
    const std::string there = directory_ / "copy";
    std::filesystem::copy(directory_.path(), there);
    outbox_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(there)) {
      std::filesystem::rename(entry.path(), directory_ / entry.path().filename());
    }
  }
  // A commit that is never synced: the log has it, and nothing else knows of it.
  void add_unsynced(int first, int count, size_t size) {
    const std::string mark = options_.path + "-in-use";
    const std::string before = *read_file(mark);
    add(kStream, numbered(first, count, size));
    kill();
    ASSERT_TRUE(write_file_atomic(mark, before));
  }
  std::string log() const { return options_.path + "-wal"; }
  size_t log_size() const { return std::filesystem::file_size(log()); }
  void expect_no_number_twice() {
    open();
    EXPECT_EQ(set_aside_, "");
    EXPECT_EQ(state(kStream).epoch, epoch_);
    const Appended after = add(kStream, numbered(101, 1));
    EXPECT_GT(after.first, 100U) << "a receiver would take them for repeats";
    const std::vector<int> left = receive(kStream);  // and what is missing is announced
    EXPECT_EQ(left.back(), 101);
    EXPECT_LT(left.size(), 91U);
    const auto dropped = read(kStream, state(kStream).acked + left.size() - 1).dropped;
    ASSERT_TRUE(dropped);
    EXPECT_EQ(dropped->reason, "Damaged");
    open();
    EXPECT_EQ(add(kStream, numbered(102, 1)).first, after.first + 1) << "once";
  }
  // A byte of the log.
  void flip(size_t at) {
    std::string bytes = *read_file(log());
    ASSERT_LT(at, bytes.size());
    bytes[at] ^= 1;
    ASSERT_TRUE(write_file_atomic(log(), bytes));
  }
  // 40 records more, sent and acknowledged. A receiver takes a number below those it has had for a
  // repeat.
  void send_more(uint64_t& highest) {
    EXPECT_EQ(set_aside_, "");
    EXPECT_EQ(state(kStream).epoch, epoch_);
    for (int i = 0; i < 40; ++i) {
      const uint64_t number = add(kStream, numbered(i, 1)).first;
      EXPECT_GT(number, highest);
      highest = std::max(highest, number);
    }
    EXPECT_EQ(receive(kStream).back(), 39);
    acknowledge(kStream, highest);
  }
  // No number is skipped, and nothing announced.
  void expect_next(int number) {
    open();
    EXPECT_EQ(add(kStream, numbered(number, 1)).first, static_cast<uint64_t>(number));
    EXPECT_EQ(dropped_, 0U);
    EXPECT_FALSE(read(kStream, number - 1).dropped);
  }
  static constexpr const char* kStream = "data/web/t";
  static constexpr size_t kFrame = 24 + 4096;
  std::string epoch_;
};

TEST_F(LogDamageTest, WithoutAnyNothingIsSkipped) {
  kill();
  open();
  EXPECT_EQ(add(kStream, numbered(101, 1)).first, 101U);
  EXPECT_EQ(receive(kStream), (std::vector{101}));
  EXPECT_EQ(dropped_, 0U);
}

TEST_F(LogDamageTest, AFlippedByteGivesNoNumberTwice) {
  kill();
  std::string bytes = *read_file(log());
  bytes[32 + 3 * kFrame + 2000] ^= 1;
  ASSERT_TRUE(write_file_atomic(log(), bytes));
  expect_no_number_twice();
}

TEST_F(LogDamageTest, AFlippedByteOfTheHeaderGivesNoNumberTwice) {
  kill();
  std::string bytes = *read_file(log());
  bytes[18] ^= 1;
  ASSERT_TRUE(write_file_atomic(log(), bytes));
  expect_no_number_twice();
}

TEST_F(LogDamageTest, ALogThatWasCutGivesNoNumberTwice) {
  kill();
  std::filesystem::resize_file(log(), log_size() / 2 + 100);
  expect_no_number_twice();
}

TEST_F(LogDamageTest, ALogThatWasCutBehindACommitGivesNoNumberTwice) {
  kill();
  std::filesystem::resize_file(log(), 32 + log_size() / kFrame / 2 * kFrame);
  expect_no_number_twice();
}

TEST_F(LogDamageTest, ALogThatWasEmptiedGivesNoNumberTwice) {
  kill();
  std::filesystem::resize_file(log(), 0);
  expect_no_number_twice();
}

TEST_F(LogDamageTest, ALogThatIsGoneGivesNoNumberTwice) {
  kill();
  std::filesystem::remove(log());
  expect_no_number_twice();
}

// Each time at an earlier frame, so that all is lost that came of the damage before.
TEST_F(LogDamageTest, DamagedAgainAndAgainItGivesNoNumberTwice) {
  uint64_t highest = 100;
  for (const size_t frame : {60, 30, 15, 3}) {
    SCOPED_TRACE(frame);
    kill();
    flip(32 + frame * kFrame + 2000);
    open();
    send_more(highest);
  }
}

// Each time of the log's header, of which nothing can be read then.
TEST_F(LogDamageTest, WithItsHeaderDamagedAgainAndAgainItGivesNoNumberTwice) {
  uint64_t highest = 100;
  for (int i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    kill();
    flip(18);
    open();
    send_more(highest);
  }
}

// The power fails when the skip is in the log, and not in the file yet: that log may be damaged,
// too.
TEST_F(LogDamageTest, ASkipThatWasCutShortIsNotLostWithItsLog) {
  kill();
  flip(18);
  failpoints_arm("outbox.skip.write-back=error");
  outbox_ = Outbox::open(options_, clock_).outbox;
  EXPECT_FALSE(outbox_->ready());
  outbox_.reset();
  failpoints_arm("");
  ASSERT_GT(log_size(), kFrame) << "the skip is in the log";
  open();
  uint64_t highest = 100;
  send_more(highest);
  kill();
  flip(32 + 2000);
  open();
  send_more(highest);
}

// More than a skip covers, at once and together.
TEST_F(LogDamageTest, ManyNumbersWithoutARecordAreNotGivenAgain) {
  uint64_t highest = 100;
  for (const uint64_t lost : {3U << 20, 200'000U}) {
    for (int i = 0; i < 10; ++i) {
      const auto kept = outbox_->append(kStream, numbered(i, 1), {.lost = lost});
      ASSERT_TRUE(kept);
      EXPECT_GT(kept->first, highest);
      highest = kept->first;
      if (i % 3 == 2) {
        kill();
        open();
      }
    }
    send_more(highest);
    kill();
    flip(32 + 3 * kFrame + 2000);
    open();
    send_more(highest);
  }
}

// A power cut soon after the log was written back finds it empty, and must not miss anything.
TEST_F(LogDamageTest, AnEmptyLogHasNoMark) {
  const std::string mark = options_.path + "-in-use";
  kill();
  ASSERT_TRUE(std::filesystem::exists(mark));
  open();
  EXPECT_EQ(log_size(), 0U) << "it is not known what a kill left";
  EXPECT_FALSE(std::filesystem::exists(mark));
  add(kStream, numbered(101, 1));
  EXPECT_TRUE(std::filesystem::exists(mark));
  ASSERT_TRUE(outbox_->append(kStream, numbered(102, 1), {.lost = 3U << 20}));
  EXPECT_EQ(log_size(), 0U);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(LogDamageTest, WhatWasSkippedIsSkippedOnce) {
  kill();
  flip(32 + 3 * kFrame + 2000);
  open();
  const uint64_t next = state(kStream).next;
  EXPECT_GT(next, 100U);
  kill();  // before anything else was written
  open();
  EXPECT_EQ(state(kStream).next, next);
  EXPECT_EQ(add(kStream, numbered(1, 1)).first, next);
}

TEST_F(LogDamageTest, HalfACommitIsNoDamage) {
  add_unsynced(101, 1, 20'000);
  std::filesystem::resize_file(log(), log_size() - kFrame);  // its last frame, which ends it
  expect_next(101);
}

// Until they are synced, the frames of a commit reach the disk in any order.
TEST_F(LogDamageTest, ACommitThatAPowerCutLeftInPartIsNoDamage) {
  add_unsynced(101, 1, 20'000);
  std::string bytes = *read_file(log());
  bytes.replace(bytes.size() - 2 * kFrame, kFrame, kFrame, '\0');
  ASSERT_TRUE(write_file_atomic(log(), bytes));
  expect_next(101);
}

// Nor are many, as acknowledgements are not synced at all.
TEST_F(LogDamageTest, CommitsThatWereNotSyncedMayBeMissing) {
  add(kStream, numbered(101, 100));
  const size_t synced = log_size();
  for (int i = 101; i <= 150; ++i) acknowledge(kStream, i);
  ASSERT_GT(log_size(), synced + 30 * kFrame);
  kill();
  std::string bytes = *read_file(log());
  bytes.replace(synced + 3 * kFrame, kFrame, kFrame, '\0');
  ASSERT_TRUE(write_file_atomic(log(), bytes));
  expect_next(201);
}

TEST_F(OutboxTest, WhatCannotBeOpenedIsOpenedLater) {
  add("events", numbered(1, 3));
  outbox_.reset();
  const std::string hidden = options_.path + ".hidden";
  std::filesystem::rename(options_.path, hidden);
  std::filesystem::create_directory(options_.path);  // neither a file nor to be replaced by one
  outbox_ = Outbox::open(options_, clock_).outbox;
  EXPECT_FALSE(outbox_->ready());
  const auto refused = outbox_->append("events", numbered(4, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), outbox_->trouble().error().code());
  EXPECT_TRUE(outbox_->streams().empty());
  EXPECT_FALSE(outbox_->renew());
  std::filesystem::remove(options_.path);
  std::filesystem::rename(hidden, options_.path);
  const auto renewed = outbox_->renew();
  ASSERT_TRUE(renewed) << renewed.error().full();
  EXPECT_EQ(renewed->set_aside, "") << "it was never damaged";
  EXPECT_EQ(add("events", numbered(4, 1)).first, 4U);
  EXPECT_EQ(receive("events"), (std::vector{1, 2, 3, 4}));
}

}  // namespace
}  // namespace wherry::telemetry

// Queues whose file is damaged, cut, gone, or cannot be opened.

#include <fcntl.h>
#include <filesystem>
#include <fstream>
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

TEST_F(LogDamageTest, HalfACommitIsNoDamage) {
  add(kStream, numbered(101, 1, 20'000));
  kill();
  std::filesystem::resize_file(log(), log_size() - kFrame);  // its last frame, which ends it
  open();
  EXPECT_EQ(add(kStream, numbered(101, 1)).first, 101U);
  EXPECT_EQ(dropped_, 0U);
  EXPECT_FALSE(read(kStream, 100).dropped);
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

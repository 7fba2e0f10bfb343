// A full disk, a disk that is too slow, and queues that stay at their cap.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "base/sqlite/sqlite.h"
#include "telemetry/stream/cache.h"
#include "tests/support/wait.h"
#include "tests/unit/outbox/outbox_fixture.h"

namespace wherry::telemetry {
namespace {

// A file system of 8 MiB, in a mount namespace of this thread.
class FullDiskTest : public OutboxTest {
 protected:
  void SetUp() override {
    if (unshare(CLONE_NEWNS) != 0) {
      ASSERT_EQ(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0) << "needs root or user namespaces";
    }
    outbox_.reset();
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("small", directory_.path().c_str(), "tmpfs", 0, "size=8m"), 0);
    open();
  }
  void TearDown() override {
    outbox_.reset();
    EXPECT_EQ(umount2(directory_.path().c_str(), MNT_DETACH), 0);
  }
  void fill() const {
    const int fd = ::open((directory_ / "ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const std::string block(4096, 'x');
    while (write(fd, block.data(), block.size()) > 0) {
    }
    close(fd);
  }
  void free_space() const { std::filesystem::remove(directory_ / "ballast"); }
};

TEST_F(FullDiskTest, RecordsAreRefusedWholeAndNothingAcceptedIsLost) {
  for (int i = 1; i <= 50; ++i) add("data/a/s", numbered(i, 1, 1000));
  fill();
  int accepted = 50, refused = 0;
  for (int i = 0; i < 3000 && refused < 20; ++i) {
    const auto appended = outbox_->append("data/a/s", numbered(accepted + 1, 1, 4000));
    if (appended) {  // the log has room of its own
      ++accepted;
      EXPECT_EQ(appended->first, static_cast<uint64_t>(accepted));
      continue;
    }
    EXPECT_EQ(appended.error().code(), Code::ResourceExhausted) << appended.error().full();
    ++refused;
  }
  EXPECT_EQ(refused, 20);
  EXPECT_TRUE(outbox_->ready());
  EXPECT_EQ(receive("data/a/s").size(), static_cast<size_t>(accepted)) << "what is there is read";
  // What was acknowledged may stay for now; it is not lost, and nothing is damaged by it.
  (void)outbox_->acknowledge({{"data/a/s", state("data/a/s").epoch, 30}});
  free_space();
  acknowledge("data/a/s", 30);
  add("data/a/s", numbered(accepted + 1, 1, 1000));
  open();
  const std::vector<int> left = receive("data/a/s");
  EXPECT_EQ(left.front(), 31);
  EXPECT_EQ(left.back(), accepted + 1);
  EXPECT_EQ(left.size(), static_cast<size_t>(accepted + 1 - 30));
  EXPECT_EQ(dropped_, 0U);
}

// What waits goes out, and makes room for what comes, though nobody frees any.
TEST_F(FullDiskTest, FilledByTheQueuesItIsEmptiedAndTakesRecordsAgain) {
  int accepted = 0;
  for (int refused = 0; refused < 20;) {
    const size_t size = 500 * (1 + static_cast<size_t>(accepted) % 60);
    outbox_->append("data/a/s", numbered(accepted + 1, 1, size)) ? ++accepted : ++refused;
  }
  fill();
  const auto all = static_cast<uint64_t>(accepted);
  for (uint64_t last = 1; last < all; last += 3) acknowledge("data/a/s", last);
  acknowledge("data/a/s", all);
  for (int i = 1; i <= 100; ++i) add("data/a/s", numbered(accepted + i, 1, 10'000));
  fill();
  open();
  EXPECT_EQ(receive("data/a/s").size(), 100U);
  acknowledge("data/a/s", all + 100);
}

// Right after the start, when its log is still empty.
TEST_F(FullDiskTest, FilledByOthersItIsEmptied) {
  constexpr int kStreams = 90, kEach = 60;
  for (int i = 1; i <= kEach; ++i) {
    for (int s = 0; s < kStreams; ++s) add("data/a/" + std::to_string(s), numbered(i, 1, 50));
  }
  open();
  fill();
  for (int s = 1; s < kStreams; ++s) acknowledge("data/a/" + std::to_string(s), kEach / 3);
  for (const int last : {kEach / 2, kEach}) {
    std::vector<Outbox::Mark> marks;
    for (const StreamState& each : outbox_->streams()) {
      marks.push_back({each.name, each.epoch, static_cast<uint64_t>(last)});
    }
    const Status done = outbox_->acknowledge(marks);
    EXPECT_TRUE(done) << done.error().full();
  }
  for (const StreamState& each : outbox_->streams()) EXPECT_EQ(each.records, 0U) << each.name;
  for (int i = 1; i <= 300; ++i) {  // where those were
    acknowledge("events", add("events", numbered(i, 1, 3000)).first);
  }
}

TEST_F(FullDiskTest, KilledWhileItWasFullItHasLostNothing) {
  for (int i = 1; i <= 20; ++i) add("data/a/s", numbered(i, 1, 1000));
  fill();
  int accepted = 20;
  // Writes of many sizes, so that the disk ends at every place of a frame.
  for (int i = 0; i < 400; ++i) {
    const auto room = static_cast<off_t>(std::filesystem::file_size(directory_ / "ballast"));
    if (i % 4 == 3) {
      ASSERT_EQ(truncate((directory_ / "ballast").c_str(), room - 4096), 0);
    }
    const size_t size = 500 * (1 + static_cast<size_t>(i) % 30);
    if (outbox_->append("data/a/s", numbered(accepted + 1, 1, size))) ++accepted;
    if (i % 10 != 9) continue;
    test::TempDir elsewhere;  // the files as a kill leaves them
    for (const char* part : {"", "-wal", "-in-use"}) {
      std::filesystem::copy(options_.path + part, elsewhere / (std::string("outbox.db") + part));
    }
    OutboxOptions copied = options_;
    copied.path = elsewhere / "outbox.db";
    const auto opened = Outbox::open(copied, clock_);
    ASSERT_TRUE(opened.outbox->ready());
    EXPECT_EQ(opened.outbox->streams().at(0).next, static_cast<uint64_t>(accepted) + 1) << i;
    EXPECT_EQ(opened.outbox->streams().at(0).dropped, 0U) << i;
  }
}

TEST_F(FullDiskTest, FullAtTheStartItGoesOnWhenThereIsRoom) {
  for (int i = 1; i <= 50; ++i) add("events", numbered(i, 1, 1000));
  outbox_.reset();
  fill();
  outbox_ = Outbox::open(options_, clock_).outbox;
  if (!outbox_->ready()) {
    EXPECT_EQ(outbox_->trouble().error().code(), Code::ResourceExhausted);
    EXPECT_FALSE(outbox_->renew());
  } else {
    EXPECT_EQ(receive("events").size(), 50U);
  }
  free_space();
  const auto renewed = outbox_->renew();
  ASSERT_TRUE(renewed) << renewed.error().full();
  EXPECT_EQ(renewed->set_aside, "");
  add("events", numbered(51, 1));
  EXPECT_EQ(receive("events").size(), 51U);
}

// What a kill left on a full disk goes out all the same.
TEST_F(FullDiskTest, FullAfterAKillWhatWaitsIsRead) {
  for (int i = 1; i <= 50; ++i) add("events", numbered(i, 1, 1000));
  test::TempDir elsewhere;
  for (const char* part : {"", "-wal", "-in-use"}) {
    std::filesystem::copy(options_.path + part, elsewhere / (std::string("outbox.db") + part));
  }
  outbox_.reset();
  for (const char* part : {"", "-wal", "-in-use"}) {
    std::filesystem::copy(elsewhere / (std::string("outbox.db") + part), options_.path + part,
                          std::filesystem::copy_options::overwrite_existing);
  }
  fill();
  open();
  EXPECT_EQ(receive("events").size(), 50U);
}

TEST_F(FullDiskTest, FullBeforeTheFirstStartItComesLater) {
  outbox_.reset();
  for (const char* part : {"", "-wal", "-in-use"}) std::filesystem::remove(options_.path + part);
  fill();
  outbox_ = Outbox::open(options_, clock_).outbox;
  EXPECT_FALSE(outbox_->ready());
  const auto refused = outbox_->append("events", numbered(1, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::ResourceExhausted) << refused.error().full();
  free_space();
  ASSERT_TRUE(outbox_->renew());
  EXPECT_EQ(add("events", numbered(1, 1)).first, 1U);
}

// It is tried again and again until there is room, and that skips no more numbers than once.
TEST_F(FullDiskTest, FullWhenItsLogIsDamagedItGivesNoNumberTwice) {
  for (int i = 1; i <= 300; ++i) add("events", numbered(i, 1, 1000));
  test::TempDir elsewhere;
  const auto copy = [](const std::string& from, const std::string& to) {
    for (const char* part : {"", "-wal", "-in-use"}) {
      std::filesystem::copy(from + part, to + part,
                            std::filesystem::copy_options::overwrite_existing);
    }
  };
  copy(options_.path, elsewhere / "outbox.db");
  outbox_.reset();
  std::string log = *read_file(elsewhere / "outbox.db-wal");
  log[log.size() / 2] ^= 1;
  test::write_text(elsewhere / "outbox.db-wal", log);
  // From no room at all to enough.
  for (int pages = 0; pages <= 200; pages = pages * 2 + 1) {
    SCOPED_TRACE(pages);
    outbox_.reset();
    copy(elsewhere / "outbox.db", options_.path);
    fill();
    const std::string ballast = directory_ / "ballast";
    const auto full = static_cast<off_t>(std::filesystem::file_size(ballast));
    ASSERT_EQ(truncate(ballast.c_str(), full - pages * 4096), 0);
    outbox_ = Outbox::open(options_, clock_).outbox;
    for (int i = 0; i < 5 && !outbox_->ready(); ++i) {
      EXPECT_EQ(outbox_->trouble().error().code(), Code::ResourceExhausted)
          << outbox_->trouble().error().full();
      EXPECT_FALSE(outbox_->renew());
    }
    free_space();
    ASSERT_TRUE(outbox_->renew());
    const uint64_t number = add("events", numbered(301, 1)).first;
    EXPECT_GT(number, 300U);
    EXPECT_LT(number, 2U << 20);
    receive("events");
  }
}

TEST_F(FullDiskTest, TheCacheRefusesAndKeepsWhatItHas) {
  Cache cache({.path = directory_ / "cache.db", .boot = "b"}, clock_);
  const auto put = [&](const std::string& key, size_t size) {
    return cache.put("web", key, {std::string(size, 'v'), "text/plain"}, std::nullopt);
  };
  ASSERT_TRUE(put("first", 100'000));
  fill();
  Status refused;
  for (int i = 0; i < 200 && refused; ++i) refused = put("k" + std::to_string(i), 100'000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::ResourceExhausted) << refused.error().full();
  EXPECT_EQ(cache.get("web", "first").value().value, std::string(100'000, 'v'));
  free_space();
  EXPECT_TRUE(put("last", 1000));
  EXPECT_TRUE(cache.get("web", "last"));
}

// The disk hangs while producers go on.
TEST_F(OutboxTest, ProducersFasterThanTheDiskAreToldAndNothingAcceptedIsLost) {
  open(256 << 20);
  const std::string resume = directory_ / "resume";
  setenv("WHERRY_FAILPOINT_RESUME", resume.c_str(), 1);
  setenv("WHERRY_FAILPOINTS", "outbox.append.commit=pause@1", 1);
  failpoints_from_environment();
  std::atomic<int> accepted{0}, refused{0}, begun{0};
  std::vector<std::thread> producers;
  constexpr int kProducers = 12;
  for (int i = 0; i < kProducers; ++i) {
    producers.emplace_back([&, i] {
      ++begun;
      const auto appended = outbox_->append("data/a/s", numbered(i, 1000, 1000));
      if (appended) {
        ++accepted;
        return;
      }
      EXPECT_EQ(appended.error().code(), Code::ResourceExhausted);
      EXPECT_EQ(appended.error().reason(), "TooMuchWaiting");
      EXPECT_GT(appended.error().retry_after().count(), 0);
      ++refused;
    });
  }
  EXPECT_TRUE(test::wait_until([&] { return refused >= kProducers - 6; })) << refused;
  test::write_text(resume, "");
  for (std::thread& producer : producers) producer.join();
  failpoints_arm("");
  unsetenv("WHERRY_FAILPOINTS");
  EXPECT_EQ(accepted + refused, kProducers);
  EXPECT_GE(accepted, 4) << "those that waited were written";
  EXPECT_EQ(receive("data/a/s").size(), static_cast<size_t>(accepted) * 1000);
  add("data/a/s", numbered(1, 1));
}

TEST_F(OutboxTest, WhatABacklogTookIsGivenBack) {
  for (int i = 0; i < 400; ++i) add("data/a/s", numbered(i, 1, 10'000));
  acknowledge("data/a/s", 400);
  outbox_.reset();
  EXPECT_LT(std::filesystem::file_size(options_.path), 2U << 20);
}

// Offline for long: what is kept, its file and what is remembered of what went stay bounded.
TEST_F(OutboxTest, HoursAtItsCapTakeNoMoreThanTheCap) {
  open(1 << 20);
  const auto count = [&](const std::string& table) {
    outbox_.reset();
    auto file = sqlite::Database::open(options_.path, SQLITE_OPEN_READONLY, {});
    EXPECT_TRUE(file);
    const int64_t rows = file->integer("SELECT count(*) FROM " + table).value();
    file = fail(Code::Cancelled, "");
    open(1 << 20);
    return rows;
  };
  const auto an_hour = [&](int from) {
    for (int i = 0; i < 10'000; i += 50) {
      add("data/a/s", numbered(from + i, 50, 200));
      add("telemetry", numbered(from + i, 50, 200));
    }
  };
  an_hour(0);
  outbox_.reset();
  const auto size_first = std::filesystem::file_size(options_.path);
  open(1 << 20);
  an_hour(10'000);
  an_hour(20'000);
  EXPECT_LE(count("gaps"), count("blocks")) << "at most one before each block";
  EXPECT_LE(std::filesystem::file_size(options_.path), size_first + size_first / 4);
  for (const char* name : {"data/a/s", "telemetry"}) {
    const std::vector<int> left = receive(name);
    EXPECT_EQ(left.size() + dropped_, 30'000U) << name;
    EXPECT_EQ(left.back(), 29'999);
    EXPECT_TRUE(std::is_sorted(left.begin(), left.end()));
  }
}

}  // namespace
}  // namespace wherry::telemetry

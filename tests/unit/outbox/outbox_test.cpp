// The durable queues: numbering, reading, acknowledging, caps, damage, crashes.

#include "telemetry/outbox/outbox.h"

#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <zstd.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "base/sqlite/sqlite.h"
#include "telemetry/outbox/batch.h"
#include "telemetry/outbox/queue_file.h"
#include "tests/unit/outbox/outbox_fixture.h"

namespace wherry::telemetry {
namespace {

using nlohmann::json;

TEST_F(OutboxTest, NumbersRecordsOfEachStreamFromOne) {
  EXPECT_EQ(add("events", numbered(1, 3)).first, 1U);
  EXPECT_EQ(add("data/web/temps", numbered(1, 2)).first, 1U);
  const Appended more = add("events", numbered(4, 1));
  EXPECT_EQ(more.first, 4U);
  EXPECT_EQ(more.count, 1U);
  EXPECT_EQ(receive("events"), (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(receive("data/web/temps"), (std::vector{1, 2}));
}

TEST_F(OutboxTest, RefusesWhatIsNoStream) {
  for (const char* name :
       {"", "data", "presence", "data/a b/c", "data/a/+", "data/a/#", "telemetry/x", "data/ä/x"}) {
    const auto appended = outbox_->append(name, numbered(1, 1));
    ASSERT_FALSE(appended) << name;
    EXPECT_EQ(appended.error().code(), Code::InvalidArgument);
  }
  EXPECT_TRUE(outbox_->streams().empty());
}

TEST_F(OutboxTest, ReadsNoMoreThanAskedForAndAtLeastOne) {
  add("events", numbered(1, 10, 100));
  Chunk chunk = read("events", 0, 250);
  EXPECT_EQ(chunk.first, 1U);
  EXPECT_EQ(chunk.lines.count, 2U);
  chunk = read("events", 2, 1);
  EXPECT_EQ(chunk.first, 3U);
  EXPECT_EQ(chunk.lines.count, 1U);
  EXPECT_EQ(chunk.lines.text, numbered(3, 1, 100).text);
}

TEST_F(OutboxTest, AcknowledgedRecordsGoAndNumbersGoOn) {
  add("events", numbered(1, 5));
  const std::string epoch = state("events").epoch;
  EXPECT_EQ(epoch.size(), 36U);
  acknowledge("events", 3);
  EXPECT_EQ(receive("events"), (std::vector{4, 5}));
  EXPECT_EQ(dropped_, 0U);
  acknowledge("events", 5);
  EXPECT_EQ(state("events").records, 0U);
  EXPECT_EQ(state("events").bytes, 0);
  open();
  EXPECT_EQ(state("events").epoch, epoch);
  EXPECT_EQ(add("events", numbered(6, 1)).first, 6U);
  EXPECT_EQ(receive("events"), (std::vector{6}));
}

TEST_F(OutboxTest, AnAcknowledgementOfMoreThanThereIsTakesNothingThatComesLater) {
  add("events", numbered(1, 2));
  acknowledge("events", 99);
  EXPECT_EQ(add("events", numbered(3, 1)).first, 3U);
  EXPECT_EQ(receive("events"), (std::vector{3}));
}

TEST_F(OutboxTest, ReopensAsItWas) {
  add("events", numbered(1, 3));
  add("data/web/a", numbered(1, 2, 50'000));
  const StreamState before = state("data/web/a");
  open();
  EXPECT_EQ(state("data/web/a").bytes, before.bytes);
  EXPECT_EQ(state("data/web/a").records, 2U);
  EXPECT_EQ(state("data/web/a").next, 3U);
  EXPECT_EQ(receive("events"), (std::vector{1, 2, 3}));
}

TEST_F(OutboxTest, ManyProducersAtOnceLoseNothing) {
  constexpr int kThreads = 8, kEach = 50;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto appended = outbox_->append(t % 2 == 0 ? "data/a/x" : "data/b/y", numbered(i, 2));
        if (!appended || appended->count != 2) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(receive("data/a/x").size(), kThreads / 2 * kEach * 2U);
  EXPECT_EQ(receive("data/b/y").size(), kThreads / 2 * kEach * 2U);
}

TEST_F(OutboxTest, AFullQueueDropsItsOldestAndSaysSo) {
  open(1 << 20);  // of which events have an eighth
  for (int i = 0; i < 300; ++i) add("events", numbered(i, 1, 1000));
  EXPECT_LE(state("events").bytes, 128 << 10);
  const std::vector<int> left = receive("events");
  EXPECT_EQ(left.back(), 299);
  EXPECT_GT(left.size(), 80U);
  EXPECT_EQ(dropped_ + left.size(), 300U);
  EXPECT_EQ(state("events").dropped, dropped_);
  EXPECT_EQ(read("events", 0).dropped->reason, "QueueFull");
}

TEST_F(OutboxTest, TheLargestStreamOfAKindMakesRoom) {
  open(1 << 20);
  add("data/small/s", numbered(1, 10, 100));
  for (int i = 0; i < 1000; ++i) add("data/large/s", numbered(i, 1, 1000));
  EXPECT_EQ(receive("data/small/s").size(), 10U);
  EXPECT_EQ(dropped_, 0U);
  receive("data/large/s");
  EXPECT_GT(dropped_, 0U);
}

TEST_F(OutboxTest, OneKindsFloodTakesNothingOfAnother) {
  open(1 << 20);
  add("events", numbered(1, 3));
  for (int i = 0; i < 400; ++i) add("logs/web/web", numbered(i, 1, 1000));
  EXPECT_EQ(receive("events"), (std::vector{1, 2, 3}));
}

TEST_F(OutboxTest, TelemetryIsThinnedBeforeItIsDropped) {
  open(1 << 20);
  constexpr int kSamples = 1500;
  for (int i = 0; i < kSamples; ++i) add("telemetry", numbered(i, 1, 500));
  EXPECT_LE(state("telemetry").bytes, 256 << 10);
  const std::vector<int> left = receive("telemetry");
  EXPECT_EQ(dropped_ + left.size(), static_cast<size_t>(kSamples));
  // Old samples are still there, and the younger half is denser than the older one.
  EXPECT_LT(left.front(), kSamples / 4);
  EXPECT_EQ(left.back(), kSamples - 1);
  const auto middle = std::lower_bound(left.begin(), left.end(), (left.front() + kSamples) / 2);
  EXPECT_GT(left.end() - middle, middle - left.begin());
  EXPECT_TRUE(std::is_sorted(left.begin(), left.end()));
  EXPECT_EQ(read("telemetry", 0).dropped->reason, "Thinned");
}

TEST_F(OutboxTest, WhatIsThinnedAgainIsCountedOnce) {
  open(1 << 20);
  for (int i = 0; i < 5000; i += 10) add("telemetry", numbered(i, 10, 500));
  const std::vector<int> left = receive("telemetry");
  EXPECT_EQ(state("telemetry").records, left.size());
  EXPECT_EQ(state("telemetry").dropped, dropped_);
  acknowledge("telemetry", 5000);
  EXPECT_EQ(state("telemetry").records, 0U);
}

TEST_F(OutboxTest, SentTelemetryIsNotRenumbered) {
  open(1 << 20);
  for (int i = 0; i < 100; ++i) add("telemetry", numbered(i, 1, 500));
  outbox_->note_sent("telemetry", 50);
  for (int i = 100; i < 600; ++i) add("telemetry", numbered(i, 1, 500));
  const std::vector<int> left = receive("telemetry");
  for (int i = 0; i < 50; ++i) EXPECT_EQ(left[static_cast<size_t>(i)], i);
}

TEST_F(OutboxTest, TooMuchAtOnceIsRefused) {
  open(1 << 20);
  const auto appended = outbox_->append("events", numbered(1, 1, 1 << 20));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code(), Code::InvalidArgument);
}

TEST_F(OutboxTest, TooManyStreamsAreRefusedAndTheOthersGoOn) {
  options_.max_streams = 2;
  open();
  add("events", numbered(1, 1));
  add("data/a/a", numbered(1, 1));
  const auto appended = outbox_->append("data/a/b", numbered(1, 1));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().reason(), "TooManyStreams");
  add("data/a/a", numbered(2, 1));
  acknowledge("data/a/a", 2);
  EXPECT_TRUE(outbox_->forget("data/a/a"));
  add("data/a/b", numbered(1, 1));
}

TEST_F(OutboxTest, IdsOfStreamsAreUsedAgainWhereTheyEnd) {
  add("events", numbered(1, 1));
  outbox_.reset();
  {
    auto file = sqlite::Database::open(options_.path, SQLITE_OPEN_READWRITE, {});
    ASSERT_TRUE(file &&
                file->execute("INSERT INTO streams (id, name, epoch, acked, next) VALUES (" +
                              std::to_string(kLastStream) + ", 'data/a/s', 'e', 0, 1)"));
  }
  open();
  for (const char* name : {"data/a/s", "data/b/s", "data/c/s"}) {
    EXPECT_EQ(add(name, numbered(1, 2)).first, 1U);
    add(name, numbered(3, 2));
  }
  open();
  for (const char* name : {"data/a/s", "data/b/s", "data/c/s"}) {
    EXPECT_EQ(receive(name), (std::vector{1, 2, 3, 4})) << name;
  }
  EXPECT_EQ(receive("events"), (std::vector{1}));
}

TEST_F(OutboxTest, AStreamThatComesBackHasANewEpoch) {
  add("data/a/a", numbered(1, 1));
  const std::string before = state("data/a/a").epoch;
  EXPECT_FALSE(outbox_->forget("data/a/a")) << "it has a record";
  acknowledge("data/a/a", 1);
  EXPECT_TRUE(outbox_->forget("data/a/a"));
  EXPECT_EQ(add("data/a/a", numbered(1, 1)).first, 1U);
  EXPECT_NE(state("data/a/a").epoch, before);
}

TEST_F(OutboxTest, AFailedCommitLeavesNothingBehind) {
  add("events", numbered(1, 1));
  failpoints_arm("outbox.append.commit=error");
  EXPECT_FALSE(outbox_->append("events", numbered(2, 1)));
  EXPECT_FALSE(outbox_->append("data/new/s", numbered(1, 1)));
  failpoints_arm("");
  EXPECT_EQ(outbox_->streams().size(), 1U);
  EXPECT_EQ(add("events", numbered(2, 1)).first, 2U);
  EXPECT_EQ(add("data/new/s", numbered(1, 1)).first, 1U);
  EXPECT_EQ(receive("events"), (std::vector{1, 2}));
}

TEST_F(OutboxTest, WhatWasLostBeforeItCouldBeKeptIsAnnounced) {
  add("events", numbered(1, 1));
  ASSERT_TRUE(outbox_->append("events", numbered(5, 1), {.lost = 3}));
  ASSERT_TRUE(outbox_->append("telemetry", numbered(3, 1), {.lost = 2}));
  EXPECT_EQ(receive("events"), (std::vector{1, 5}));
  EXPECT_EQ(dropped_, 3U);
  EXPECT_EQ(read("events", 1).dropped, (Dropped{2, 3, "NotKept"}));
  EXPECT_EQ(receive("telemetry"), (std::vector{3}));
  EXPECT_EQ(dropped_, 2U);
}

TEST_F(OutboxTest, ACursorIsKeptWithTheRecordsOrNotAtAll) {
  EXPECT_EQ(outbox_->cursor("events"), "");
  ASSERT_TRUE(outbox_->append("events", numbered(1, 2), {.cursor = "17"}));
  failpoints_arm("outbox.append.commit=error");
  EXPECT_FALSE(outbox_->append("events", numbered(3, 1), {.cursor = "18"}));
  failpoints_arm("");
  EXPECT_EQ(outbox_->cursor("events"), "17");
  acknowledge("events", 2);
  open();
  EXPECT_EQ(outbox_->cursor("events"), "17");
}

// A child writes until it is killed; what it was told is on disk has to be there.
TEST_F(OutboxTest, KilledAtAnyMomentKeepsWhatItPromised) {
  for (int round = 0; round < 10; ++round) {
    outbox_.reset();
    int told[2];
    ASSERT_EQ(pipe2(told, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto opened = Outbox::open(options_, clock_);
      for (int i = 0;; ++i) {
        const auto appended = opened.outbox->append("data/a/s", numbered(i, 3, 200));
        if (!appended) _exit(2);
        const uint64_t last = appended->first + appended->count - 1;
        if (write(told[1], &last, sizeof last) != sizeof last) _exit(3);
        if (i % 5 == 4)
          (void)opened.outbox->acknowledge(
              {{"data/a/s", opened.outbox->streams()[0].epoch, last - 6}});
      }
    }
    close(told[1]);
    uint64_t promised = 0;
    for (int i = 0; i < 10 + round * 3; ++i) {
      ASSERT_EQ(::read(told[0], &promised, sizeof promised), ssize_t{sizeof promised});
    }
    kill(child, SIGKILL);
    for (uint64_t next = 0; ::read(told[0], &next, sizeof next) == ssize_t{sizeof next};)
      promised = next;
    close(told[0]);
    waitpid(child, nullptr, 0);
    open();
    EXPECT_GE(state("data/a/s").next, promised + 1);
    receive("data/a/s");
    EXPECT_EQ(dropped_, 0U);
    acknowledge("data/a/s", state("data/a/s").next - 1);
  }
}

TEST_F(OutboxTest, WritesNothingWhileNothingHappens) {
  add("events", numbered(1, 1));
  acknowledge("events", 1);
  const auto size = [this] { return read_file(options_.path + "-wal", 64 << 20)->size(); };
  const size_t before = size();
  for (int i = 0; i < 100; ++i) {
    read("events", 0);
    acknowledge("events", 1);
    (void)outbox_->streams();
  }
  EXPECT_EQ(size(), before);
}

TEST_F(OutboxTest, GivesTheDiskBackAfterABacklog) {
  for (int i = 0; i < 20; ++i) add("data/a/s", numbered(i, 400, 1000));
  const auto size = [this] {
    std::ifstream file(options_.path, std::ios::ate);
    return static_cast<int64_t>(file.tellg());
  };
  for (int i = 0; i < 200; ++i) add("events", numbered(i, 1));  // past a checkpoint
  const int64_t full = size();
  EXPECT_GT(full, 6 << 20);
  acknowledge("data/a/s", 8000);
  acknowledge("events", 200);
  open();
  EXPECT_LT(size(), full - (1 << 20));
}

TEST(Batch, IsWhatTheContractSays) {
  Chunk chunk;
  chunk.first = 101;
  chunk.lines.add(R"({"at":"t","a":1})");
  chunk.lines.add(R"({"at":"t","b":"x,y"})");
  chunk.dropped = Dropped{89, 12, "QueueFull"};
  const json batch = json::parse(batch_json("events", "u", chunk));
  EXPECT_EQ(batch, json::parse(R"({"stream":"events","epoch":"u","first":101,
    "records":[{"at":"t","a":1},{"at":"t","b":"x,y"}],
    "dropped":{"count":12,"from":89,"reason":"QueueFull"}})"));
}

TEST(Batch, CompressesOnlyWhatGetsSmaller) {
  const std::string text = batch_json("events", "u", {1, numbered(1, 100), {}});
  const auto frame = compressed(text);
  ASSERT_TRUE(frame);
  EXPECT_LT(frame->size(), text.size() / 2);
  std::string back(text.size(), '\0');
  ASSERT_EQ(ZSTD_decompress(back.data(), back.size(), frame->data(), frame->size()), text.size());
  EXPECT_EQ(back, text);
  EXPECT_FALSE(compressed("{}"));
  std::string noise;
  for (unsigned i = 0, x = 1; i < 2000; ++i)
    noise += static_cast<char>((x = x * 1103515245 + 12345) >> 23);
  EXPECT_FALSE(compressed(noise));
}

TEST(Lines, RecordsAreStampedUnlessTheySayTheirTime) {
  const WallTime at = *parse_rfc3339("2026-11-26T10:00:00.5Z");
  EXPECT_EQ(*record_from_json(R"( {"a":1} )", at), R"({"at":"2026-11-26T10:00:00.500Z","a":1})");
  EXPECT_EQ(*record_from_json("{ }", at), R"({"at":"2026-11-26T10:00:00.500Z" })");
  EXPECT_EQ(*record_from_json(R"({"x":{"at":1}})", at),
            R"({"at":"2026-11-26T10:00:00.500Z","x":{"at":1}})");
  EXPECT_EQ(*record_from_json(R"({"a":1,"at":"then"})", at), R"({"a":1,"at":"then"})");
  EXPECT_EQ(*record_from_json("21.50", at), R"({"at":"2026-11-26T10:00:00.500Z","value":21.50})");
  EXPECT_EQ(*record_from_json(R"([{"at":1}])", at),
            R"({"at":"2026-11-26T10:00:00.500Z","value":[{"at":1}]})");
  EXPECT_EQ(record_from_bytes(std::string("\0\xff", 2), at),
            R"({"at":"2026-11-26T10:00:00.500Z","base64":"AP8="})");
}

TEST(Lines, WhatIsNoRecordIsRefused) {
  for (const char* text :
       {"", " ", "{", "{\"a\":1}}", "nan", "{'a':1}", "\"\xff\"", "[1,\n2]", "{} {}"}) {
    const auto record = record_from_json(text, WallTime{});
    ASSERT_FALSE(record) << text;
    EXPECT_EQ(record.error().code(), Code::InvalidArgument);
  }
  for (const std::string& text : {std::string("{\"a\":1}\0x", 9), std::string("\xef\xbb\xbf{}")}) {
    EXPECT_FALSE(record_from_json(text, WallTime{})) << text;
  }
  EXPECT_FALSE(record_from_json(std::string(100'000, '['), WallTime{}));
  EXPECT_EQ(record_from_json(R"({"a":1,})", WallTime{}).error().message(), "not JSON (at byte 8)");
  EXPECT_EQ(record_from_json(R"({"a":1e999})", WallTime{}).error().message(),
            "a number is larger than a double has room for");
}

TEST(Lines, PrefixesCountTheNewline) {
  EXPECT_EQ(prefix_of("a\nbb\nc", 0), 0U);
  EXPECT_EQ(prefix_of("a\nbb\nc", 1), 2U);
  EXPECT_EQ(prefix_of("a\nbb\nc", 2), 5U);
  EXPECT_EQ(prefix_of("a\nbb\nc", 3), 6U);
  EXPECT_EQ(prefix_of("a\nbb\nc", 9), 6U);
}

}  // namespace
}  // namespace wherry::telemetry

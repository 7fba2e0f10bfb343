// The room as a whole, on its own thread: posting, copying a log, sending, giving up.

#include "telemetry/telemetry.h"

#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry::telemetry {
namespace {

using nlohmann::json;
using test::wait_until;

class TelemetryTest : public testing::Test {
 protected:
  TelemetryTest() {
    options_.outbox.path = directory_ / "outbox.db";
    options_.sender.compress = false;
    options_.sender.spread = Duration::zero();
    open();
  }
  ~TelemetryTest() override { failpoints_arm(""); }

  void open() {
    telemetry_.reset();
    TelemetryHooks hooks;
    hooks.send = [this](Outgoing out) {
      const std::lock_guard lock(mutex_);
      sent_.push_back(std::move(out));
    };
    hooks.set_aside = [this](const std::string& path, const std::string&) {
      const std::lock_guard lock(mutex_);
      aside_ = path;
    };
    Source source{
        "events", [this](int64_t after, size_t limit) -> Result<std::vector<Source::Record>> {
          const std::lock_guard lock(mutex_);
          std::vector<Source::Record> found;
          for (int64_t n = after + 1; n <= log_ && found.size() < limit; ++n) {
            found.push_back(
                {n, R"({"at":"t","number":)" + std::to_string(n) + R"(,"x":")" + text_ + "\"}"});
          }
          return found;
        }};
    source.last = [this] {
      const std::lock_guard lock(mutex_);
      return log_;
    };
    telemetry_ = Telemetry::open(options_, clock_, hooks, source);
    telemetry_->start();
  }
  void grow(int64_t by) {
    {
      const std::lock_guard lock(mutex_);
      log_ += by;
    }
    telemetry_->source_grew();
  }
  StreamState state(const std::string& name) {
    for (const StreamState& one : telemetry_->streams()) {
      if (one.name == name) return one;
    }
    return {};
  }
  // Acknowledges whatever is sent, until `stream` has nothing left; its records in order.
  std::vector<json> drain(const std::string& stream) {
    std::vector<json> records;
    const bool done = wait_until([&] {
      std::vector<Outgoing> out;
      {
        const std::lock_guard lock(mutex_);
        out.swap(sent_);
      }
      for (const Outgoing& one : out) {
        if (one.stream == stream) {
          const json batch = json::parse(one.payload);
          for (const json& record : batch["records"]) records.push_back(record);
          if (batch.contains("dropped")) dropped_ += batch["dropped"]["count"].get<uint64_t>();
        }
        telemetry_->acknowledged(one.ticket, true);
      }
      const StreamState now = state(stream);
      return now.next > 1 && now.acked + 1 == now.next;
    });
    EXPECT_TRUE(done) << stream << " does not drain";
    return records;
  }

  test::TempDir directory_;
  SystemClock clock_;
  TelemetryOptions options_;
  std::mutex mutex_;
  std::vector<Outgoing> sent_;
  std::string aside_;
  int64_t log_ = 0;
  std::string text_;
  uint64_t dropped_ = 0;
  std::unique_ptr<Telemetry> telemetry_;
};

TEST_F(TelemetryTest, WhatIsPostedIsSentAndAcknowledged) {
  telemetry_->connected(1, true);
  for (int i = 0; i < 5; ++i)
    telemetry_->post("telemetry", R"({"at":"t","i":)" + std::to_string(i) + "}");
  // Some of it may go before the rest is there.
  std::vector<json> all;
  ASSERT_TRUE(wait_until([&] {
    for (json& record : drain("telemetry")) all.push_back(std::move(record));
    return all.size() == 5;
  }));
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(all[i]["i"], i);
}

TEST_F(TelemetryTest, ALogIsCopiedOnceOverRestarts) {
  grow(3);
  ASSERT_TRUE(wait_until([&] { return state("events").next == 4; }));
  open();
  grow(500);
  ASSERT_TRUE(wait_until([&] { return state("events").next == 504; }));
  telemetry_->connected(1, true);
  const std::vector<json> all = drain("events");
  ASSERT_EQ(all.size(), 503U);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]["number"], i + 1);
}

TEST_F(TelemetryTest, ALogThatIsLongFitsTheSmallestQueueInPieces) {
  options_.outbox.max_bytes = 1 << 20;
  telemetry_->stop();
  log_ = 1000;  // 200 at a time are more than such a queue takes at once
  text_ = std::string(300, 'x');
  open();
  EXPECT_TRUE(wait_until([&] { return state("events").next == 1001; }));
}

TEST_F(TelemetryTest, ALogThatBeginsAnewIsCopiedFromItsBeginning) {
  grow(50);
  ASSERT_TRUE(wait_until([&] { return state("events").next == 51; }));
  telemetry_->stop();
  log_ = 3;
  open();
  EXPECT_TRUE(wait_until([&] { return state("events").next == 54; }));
}

TEST_F(TelemetryTest, WhatGrewWhileNobodyWasThereIsCopiedAtTheStart) {
  telemetry_->stop();
  log_ = 7;
  open();
  EXPECT_TRUE(wait_until([&] { return state("events").next == 8; }));
}

TEST_F(TelemetryTest, AStopPutsOnDiskWhatWasPosted) {
  for (int i = 0; i < 100; ++i) telemetry_->post("telemetry", R"({"at":"t"})");
  telemetry_->stop();
  open();
  EXPECT_EQ(state("telemetry").next, 101U);
}

TEST_F(TelemetryTest, WhereTheDiskIsFullForLongTheOldestPostedAreGivenUpAndAnnounced) {
  options_.max_posted = 100;
  open();
  failpoints_arm("outbox.append.commit=error");
  for (int i = 0; i < 50; ++i)
    telemetry_->post("telemetry", R"({"at":"t","i":)" + std::to_string(i) + "}");
  telemetry_->stop();  // tries once more
  EXPECT_EQ(state("telemetry").next, 1U);
  failpoints_arm("");
  open();
  options_.max_posted = 1 << 20;
  for (int i = 0; i < 50; ++i)
    telemetry_->post("telemetry", R"({"at":"t","i":)" + std::to_string(i) + "}");
  telemetry_->stop();
  const StreamState after = state("telemetry");
  EXPECT_EQ(after.next, 51U) << "those that were given up have their numbers";
  open();
  telemetry_->connected(1, true);
  const std::vector<json> all = drain("telemetry");
  EXPECT_EQ(all.size() + dropped_, 50U);
  EXPECT_EQ(all.back()["i"], 49);
}

TEST_F(TelemetryTest, WhatCannotBeOpenedIsOpenedWhenItCanBeAndNothingIsLost) {
  grow(3);
  ASSERT_TRUE(wait_until([&] { return state("events").next == 4; }));
  telemetry_.reset();
  const std::string path = options_.outbox.path;
  std::filesystem::rename(path, path + ".hidden");
  std::filesystem::create_directory(path);
  open();
  EXPECT_FALSE(telemetry_->trouble());
  telemetry_->post("telemetry", R"({"at":"t","i":1})");
  grow(2);
  EXPECT_FALSE(telemetry_->append("data/a/s", Lines{R"({"at":"t"})", 1}));
  std::filesystem::remove(path);
  std::filesystem::rename(path + ".hidden", path);
  EXPECT_TRUE(wait_until([&] { return state("events").next == 6; }));
  EXPECT_TRUE(wait_until([&] { return state("telemetry").next == 2; }));
  EXPECT_TRUE(telemetry_->append("data/a/s", Lines{R"({"at":"t"})", 1}));
  EXPECT_EQ(aside_, "");
}

TEST_F(TelemetryTest, ADamagedOutboxIsReplacedAndTheLogCopiedAgain) {
  grow(200);
  ASSERT_TRUE(wait_until([&] { return state("events").next == 201; }));
  Lines lines;
  for (int i = 0; i < 300; ++i) lines.add(R"({"at":"t","x":")" + std::string(5000, 'x') + "\"}");
  ASSERT_TRUE(telemetry_->append("data/a/s", std::move(lines)));
  open();
  std::string bytes = *read_file(options_.outbox.path, 64 << 20);
  std::fill(bytes.begin() + 4096, bytes.end(), 'z');
  { std::ofstream(options_.outbox.path, std::ios::binary | std::ios::in) << bytes; }
  (void)telemetry_->read("data/a/s", 0, 1 << 20);
  ASSERT_TRUE(wait_until([&] {
    const std::lock_guard lock(mutex_);
    return !aside_.empty();
  }));
  grow(1);
  EXPECT_TRUE(wait_until([&] { return state("events").next == 202; }));
  EXPECT_EQ(state("data/a/s").next, 1U);
}

}  // namespace
}  // namespace wherry::telemetry

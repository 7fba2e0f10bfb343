#pragma once
// An outbox in a directory of its own, and what a receiver would make of it.

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "telemetry/outbox/batch.h"
#include "telemetry/outbox/outbox.h"
#include "tests/support/temp_dir.h"

namespace wherry::telemetry {

inline Lines numbered(int from, int count, size_t size = 0) {
  Lines lines;
  for (int i = 0; i < count; ++i) {
    lines.add(R"({"n":)" + std::to_string(from + i) + R"(,"x":")" + std::string(size, 'x') + "\"}");
  }
  return lines;
}

class OutboxTest : public testing::Test {
 protected:
  OutboxTest() { open(); }

  void open(int64_t max_bytes = 64 << 20) {
    outbox_.reset();
    options_.path = directory_.path() + "/outbox.db";
    options_.max_bytes = max_bytes;
    auto opened = Outbox::open(options_, clock_);
    outbox_ = std::move(opened.outbox);
    set_aside_ = opened.renewed.set_aside;
    ASSERT_TRUE(outbox_->ready()) << outbox_->trouble().error().full();
  }

  Appended add(const std::string& stream, Lines lines) {
    const auto appended = outbox_->append(stream, std::move(lines));
    EXPECT_TRUE(appended) << appended.error().full();
    return appended ? *appended : Appended{};
  }
  Chunk read(const std::string& stream, uint64_t after, size_t bytes = 1 << 20) {
    auto chunk = outbox_->read(stream, after, bytes);
    EXPECT_TRUE(chunk) << chunk.error().full();
    return chunk ? *chunk : Chunk{};
  }
  StreamState state(const std::string& stream) {
    for (const StreamState& one : outbox_->streams()) {
      if (one.name == stream) return one;
    }
    return {};
  }
  void acknowledge(const std::string& stream, uint64_t last) {
    const Status done = outbox_->acknowledge({{stream, state(stream).epoch, last}});
    EXPECT_TRUE(done) << done.error().full();
  }

  // Everything from the oldest to the newest record, as a receiver sees it: numbers and what was
  // announced as dropped together leave no hole. The "n" of the records in order.
  std::vector<int> receive(const std::string& stream) {
    std::vector<int> all;
    uint64_t after = state(stream).acked;
    dropped_ = 0;
    while (true) {
      const Chunk chunk = read(stream, after, 4096);
      if (chunk.first == 0) break;
      if (chunk.dropped) {
        EXPECT_EQ(chunk.dropped->from, after + 1);
        EXPECT_EQ(chunk.dropped->from + chunk.dropped->count, chunk.first);
        dropped_ += chunk.dropped->count;
      } else {
        EXPECT_EQ(chunk.first, after + 1);
      }
      const nlohmann::json batch = nlohmann::json::parse(batch_json(stream, "e", chunk));
      for (const nlohmann::json& record : batch["records"]) all.push_back(record["n"]);
      after = chunk.last();
    }
    EXPECT_EQ(after + 1, state(stream).next);
    return all;
  }

  test::TempDir directory_;
  FakeClock clock_;
  OutboxOptions options_;
  std::unique_ptr<Outbox> outbox_;
  std::string set_aside_;
  uint64_t dropped_ = 0;
};

}  // namespace wherry::telemetry

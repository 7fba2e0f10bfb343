#pragma once
// Logs in a directory, and a room of telemetry that keeps what comes of them.

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/files.h"
#include "telemetry/outbox/batch.h"
#include "telemetry/telemetry.h"
#include "tests/support/log_writer.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {

class ForwardTest : public testing::Test {
 protected:
  ForwardTest() { open(); }
  ~ForwardTest() override { failpoints_arm(""); }

  void open() {
    telemetry_.reset();
    telemetry::TelemetryOptions options;
    options.outbox.path = directory_ / "outbox.db";
    options.outbox.max_log_bytes = max_bytes_;
    telemetry::Source none{
        "events",
        [](int64_t, size_t) { return Result<std::vector<telemetry::Source::Record>>({}); },
        {}};
    telemetry_ = telemetry::Telemetry::open(options, clock_, {}, none);
    ASSERT_TRUE(telemetry_->trouble()) << telemetry_->trouble().error().full();
  }
  std::string log_dir() const { return directory_ / "logs"; }
  std::string path(const std::string& pod, const std::string& container) {
    EXPECT_TRUE(make_directories(log_dir() + "/" + pod));
    return log_dir() + "/" + pod + "/" + container + ".log";
  }

  struct Kept {
    std::vector<std::string> messages;
    std::vector<telemetry::Dropped> dropped;
    uint64_t lost = 0;  // … together
  };
  // What is in the queue of a stream, from its beginning on.
  Kept kept(const std::string& stream) {
    Kept all;
    for (uint64_t after = 0;;) {
      const auto chunk = telemetry_->read(stream, after, 1 << 20);
      if (!chunk || chunk->first == 0) return all;
      if (chunk->dropped) {
        all.dropped.push_back(*chunk->dropped);
        all.lost += chunk->dropped->count;
      }
      const auto records =
          nlohmann::json::parse(telemetry::batch_json(stream, "e", *chunk))["records"];
      for (const auto& record : records) all.messages.push_back(record["message"]);
      after = chunk->last();
    }
  }

  TempDir directory_;
  SystemClock clock_;
  int64_t max_bytes_ = 8 << 20;
  std::unique_ptr<telemetry::Telemetry> telemetry_;
};

}  // namespace wherry::test

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>
#include <zstd.h>

#include "base/text.h"
#include "telemetry/outbox/batch.h"
#include "telemetry/outbox/lines.h"
#include "tests/fuzz/upstream_invariants.h"

namespace wherry {
namespace {

using nlohmann::json;

const WallTime kNow{std::chrono::seconds(1'790'000'000)};

std::string broken_refusal(const Error& error) {
  const std::string said = error.full();
  if (error.code() != Code::InvalidArgument) return "not an InvalidArgument: " + said;
  return said.size() > 200 || !is_valid_utf8(said) ? "no short line: " + said : "";
}

std::string broken_record(std::string_view line, const std::string& record) {
  if (record.find('\n') != std::string::npos) return "a record on two lines";
  const json kept = json::parse(record, nullptr, false);
  if (!kept.is_object() || !kept.contains("at")) return "no object with a time: " + record;
  const auto again = telemetry::record_from_json(record, kNow + std::chrono::seconds(1));
  if (!again || *again != record) return "handed in again it is another one: " + record;
  const json given = json::parse(line, nullptr, false);
  if (given.is_discarded()) return "taken, though it is no JSON";
  json wanted = given.is_object() ? given : json{{"value", given}};
  if (!wanted.contains("at")) wanted["at"] = to_rfc3339(kNow);
  return wanted == kept ? "" : "it says something else: " + record;
}

std::string broken_frame(const std::string& text) {
  const auto frame = telemetry::compressed(text);
  if (!frame) return {};
  std::string back(text.size(), '\0');
  const size_t size = ZSTD_decompress(back.data(), back.size(), frame->data(), frame->size());
  return size == text.size() && back == text ? "" : "it is compressed to something else";
}

std::string broken_lines(const telemetry::Lines& lines, const std::vector<std::string>& records) {
  if (lines.count != records.size()) return "lines are counted wrongly";
  size_t end = 0;
  for (uint32_t count = 1; count <= lines.count; ++count) {
    end += records[count - 1].size() + (count < lines.count ? 1 : 0);
    if (telemetry::prefix_of(lines.text, count) != end) return "the prefix is of another length";
  }
  telemetry::Chunk chunk{7, lines};
  chunk.dropped = telemetry::Dropped{3, 4, "QueueFull"};
  const std::string text = telemetry::batch_json("data/web/s", "e", chunk);
  const json batch = json::parse(text, nullptr, false);
  if (!batch.is_object() || batch["first"] != 7 || batch["records"].size() != records.size()) {
    return "no Batch: " + text;
  }
  for (size_t i = 0; i < records.size(); ++i) {
    if (batch["records"][i] != json::parse(records[i])) return "another record: " + records[i];
  }
  return broken_frame(text);
}

}  // namespace

std::string broken_batch(std::string_view text) {
  const json binary = json::parse(telemetry::record_from_bytes(text, kNow), nullptr, false);
  if (!binary.is_object() || !binary["base64"].is_string()) return "bytes that make no record";
  std::vector<std::string> records;
  telemetry::Lines lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto record = telemetry::record_from_json(line, kNow);
    const std::string broken =
        record ? broken_record(line, *record) : broken_refusal(record.error());
    if (!broken.empty()) return broken;
    if (!record) continue;
    telemetry::Lines one;
    one.add(*record);
    lines.join(one);
    records.push_back(*record);
  }
  return records.empty() ? "" : broken_lines(lines, records);
}

}  // namespace wherry

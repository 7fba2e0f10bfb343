#include "tests/support/batch_receiver.h"

#include <algorithm>

#include <zstd.h>

#include "base/text.h"

namespace wherry::test {
namespace {

using nlohmann::json;

}  // namespace

std::string plain_payload(const MqttMessage& message) {
  if (message.content_type != "application/json+zstd") return message.payload;
  const unsigned long long size =
      ZSTD_getFrameContentSize(message.payload.data(), message.payload.size());
  if (size > (64U << 20)) return {};
  std::string text(size, '\0');
  const size_t done =
      ZSTD_decompress(text.data(), text.size(), message.payload.data(), message.payload.size());
  return done == size ? text : std::string();
}

BatchReceiver::Stream& BatchReceiver::stream_of(const std::string& name, const std::string& epoch) {
  auto& epochs = streams_[name];
  for (auto& [known, stream] : epochs) {
    if (known == epoch) return stream;
  }
  return epochs.emplace_back(epoch, Stream{}).second;
}

void BatchReceiver::take(const MqttMessage& message) {
  const auto complain = [&](const std::string& what) {
    problems_.push_back(message.topic + ": " + what + ": " + printable(plain_payload(message)));
  };
  const json batch = json::parse(plain_payload(message), nullptr, false);
  if (!batch.is_object() || !batch.contains("records")) return complain("no Batch");
  const std::string name = batch["stream"];
  if (!message.topic.ends_with("/" + name)) return complain("not the topic's stream");
  Stream& stream = stream_of(name, batch["epoch"]);
  const uint64_t first = batch["first"];
  if (batch.contains("dropped")) {
    const uint64_t from = batch["dropped"]["from"], count = batch["dropped"]["count"];
    if (from + count != first) complain("what was dropped is not right before first");
    if (batch["dropped"]["reason"] == "") complain("dropped without a reason");
    if (from <= stream.next && from + count > stream.next) {
      stream.dropped += from + count - stream.next;
      stream.next = from + count;
    }
  }
  if (first > stream.next) {
    complain("a hole: wanted " + std::to_string(stream.next));
    stream.next = first;
  }
  uint64_t number = first;
  for (const json& record : batch["records"]) {
    if (!record.contains("at")) complain("a record without its time");
    const auto [place, fresh] = stream.records.emplace(number, record);
    if (!fresh) {
      ++stream.repeats;
      if (place->second != record) complain("another record with the number of one before");
    }
    stream.next = std::max(stream.next, ++number);
  }
}

void BatchReceiver::take_all(const MqttClient& client, const std::string& device_topic) {
  const std::vector<MqttMessage> all = client.messages();
  for (; taken_ < all.size(); ++taken_) {
    const std::string& topic = all[taken_].topic;
    if (!topic.starts_with(device_topic + "/")) continue;
    const std::string below = topic.substr(device_topic.size() + 1);
    const bool stream = below == "events" || below == "telemetry" || below.starts_with("data/") ||
                        below.starts_with("logs/");
    if (stream) take(all[taken_]);
  }
}

const BatchReceiver::Stream& BatchReceiver::only(const std::string& stream) {
  static const Stream kNone;
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return kNone;
  if (found->second.size() > 1) problems_.push_back(stream + " has several epochs");
  return found->second.back().second;
}

size_t BatchReceiver::count(const std::string& stream) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return 0;
  size_t count = 0;
  for (const auto& [epoch, one] : found->second) count += one.records.size();
  return count;
}

}  // namespace wherry::test

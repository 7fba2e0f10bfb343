#include "tests/support/stream_judge.h"

#include <algorithm>

#include "base/text.h"
#include "tests/support/batch_receiver.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr size_t kMostProblems = 20;

bool is_stream(const std::string& below) {
  return below == "events" || below == "telemetry" || below.starts_with("data/") ||
         below.starts_with("logs/");
}

}  // namespace

void StreamJudge::complain(const std::string& what) {
  if (problems_.size() < kMostProblems) problems_.push_back(what);
}

void StreamJudge::take(const MqttMessage& message, const std::string& device_topic) {
  if (!message.topic.starts_with(device_topic + "/")) return;
  const std::string below = message.topic.substr(device_topic.size() + 1);
  if (is_stream(below)) take_batch(message, below);
}

void StreamJudge::take_batch(const MqttMessage& message, const std::string& name) {
  const json batch = json::parse(plain_payload(message), nullptr, false);
  if (!batch.is_object() || !batch.contains("records") || batch.value("stream", "") != name) {
    return complain(name + ": no Batch of this stream: " + printable(plain_payload(message)));
  }
  Stream& stream = streams_[name];
  const std::string epoch = batch.value("epoch", "");
  if (stream.epoch.empty()) stream.epoch = epoch;
  if (epoch != stream.epoch) return complain(name + ": another epoch: the queue was lost");
  const uint64_t first = batch.value("first", uint64_t{0});
  if (batch.contains("dropped")) {
    const json& dropped = batch["dropped"];
    const uint64_t from = dropped.value("from", uint64_t{0});
    const uint64_t end = from + dropped.value("count", uint64_t{0});
    if (end != first) complain(name + ": what was dropped is not right before first");
    // Of what has arrived before, an announcement says nothing new.
    for (uint64_t number = stream.numbers.size() + 1; from <= number && number < end; ++number) {
      stream.numbers.push_back(kDropped);
      ++stream.dropped;
      stream.gap = true;
    }
  }
  if (first == 0 || first > stream.numbers.size() + 1) {
    complain(name + ": a hole: number " + std::to_string(stream.numbers.size() + 1) +
             " is missing, " + std::to_string(first) + " came");
    stream.numbers.resize(std::max<uint64_t>(first, 1) - 1, kOther);
    stream.gap = true;
  }
  uint64_t number = std::max<uint64_t>(first, 1);
  for (const json& record : batch["records"]) {
    take_record(stream, name, number++, record.value("n", kOther));
  }
}

void StreamJudge::take_record(Stream& stream, const std::string& name, uint64_t number,
                              uint32_t n) {
  if (number <= stream.numbers.size()) {
    ++stream.repeats;
    uint32_t& known = stream.numbers[number - 1];
    if (known == kDropped) {  // it was on its way when it was dropped
      known = n;
      --stream.dropped;
    } else if (known != n) {
      complain(name + ": number " + std::to_string(number) + " came with another record");
    }
    return;
  }
  stream.numbers.push_back(n);
  if (n == kOther) return;
  if (n > stream.highest + 1 && !stream.gap) {
    complain(name + ": record " + std::to_string(n) + " came after " +
             std::to_string(stream.highest));
  }
  stream.highest = std::max(stream.highest, n);
  stream.gap = false;
}

bool StreamJudge::has(const std::string& stream, uint32_t n) const {
  const auto found = streams_.find(stream);
  return found != streams_.end() &&
         std::find(found->second.numbers.rbegin(), found->second.numbers.rend(), n) !=
             found->second.numbers.rend();
}

uint64_t StreamJudge::accounted(const std::string& stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? 0 : found->second.numbers.size();
}

StreamJudge::Verdict StreamJudge::verdict() const {
  Verdict verdict;
  verdict.streams = streams_.size();
  for (const auto& [name, stream] : streams_) {
    verdict.records += stream.numbers.size() - stream.dropped;
    verdict.dropped += stream.dropped;
    verdict.repeats += stream.repeats;
  }
  verdict.problems = problems_;
  return verdict;
}

std::vector<std::string> StreamJudge::compare(const std::vector<Note>& notes) const {
  std::vector<std::string> problems;
  for (const Note& note : notes) {
    const auto found = streams_.find(note.stream);
    for (uint32_t i = 0; i < note.count && problems.size() < kMostProblems; ++i) {
      const uint64_t number = note.first + i;
      const bool known = found != streams_.end() && number <= found->second.numbers.size();
      const uint32_t is = known ? found->second.numbers[number - 1] : 0;
      if (known && (is == note.n + i || is == kDropped)) continue;
      problems.push_back(note.stream + ": record " + std::to_string(note.n + i) +
                         " was accepted as number " + std::to_string(number) +
                         (known ? ", where another is" : " and never came"));
    }
  }
  return problems;
}

}  // namespace wherry::test

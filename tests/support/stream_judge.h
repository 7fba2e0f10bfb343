#pragma once
// Judges from Batches alone whether every record that a device accepted has arrived or was
// announced as dropped, in order. Small in memory, so that it can follow a run for hours.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/mqtt_client.h"

namespace wherry::test {

// Records of producers are {"n":…} with n growing by one from 1; a producer that heard no answer
// repeats what it sent, so that a stretch may come again.
class StreamJudge {
 public:
  struct Verdict {
    uint64_t streams = 0, records = 0, dropped = 0, repeats = 0;
    std::vector<std::string> problems;  // the first of them
  };

  // Every message on a topic below `device_topic` that ends in a stream; others are not looked at.
  void take(const MqttMessage& message, const std::string& device_topic);
  // The record with this n has arrived.
  bool has(const std::string& stream, uint32_t n) const;
  // How many numbers are accounted for: the next one less 1.
  uint64_t accounted(const std::string& stream) const;
  Verdict verdict() const;

  // What a producer noted when its request was answered: the numbers that its records got.
  struct Note {
    std::string stream;
    uint64_t first = 0;
    uint32_t count = 0, n = 0;  // n: of the first record
  };
  // The same question from the producers' side: each record with the number that was promised for
  // it, or dropped.
  std::vector<std::string> compare(const std::vector<Note>& notes) const;

 private:
  // Of a number: the n of its record, or one of these.
  static constexpr uint32_t kDropped = UINT32_MAX;
  static constexpr uint32_t kOther = UINT32_MAX - 1;  // a record without n
  struct Stream {
    std::string epoch;
    std::vector<uint32_t> numbers;  // from 1 on
    uint32_t highest = 0;           // n
    uint64_t dropped = 0, repeats = 0;
    bool gap = false;  // the last number was dropped
  };
  void take_batch(const MqttMessage& message, const std::string& stream);
  void take_record(Stream& stream, const std::string& name, uint64_t number, uint32_t n);
  void complain(const std::string& what);

  std::map<std::string, Stream> streams_;
  std::vector<std::string> problems_;
};

}  // namespace wherry::test

#pragma once
// The fleet manager's side of Batches: puts streams together again, and knows from `epoch`, `first`
// and `dropped` alone whether something is missing.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/mqtt_client.h"

namespace wherry::test {

// What the message says, decompressed where it says that it is compressed; "" where it is not so.
std::string plain_payload(const MqttMessage& message);

class BatchReceiver {
 public:
  struct Stream {
    std::map<uint64_t, nlohmann::json> records;  // by number
    uint64_t next = 1;                           // the first number not accounted for
    uint64_t dropped = 0;                        // announced
    uint64_t repeats = 0;                        // records that came again
  };

  // Decompresses and takes in one message; `problems()` grows where it does not fit.
  void take(const MqttMessage& message);
  // Every message of `client` so far on a topic that ends in a stream, but for those that were
  // taken before. Another client begins with start_over().
  void take_all(const MqttClient& client, const std::string& device_topic);

  void start_over() { taken_ = 0; }

  // By stream name and epoch, epochs in the order they appeared.
  const std::map<std::string, std::vector<std::pair<std::string, Stream>>>& streams() const {
    return streams_;
  }
  // The only epoch of `stream`; an empty one where nothing came. A problem where there are several.
  const Stream& only(const std::string& stream);
  // Records over all epochs.
  size_t count(const std::string& stream) const;
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  Stream& stream_of(const std::string& name, const std::string& epoch);

  std::map<std::string, std::vector<std::pair<std::string, Stream>>> streams_;
  std::vector<std::string> problems_;
  size_t taken_ = 0;
};

}  // namespace wherry::test

#pragma once
// configs/asyncapi.yaml and its JSON Schemas, as a judge of what was heard on the broker.

#include <string>
#include <vector>

#include "tests/support/mqtt_client.h"
#include "tests/support/schema_judge.h"

namespace wherry::test {

class AsyncApi {
 public:
  struct Channel {
    std::string name, address;  // address: with {root}, {id} …
    std::string schema;         // file in configs/
    bool from_device = false;
    int qos = 0;
    bool retained = false;
  };
  // Throws where the document has references that lead nowhere.
  AsyncApi();

  const std::vector<Channel>& channels() const { return channels_; }
  // Of a topic below `root`; null where it is none of the document's.
  const Channel* channel_of(const std::string& topic, const std::string& root) const;
  // One sentence for each message of the device that is not as the document says. What is sent to
  // it is judged as well where `both`: other tests send rubbish on purpose.
  std::vector<std::string> problems(const std::vector<MqttMessage>& messages,
                                    const std::string& root, bool both = false) const;
  void add(const std::vector<MqttMessage>& messages, const std::string& root, bool both,
           SchemaJudge& judge) const;

 private:
  std::vector<Channel> channels_;
};

}  // namespace wherry::test

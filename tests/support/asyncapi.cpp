#include "tests/support/asyncapi.h"

#include <stdexcept>

#include <yaml-cpp/yaml.h>

#include "base/text.h"
#include "tests/support/batch_receiver.h"

namespace wherry::test {
namespace {

const std::string kConfigs = std::string(WHERRY_SOURCE_DIR) + "/configs/";

// What "#/a/b" in a reference leads to.
YAML::Node resolve(const YAML::Node& document, YAML::Node node) {
  while (node.IsMap() && node["$ref"]) {
    const auto ref = node["$ref"].as<std::string>();
    if (!ref.starts_with("#/")) return node;
    YAML::Node at = YAML::Clone(document);
    for (const std::string& part : split(ref.substr(2), '/')) at.reset(at[part]);
    if (!at.IsDefined() || at.IsNull()) throw std::runtime_error(ref + " leads nowhere");
    node.reset(at);
  }
  return node;
}

}  // namespace

AsyncApi::AsyncApi() {
  const YAML::Node document = YAML::LoadFile(kConfigs + "asyncapi.yaml");
  std::map<std::string, YAML::Node> operations;
  for (const auto& operation : document["operations"]) {
    static_cast<void>(resolve(document, operation.second["channel"]));
    const auto channel = operation.second["channel"]["$ref"].as<std::string>();
    const std::string name = channel.substr(channel.rfind('/') + 1);
    if (!operations.emplace(name, operation.second).second) {
      throw std::runtime_error(name + " has two operations");
    }
  }
  for (const auto& entry : document["channels"]) {
    Channel channel;
    channel.name = entry.first.as<std::string>();
    channel.address = entry.second["address"].as<std::string>();
    for (const auto& parameter : entry.second["parameters"]) {
      static_cast<void>(resolve(document, parameter.second));
    }
    if (entry.second["messages"].size() != 1) throw std::runtime_error(channel.name + ": messages");
    const YAML::Node message = resolve(document, entry.second["messages"].begin()->second);
    const auto file = message["payload"]["schema"]["$ref"].as<std::string>();
    channel.schema = file.substr(2);  // "./"
    const auto operation = operations.find(channel.name);
    if (operation == operations.end()) throw std::runtime_error(channel.name + ": no operation");
    channel.from_device = operation->second["action"].as<std::string>() == "send";
    channel.qos = operation->second["bindings"]["mqtt"]["qos"].as<int>();
    channel.retained = operation->second["bindings"]["mqtt"]["retain"].as<bool>();
    channels_.push_back(std::move(channel));
  }
}

const AsyncApi::Channel* AsyncApi::channel_of(const std::string& topic,
                                              const std::string& root) const {
  if (!topic.starts_with(root + "/")) return nullptr;
  const std::vector<std::string> levels = split(topic.substr(root.size() + 1), '/');
  for (const Channel& channel : channels_) {
    std::vector<std::string> wanted = split(channel.address, '/');
    wanted.erase(wanted.begin());  // {root}
    bool same = wanted.size() == levels.size();
    for (size_t i = 0; same && i < wanted.size(); ++i) {
      // A bad request id, even an empty one, is answered where it was asked.
      const bool any = wanted[i] == "{request}" || !levels[i].empty();
      same = wanted[i].starts_with('{') ? any : wanted[i] == levels[i];
    }
    if (same) return &channel;
  }
  return nullptr;
}

void AsyncApi::add(const std::vector<MqttMessage>& messages, const std::string& root, bool both,
                   SchemaJudge& judge) const {
  for (const MqttMessage& message : messages) {
    const Channel* channel = channel_of(message.topic, root);
    if (channel == nullptr) {
      judge.complain(message.topic + " is no topic of the document");
      continue;
    }
    if ((!channel->from_device && !both) || message.payload.empty()) continue;
    // A broker hands on with at most the QoS of the subscription, which is 1 here.
    if (message.qos != channel->qos) judge.complain(message.topic + " has another QoS");
    judge.add(channel->schema, plain_payload(message), message.topic);
  }
}

std::vector<std::string> AsyncApi::problems(const std::vector<MqttMessage>& messages,
                                            const std::string& root, bool both) const {
  SchemaJudge judge;
  add(messages, root, both, judge);
  return judge.problems();
}

}  // namespace wherry::test

#include "tests/support/asyncapi.h"

#include <stdexcept>

#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "base/files.h"
#include "base/text.h"
#include "tests/support/batch_receiver.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using nlohmann::json;

const std::string kConfigs = std::string(WHERRY_SOURCE_DIR) + "/configs/";

constexpr const char* kJudge = R"(
import json, sys
from jsonschema import validators
checks = {}
def check(name):
    if name not in checks:
        schema = json.load(open(sys.argv[1] + name))
        kind = validators.validator_for(schema)
        kind.check_schema(schema)
        checks[name] = kind(schema)
    return checks[name]
def verdict(case):
    errors = sorted(check(case["schema"]).iter_errors(case["payload"]), key=lambda e: e.json_path)
    return "; ".join(e.json_path + ": " + e.message[:300] for e in errors[:3])
print(json.dumps([verdict(c) for c in json.load(open(sys.argv[2]))]))
)";

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
      same = wanted[i].starts_with('{') ? !levels[i].empty() : wanted[i] == levels[i];
    }
    if (same) return &channel;
  }
  return nullptr;
}

std::vector<std::string> AsyncApi::problems(const std::vector<MqttMessage>& messages,
                                            const std::string& root, bool both) const {
  std::vector<std::string> found;
  std::vector<SchemaCase> cases;
  std::vector<const MqttMessage*> judged;
  std::set<std::string> known;
  for (const MqttMessage& message : messages) {
    const Channel* channel = channel_of(message.topic, root);
    if (channel == nullptr) {
      found.push_back(message.topic + " is no topic of the document");
      continue;
    }
    if ((!channel->from_device && !both) || message.payload.empty()) continue;
    // A broker hands on with at most the QoS of the subscription, which is 1 here.
    if (message.qos != channel->qos) found.push_back(message.topic + " has another QoS");
    const std::string text = plain_payload(message);
    if (!known.insert(channel->schema + text).second) continue;
    if (!json::accept(text)) {
      found.push_back(message.topic + " is no JSON: " + printable(text));
      continue;
    }
    cases.push_back({channel->schema, text});
    judged.push_back(&message);
  }
  if (cases.empty()) return found;
  const std::vector<std::string> verdicts = judge_by_schema(cases);
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (verdicts[i].empty()) continue;
    found.push_back(judged[i]->topic + ": " + verdicts[i] + ": " + printable(cases[i].payload));
  }
  return found;
}

std::vector<std::string> judge_by_schema(const std::vector<SchemaCase>& cases) {
  json all = json::array();
  for (const SchemaCase& one : cases) {
    all.push_back({{"schema", one.schema}, {"payload", json::parse(one.payload)}});
  }
  const TempDir directory;
  const std::string path = directory / "cases.json";
  if (!write_file_atomic(path, all.dump())) throw std::runtime_error("cannot write " + path);
  return json::parse(run_ok({"python3", "-c", kJudge, kConfigs, path}));
}

}  // namespace wherry::test

#include "tests/support/simulated_fleet.h"

namespace wherry::test {

SimulatedFleet::SimulatedFleet(size_t devices, const std::string& broker_url,
                               std::vector<std::string> arguments) {
  ProcessOptions options;
  options.argv = {std::string(WHERRY_BIN_DIR) + "/wherry-simulate", std::to_string(devices),
                  "--broker", broker_url};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  process_ = std::make_unique<Process>(std::move(options));
}

std::string SimulatedFleet::id(size_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  return "sim-" + digits;
}

std::map<std::string, nlohmann::json> newest(const MqttClient& client, const std::string& below) {
  static constexpr std::string_view kDevices = "wherry/v1/devices/";
  std::map<std::string, nlohmann::json> all;
  for (const MqttMessage& message : client.messages()) {
    if (!message.topic.starts_with(kDevices) || !message.topic.ends_with("/" + below)) continue;
    const std::string id = message.topic.substr(
        kDevices.size(), message.topic.size() - kDevices.size() - below.size() - 1);
    all[id] = nlohmann::json::parse(message.payload, nullptr, false);
  }
  return all;
}

}  // namespace wherry::test

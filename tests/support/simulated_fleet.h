#pragma once
// wherry-simulate as a process, and what a fleet manager sees of its devices.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/mqtt_client.h"
#include "tests/support/process.h"

namespace wherry::test {

// Ids are sim-0001 and so on. Make it on the main thread.
class SimulatedFleet {
 public:
  SimulatedFleet(size_t devices, const std::string& broker_url,
                 std::vector<std::string> arguments = {});

  Process& process() { return *process_; }
  static std::string id(size_t number);  // from 1
  static std::string topic(size_t number, const std::string& below) {
    return "wherry/v1/devices/" + id(number) + "/" + below;
  }

 private:
  std::unique_ptr<Process> process_;
};

// The newest payload of each topic that ends in `below`, as JSON by device id.
std::map<std::string, nlohmann::json> newest(const MqttClient& client, const std::string& below);

}  // namespace wherry::test

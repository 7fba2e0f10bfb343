#include "runtime/network/applied_services.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "runtime/network/pod_record.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

Json to_json(const ServiceForward& forward) {
  Json endpoints = Json::array();
  for (const ServiceEndpoint& each : forward.endpoints) {
    endpoints.push_back({{"pod", each.pod}, {"ip", each.ip}, {"port", each.port}});
  }
  return {{"protocol", static_cast<int>(forward.protocol)},
          {"port", forward.port},
          {"nodePort", forward.node_port},
          {"endpoints", std::move(endpoints)}};
}

Json to_json(const ServiceRules& rules) {
  Json ports = Json::array(), names = Json::array();
  for (const ServiceForward& port : rules.ports) ports.push_back(to_json(port));
  for (const ServiceName& name : rules.names) {
    names.push_back({{"ip", name.ip}, {"names", name.names}});
  }
  return {{"name", rules.name},
          {"address", rules.address},
          {"affinity", rules.affinity_seconds},
          {"keepClient", rules.keep_client},
          {"ports", std::move(ports)},
          {"names", std::move(names)}};
}

ServiceForward forward_from(const Json& json) {
  ServiceForward forward;
  forward.protocol = static_cast<Protocol>(json.at("protocol").get<int>());
  forward.port = json.at("port").get<uint16_t>();
  forward.node_port = json.at("nodePort").get<uint16_t>();
  for (const Json& each : json.at("endpoints")) {
    forward.endpoints.push_back({each.at("pod").get<std::string>(),
                                 each.at("ip").get<std::string>(),
                                 each.at("port").get<uint16_t>()});
  }
  return forward;
}

ServiceRules rules_from(const Json& json) {
  ServiceRules rules;
  rules.name = json.at("name").get<std::string>();
  rules.address = json.at("address").get<std::string>();
  rules.affinity_seconds = json.at("affinity").get<int>();
  rules.keep_client = json.at("keepClient").get<bool>();
  for (const Json& port : json.at("ports")) rules.ports.push_back(forward_from(port));
  for (const Json& name : json.at("names")) {
    rules.names.push_back(
        {name.at("ip").get<std::string>(), name.at("names").get<std::vector<std::string>>()});
  }
  return rules;
}

}  // namespace

Status write_applied(const std::string& path, const std::vector<ServiceRules>& services) {
  Json json = Json::array();
  for (const ServiceRules& rules : services) json.push_back(to_json(rules));
  return write_volatile(path, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<std::vector<ServiceRules>> read_applied(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return fail(text.error());
  try {
    std::vector<ServiceRules> services;
    for (const Json& each : Json::parse(*text)) services.push_back(rules_from(each));
    return services;
  } catch (const Json::exception& error) {
    return fail(Code::DataLoss, path + " does not say what Services led to: " + error.what());
  }
}

}  // namespace wherry::runtime

#include "runtime/network/pod_record.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/files.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

Json to_json(const PortMapping& port) {
  return {{"hostPort", port.host_port},
          {"containerPort", port.container_port},
          {"protocol", static_cast<int>(port.protocol)},
          {"hostIP", port.host_ip}};
}

PortMapping port_from(const Json& json) {
  PortMapping port;
  port.host_port = json.at("hostPort").get<uint16_t>();
  port.container_port = json.at("containerPort").get<uint16_t>();
  port.protocol = static_cast<Protocol>(json.at("protocol").get<int>());
  port.host_ip = json.at("hostIP").get<std::string>();
  return port;
}

}  // namespace

Status write_volatile(const std::string& path, const std::string& text) {
  const std::string temporary = path + kUnfinishedSuffix;
  const auto failed = [&path] {
    const int error = errno;
    return fail(error == ENOSPC ? Code::ResourceExhausted : Code::Internal,
                "write " + path + ": " + std::strerror(error));
  };
  {
    const Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.valid()) return failed();
    if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return failed();
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return failed();
  return {};
}

Status write_record(const std::string& path, const PodRecord& record) {
  Json json = {{"containerId", record.container_id},
               {"netns", record.netns},
               {"list", record.list},
               {"ports", Json::array()},
               {"result", record.result},
               {"ip", record.ip}};
  for (const PortMapping& port : record.ports) json["ports"].push_back(to_json(port));
  return write_volatile(path, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<PodRecord> read_record(const std::string& path) {
  const Result<std::string> text = read_file(path, 4 << 20);
  if (!text) return fail(text.error());
  try {
    const Json json = Json::parse(*text);
    PodRecord record;
    record.container_id = json.at("containerId").get<std::string>();
    record.netns = json.at("netns").get<std::string>();
    record.list = json.at("list").get<std::string>();
    for (const Json& port : json.at("ports")) record.ports.push_back(port_from(port));
    record.result = json.at("result").get<std::string>();
    record.ip = json.at("ip").get<std::string>();
    return record;
  } catch (const Json::exception& error) {
    return fail(Code::DataLoss, path + " is no record of a network: " + error.what());
  }
}

}  // namespace wherry::runtime

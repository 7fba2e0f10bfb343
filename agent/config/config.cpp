#include "agent/config/config.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <unistd.h>

#include "agent/config/device_id.h"
#include "agent/config/keys.h"
#include "agent/config/patterns.h"
#include "agent/config/reader.h"

namespace wherry {
namespace {

struct DropIns {
  std::vector<std::string> files;
  std::vector<ConfigIssue> errors;
};

// <dir of file>/wherry.d/*.yaml in byte order of their names.
DropIns find_drop_ins(const std::string& file) {
  DropIns found;
  const size_t slash = file.rfind('/');
  const std::string directory =
      (slash == std::string::npos ? std::string() : file.substr(0, slash + 1)) + "wherry.d";
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(opendir(directory.c_str()), closedir);
  if (handle == nullptr) {
    if (errno != ENOENT) found.errors.push_back({directory, 0, std::strerror(errno)});
    return found;
  }
  while (const dirent* entry = readdir(handle.get())) {
    const std::string name = entry->d_name;
    if (name.front() == '.' || entry->d_type == DT_DIR) continue;
    const std::string path = directory + "/" + name;
    if (name.ends_with(".yaml")) found.files.push_back(path);
    if (name.ends_with(".yml")) {
      found.errors.push_back({path, 0, "is not read; rename it to end in .yaml"});
    }
  }
  std::sort(found.files.begin(), found.files.end());
  return found;
}

}  // namespace

std::string Config::Network::services() const {
  const bool given = service_subnet != Network().service_subnet;
  if (given || !config::networks_overlap(bridge_subnet, service_subnet)) return service_subnet;
  return "172.30.0.0/16";
}

std::string to_string(const ConfigIssue& issue) {
  if (issue.file.empty()) return issue.message;  // of several together
  std::string text = issue.file;
  if (issue.line > 0) text += ":" + std::to_string(issue.line);
  return text + ": " + issue.message;
}

ConfigResult load_config(const std::string& file, const std::vector<std::string>& sets,
                         bool file_may_be_missing, const std::string& machine_id_file) {
  ConfigResult result;
  Config& config = result.config;
  config::Reader reader(config, result.errors);
  if (!file_may_be_missing || access(file.c_str(), F_OK) == 0) reader.read_file(file);
  DropIns drop_ins = find_drop_ins(file);
  for (const std::string& path : drop_ins.files) reader.read_file(path);
  for (ConfigIssue& issue : drop_ins.errors) result.errors.push_back(std::move(issue));
  for (const std::string& set : sets) reader.read_set(set);
  reader.check_whole();

  if (config.device.id.empty()) {
    Result<std::string> id = config::device_id_from(machine_id_file);
    if (id) {
      config.device.id = *std::move(id);
    } else {
      result.errors.push_back(
          {file, 0,
           "device.id is not set and cannot be derived (" + id.error().full() + "); set it"});
    }
  }
  if (config.mqtt.client_id.empty()) config.mqtt.client_id = config.device.id;
  return result;
}

std::vector<ConfigChange> config_changes(const Config& before, const Config& after) {
  std::vector<ConfigChange> changes;
  for (const config::Key& key : config::keys()) {
    if (key.show(before) != key.show(after)) {
      changes.push_back({std::string(key.path), key.applies != config::Applies::Reload});
    }
  }
  return changes;
}

std::string pin_file_of(const std::string& key_file) {
  constexpr std::string_view kSource = "?pin-source=file:";
  const size_t at = key_file.starts_with("pkcs11:") ? key_file.find(kSource) : std::string::npos;
  return at == std::string::npos ? std::string() : key_file.substr(at + kSource.size());
}

Config reloaded_config(Config running, Config fresh) {
  for (const config::Key& key : config::keys()) {
    if (key.applies != config::Applies::Reload) continue;
    const config::Slot from = key.slot(fresh);
    std::visit([&](auto* to) { *to = *std::get<decltype(to)>(from); }, key.slot(running));
  }
  return running;
}

}  // namespace wherry

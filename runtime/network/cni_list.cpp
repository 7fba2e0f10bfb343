#include "runtime/network/cni_list.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 5> kVersions = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
// 0.4.0 is the newest that the plugins of older distributions understand too.
constexpr const char* kOwnVersion = "0.4.0";

bool has_text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() &&
         !found->get_ref<const std::string&>().empty();
}

Status check_plugin(const Json& plugin) {
  if (!plugin.is_object() || !has_text(plugin, "type")) {
    return fail(Code::InvalidArgument, "a plugin without type");
  }
  const std::string& type = plugin["type"].get_ref<const std::string&>();
  if (type.find('/') != std::string::npos || type == "..") {
    return fail(Code::InvalidArgument, "plugin type \"" + type + "\" is a path");
  }
  return {};
}

Result<std::vector<std::string>> configuration_files(const std::string& directory) {
  std::vector<std::string> files;
  DIR* open = opendir(directory.c_str());
  if (open == nullptr) {
    if (errno == ENOENT) return files;
    return fail(Code::Internal, "open " + directory + ": " + std::strerror(errno));
  }
  while (const dirent* entry = readdir(open)) {
    const std::string_view name(entry->d_name);
    if (name.ends_with(".conflist") || name.ends_with(".conf") || name.ends_with(".json")) {
      files.emplace_back(name);
    }
  }
  closedir(open);
  std::sort(files.begin(), files.end());
  return files;
}

// Late in the alphabet, so that any list an administrator adds comes first.
std::string own_file_name(const NetworkOptions& options) {
  return "87-" + options.bridge_name + ".conflist";
}

Result<std::string> write_own(const NetworkOptions& options) {
  const std::string path = options.cni_conf_dir + "/" + own_file_name(options);
  if (Status made = make_directories(options.cni_conf_dir); !made) return fail(made.error());
  const std::string list = default_network_list(options);
  const Status written = write_file_atomic(path, Json::parse(list).dump(2) + "\n");
  if (!written) return fail(written.error());
  log_info("wrote a CNI list, as the device had none", {{"file", path}});
  return list;
}

}  // namespace

Result<std::string> parse_network_list(const std::string& text) {
  Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_object()) return fail(Code::InvalidArgument, "no JSON object");
  if (!has_text(list, "name")) return fail(Code::InvalidArgument, "no name");
  if (!has_text(list, "cniVersion")) return fail(Code::InvalidArgument, "no cniVersion");
  const std::string& version = list["cniVersion"].get_ref<const std::string&>();
  if (std::find(kVersions.begin(), kVersions.end(), version) == kVersions.end()) {
    return fail(Code::InvalidArgument, "cniVersion " + version + " is not supported");
  }
  if (!list.contains("plugins")) {
    list = {{"name", list["name"]}, {"cniVersion", version}, {"plugins", Json::array({list})}};
  }
  const Json& plugins = list["plugins"];
  if (!plugins.is_array() || plugins.empty()) return fail(Code::InvalidArgument, "no plugins");
  for (const Json& plugin : plugins) {
    if (Status ok = check_plugin(plugin); !ok) return fail(ok.error());
  }
  return list.dump();
}

Result<std::string> load_network_list(const NetworkOptions& options) {
  const Result<NetworkList> found = find_network_list(options);
  if (!found) return fail(found.error());
  for (const std::string& each : found->passed_over) {
    log_warn("passed over a CNI configuration", {{"error", each}});
  }
  return found->file.empty() ? write_own(options) : found->list;
}

Result<NetworkList> find_network_list(const NetworkOptions& options) {
  const Result<std::vector<std::string>> files = configuration_files(options.cni_conf_dir);
  if (!files) return fail(files.error());
  NetworkList ours{default_network_list(options), "", {}};
  Status problem;
  for (const std::string& file : *files) {
    const std::string path = options.cni_conf_dir + "/" + file;
    const Result<std::string> text = read_file(path, 1 << 20);
    Result<std::string> list = text ? parse_network_list(*text) : text;
    // Ours follows the configuration: another subnet takes effect with the next Pod.
    if (file == own_file_name(options) && (!list || *list != ours.list)) return ours;
    if (list) return NetworkList{*list, path, ours.passed_over};
    problem = fail(list.error(), "CNI configuration " + path);
    ours.passed_over.push_back(path + ": " + list.error().full());
  }
  if (!problem) return fail(problem.error());
  return ours;
}

std::string default_network_list(const NetworkOptions& options) {
  const Json range = {{"subnet", options.bridge_subnet}};
  const Json route = {{"dst", "0.0.0.0/0"}};
  const Json bridge = {{"type", "bridge"},
                       {"bridge", options.bridge_name},
                       {"isGateway", true},
                       {"ipMasq", true},
                       {"hairpinMode", true},
                       {"ipam",
                        {{"type", "host-local"},
                         // Gone after a reboot, as the namespaces are that hold the addresses.
                         {"dataDir", options.run_dir + "/ipam"},
                         {"ranges", Json::array({Json::array({range})})},
                         {"routes", Json::array({route})}}}};
  const Json portmap = {{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}};
  return Json({{"cniVersion", kOwnVersion},
               {"name", options.bridge_name},
               {"plugins", Json::array({bridge, portmap})}})
      .dump();
}

std::vector<std::string> bridges_of(const std::string& list) {
  std::vector<std::string> bridges;
  const Json parsed = Json::parse(list, nullptr, false);
  if (!parsed.is_object()) return bridges;
  for (const Json& plugin : parsed["plugins"]) {
    if (plugin["type"] != "bridge") continue;
    bridges.push_back(has_text(plugin, "bridge") ? plugin["bridge"].get<std::string>() : "cni0");
  }
  return bridges;
}

bool has_capability(const std::string& list, const std::string& capability) {
  const Json parsed = Json::parse(list, nullptr, false);
  if (!parsed.is_object()) return false;
  for (const Json& plugin : parsed["plugins"]) {
    const auto found = plugin.find("capabilities");
    if (found != plugin.end() && found->is_object() && found->contains(capability) &&
        (*found)[capability] == true) {
      return true;
    }
  }
  return false;
}

}  // namespace wherry::runtime

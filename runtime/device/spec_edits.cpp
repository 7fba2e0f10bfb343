#include "runtime/device/spec_edits.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <nlohmann/json.hpp>

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr const char* kAll = "rwm";

Json& list_in(Json& object, const char* name) {
  Json& list = object[name];
  if (!list.is_array()) list = Json::array();
  return list;
}

void remove_equal(Json& list, const char* field, const std::string& value) {
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const Json& each) {
                              const auto found = each.find(field);
                              return found != each.end() && *found == value;
                            }),
             list.end());
}

void set_variable(Json& spec, const std::string& entry) {
  Json& env = list_in(spec["process"], "env");
  const std::string name = entry.substr(0, entry.find('=') + 1);
  for (Json& each : env) {
    if (!each.is_string() || !each.get_ref<const std::string&>().starts_with(name)) continue;
    each = entry;
    return;
  }
  env.push_back(entry);
}

uint32_t id_of_process(const Json& spec, const char* which) {
  const auto& user = spec.at("process").at("user");
  const auto found = user.find(which);
  return found == user.end() ? 0 : found->get<uint32_t>();
}

// Its specification says all of it: the host need not have it.
bool is_whole(const CdiNode& node) {
  return node.type == "p" || (!node.type.empty() && node.major && node.minor);
}

const std::string& host_path(const CdiNode& node) {
  return node.host_path.empty() ? node.path : node.host_path;
}

Status add_cdi_node(const CdiNode& node, Json& spec) {
  NodeFacts facts;
  if (!is_whole(node)) {
    const std::string& host = host_path(node);
    auto read = read_node(host);
    if (!read) return fail(read.error().with_reason("WaitingForDevice"));
    if (!node.type.empty() && node.type[0] != read->type && node.type != "u") {
      return fail(Code::FailedPrecondition, host + " is a device of another type than " + node.type,
                  "CreateContainerConfigError");
    }
    facts = *read;
  } else {
    facts.mode = 0666;
  }
  if (!node.type.empty()) facts.type = node.type[0];
  if (node.major) facts.major = *node.major;
  if (node.minor) facts.minor = *node.minor;
  if (node.file_mode) facts.mode = *node.file_mode;
  // So that a process of another user than root can open what it is given.
  const uint32_t uid = id_of_process(spec, "uid"), gid = id_of_process(spec, "gid");
  facts.uid = node.uid.value_or(uid > 0 ? uid : facts.uid);
  facts.gid = node.gid.value_or(gid > 0 ? gid : facts.gid);
  add_node(spec, node.path, facts, node.permissions.empty() ? kAll : node.permissions);
  return {};
}

void add_mount(const CdiMount& mount, Json& spec) {
  Json& mounts = list_in(spec, "mounts");
  remove_equal(mounts, "destination", mount.container_path);
  Json made{{"destination", mount.container_path},
            {"source", mount.host_path},
            {"options", mount.options}};
  const auto is_bind = [](const std::string& option) {
    return option == "bind" || option == "rbind";
  };
  const bool bind = std::any_of(mount.options.begin(), mount.options.end(), is_bind);
  if (mount.type.empty() && !bind) list_in(made, "options").push_back("rbind");
  made["type"] = mount.type.empty() ? "bind" : mount.type;
  mounts.push_back(std::move(made));
}

void add_hook(const CdiHook& hook, Json& spec) {
  Json made{{"path", hook.path}};
  if (!hook.args.empty()) made["args"] = hook.args;
  if (!hook.env.empty()) made["env"] = hook.env;
  if (hook.timeout) made["timeout"] = *hook.timeout;
  list_in(spec["hooks"], hook.name.c_str()).push_back(std::move(made));
}

void add_group(uint32_t gid, Json& spec) {
  Json& groups = list_in(spec["process"]["user"], "additionalGids");
  if (gid != 0 && std::find(groups.begin(), groups.end(), gid) == groups.end()) {
    groups.push_back(gid);
  }
  if (groups.empty()) spec["process"]["user"].erase("additionalGids");
}

// What lies below another mount comes after it.
void sort_mounts(Json& spec) {
  Json& mounts = spec["mounts"];
  const auto depth = [](const Json& mount) {
    const auto& path = mount.at("destination").get_ref<const std::string&>();
    return path == "/" ? 0 : std::count(path.begin(), path.end(), '/');
  };
  std::stable_sort(mounts.begin(), mounts.end(),
                   [&](const Json& a, const Json& b) { return depth(a) < depth(b); });
}

}  // namespace

std::string NodeFacts::number() const {
  return std::string(1, type) + " " + std::to_string(major) + ":" + std::to_string(minor);
}

Result<NodeFacts> read_node(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    return fail(missing ? Code::NotFound : Code::Internal, path + ": " + std::strerror(errno));
  }
  NodeFacts facts;
  if (S_ISBLK(info.st_mode)) {
    facts.type = 'b';
  } else if (S_ISFIFO(info.st_mode)) {
    facts.type = 'p';
  } else if (!S_ISCHR(info.st_mode)) {
    return fail(Code::InvalidArgument, path + " is no device node");
  }
  facts.major = major(info.st_rdev);
  facts.minor = minor(info.st_rdev);
  facts.mode = info.st_mode & 07777;
  facts.uid = info.st_uid;
  facts.gid = info.st_gid;
  return facts;
}

void add_node(Json& spec, const std::string& path, const NodeFacts& facts,
              const std::string& permissions) {
  Json& linux_part = spec["linux"];
  Json& devices = list_in(linux_part, "devices");
  remove_equal(devices, "path", path);
  const std::string type(1, facts.type);
  Json node{{"path", path},
            {"type", type},
            {"fileMode", facts.mode},
            {"uid", facts.uid},
            {"gid", facts.gid}};
  if (facts.type != 'p') {
    node["major"] = facts.major;
    node["minor"] = facts.minor;
  }
  devices.push_back(std::move(node));
  if (facts.type == 'p') return;
  // The unbuffered type is a matter of the node; the cgroup knows characters and blocks.
  list_in(linux_part["resources"], "devices")
      .push_back({{"allow", true},
                  {"type", facts.type == 'b' ? "b" : "c"},
                  {"major", facts.major},
                  {"minor", facts.minor},
                  {"access", permissions}});
}

std::string missing_node(const CdiEdits& edits) {
  for (const CdiNode& node : edits.nodes) {
    if (is_whole(node)) continue;
    const auto read = read_node(host_path(node));
    if (!read && read.error().code() == Code::NotFound) return host_path(node);
  }
  return {};
}

Status apply_edits(const CdiEdits& edits, Json& spec) {
  for (const std::string& entry : edits.env) set_variable(spec, entry);
  for (const CdiNode& node : edits.nodes) {
    if (Status added = add_cdi_node(node, spec); !added) return added;
  }
  for (const CdiMount& mount : edits.mounts) add_mount(mount, spec);
  if (!edits.mounts.empty()) sort_mounts(spec);
  for (const CdiHook& hook : edits.hooks) add_hook(hook, spec);
  for (const uint32_t gid : edits.additional_gids) add_group(gid, spec);
  return {};
}

}  // namespace wherry::runtime

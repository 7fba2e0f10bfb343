#include "runtime/network/host_footprint.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/run_process.h"
#include "runtime/network/bridge.h"
#include "runtime/network/pod_record.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 2> kFilters = {"iptables", "ip6tables"};

// The state: {"bridges": {name: made by us}, "chains": {"iptables": made by us, …}}.
Json read_state(const std::string& path) {
  const Result<std::string> text = read_file(path);
  Json state = text ? Json::parse(*text, nullptr, false) : Json();
  if (!state.is_object()) state = Json::object();
  for (const char* part : {"bridges", "chains"}) {
    if (!state[part].is_object()) state[part] = Json::object();
  }
  return state;
}

// Empty where the tool is missing: then plugins cannot have used it.
std::string save(const std::string& filter) {
  ProcessCall call;
  call.program = filter + "-save";
  call.args = {"-t", "nat"};
  call.deadline = std::chrono::seconds(10);
  const Result<ProcessResult> saved = run_process(call, {});
  return saved && saved->exit_code == 0 ? saved->output : "";
}

Status clean(const std::string& filter, const std::string& id_suffix, bool host_port_chains) {
  const std::string plan = plan_iptables_cleanup(save(filter), id_suffix, host_port_chains);
  if (plan.empty()) return {};
  ProcessCall call;
  call.program = filter + "-restore";
  call.args = {"--noflush", "--wait", "5"};
  call.input = plan;
  call.deadline = std::chrono::seconds(10);
  const Result<ProcessResult> done = run_process(call, {});
  if (!done) return fail(done.error());
  if (done->exit_code == 0) return {};
  return fail(Code::Unavailable, call.program + ": " + done->errors);
}

}  // namespace

HostFootprint::HostFootprint(std::string state_path, std::string id_suffix)
    : state_path_(std::move(state_path)), id_suffix_(std::move(id_suffix)) {}

Status HostFootprint::remember(const std::vector<std::string>& bridges, bool host_ports) {
  Json state = read_state(state_path_);
  const Json before = state;
  for (const std::string& bridge : bridges) {
    if (state["bridges"].contains(bridge)) continue;
    state["bridges"][bridge] = !device_exists(bridge);
  }
  if (host_ports && state["chains"].empty()) {
    for (const char* filter : kFilters) {
      state["chains"][filter] = save(filter).find(":CNI-HOSTPORT-DNAT ") == std::string::npos;
    }
  }
  if (state == before) return {};
  return write_volatile(state_path_, state.dump());
}

Status HostFootprint::restore() {
  if (access(state_path_.c_str(), F_OK) != 0) return {};
  const Json state = read_state(state_path_);
  Status result;
  for (const char* filter : kFilters) {
    const bool ours = state["chains"].value(filter, false);
    // Rules of single containers are normally gone by now, for host ports or not; only IPv4 is
    // masqueraded where no Pod had host ports.
    if (state["chains"].empty() && std::string_view(filter) != "iptables") continue;
    if (Status cleaned = clean(filter, id_suffix_, ours); !cleaned) result = cleaned;
  }
  for (const auto& [bridge, ours] : state["bridges"].items()) {
    if (ours != true) continue;
    if (Status removed = remove_unused_bridge(bridge); !removed) result = removed;
  }
  if (!result) return result;
  if (unlink(state_path_.c_str()) != 0 && errno != ENOENT) {
    return fail(Code::Internal, "delete " + state_path_ + ": " + std::strerror(errno));
  }
  return {};
}

}  // namespace wherry::runtime

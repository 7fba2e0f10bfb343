#include "runtime/network/cni_plugins.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/run_process.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr int kTryAgainLater = 11;  // CNI specification, error codes

const char* protocol_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::Tcp:
      return "tcp";
    case Protocol::Udp:
      return "udp";
    case Protocol::Sctp:
      return "sctp";
  }
  return "tcp";
}

Json port_mappings(const std::vector<PortMapping>& ports) {
  Json list = Json::array();
  for (const PortMapping& port : ports) {
    Json entry = {{"hostPort", port.host_port},
                  {"containerPort", port.container_port},
                  {"protocol", protocol_name(port.protocol)}};
    if (!port.host_ip.empty()) entry["hostIP"] = port.host_ip;
    list.push_back(std::move(entry));
  }
  return list;
}

// portmap without ports only repeats its input; starting it would cost milliseconds.
bool has_nothing_to_do(const Json& plugin, const CniAttachment& attachment) {
  return plugin["type"] == "portmap" && attachment.ports.empty();
}

// Section 3: the plugin's configuration, with name, version, capability arguments and what the
// plugin before it said.
Json request_of(const Json& list, Json plugin, const CniAttachment& attachment,
                const Json& previous) {
  plugin["name"] = list["name"];
  plugin["cniVersion"] = list["cniVersion"];
  if (const auto found = plugin.find("capabilities"); found != plugin.end()) {
    const bool wants_ports = found->is_object() && found->value("portMappings", false);
    if (wants_ports && !attachment.ports.empty()) {
      plugin["runtimeConfig"]["portMappings"] = port_mappings(attachment.ports);
    }
    plugin.erase("capabilities");
  }
  if (!previous.is_null()) plugin["prevResult"] = previous;
  return plugin;
}

// Plugins look for the chains they share, then make them: whoever comes second at the same moment
// fails, here in the words of iptables on nftables and on the older tables.
bool met_another(const std::string& message) {
  return message.find("CHAIN_USER_ADD failed (File exists)") != std::string::npos ||
         message.find("Chain already exists") != std::string::npos;
}

Error plugin_error(const std::string& type, const ProcessResult& process) {
  const Json answer = Json::parse(process.output, nullptr, false);
  std::string message = "CNI plugin " + type + ": ";
  if (!answer.is_object() || !answer.contains("code")) {
    const std::string_view said = trim(process.errors.empty() ? process.output : process.errors);
    message += said.empty() ? "exit code " + std::to_string(process.exit_code) : std::string(said);
    return {Code::Internal, message};
  }
  const auto text = [&answer](const char* name) {
    const auto found = answer.find(name);
    return found != answer.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  message += text("msg");
  if (const std::string details = text("details"); !details.empty())
    message += " (" + details + ")";
  if (met_another(message)) return {Code::AlreadyExists, message};
  const bool later = answer["code"] == kTryAgainLater;
  return {later ? Code::Unavailable : Code::Internal, message};
}

Result<std::string> run_plugin(const Json& request, const char* command,
                               const CniAttachment& attachment, const CancelToken& cancel) {
  const std::string type = request["type"].get<std::string>();
  ProcessCall call;
  call.program = attachment.bin_dir + "/" + type;
  call.env = {std::string("CNI_COMMAND=") + command, "CNI_CONTAINERID=" + attachment.container_id,
              "CNI_NETNS=" + attachment.netns, "CNI_IFNAME=" + attachment.interface,
              "CNI_PATH=" + attachment.bin_dir};
  call.input = request.dump();
  call.held_fd = attachment.held_fd;
  const Result<ProcessResult> process = run_process(call, cancel);
  if (!process && process.error().code() == Code::NotFound) {
    return fail(Code::FailedPrecondition, "CNI plugin " + type + " is not in " +
                                              attachment.bin_dir +
                                              ": install it or set network.cni_bin_dir");
  }
  if (!process) return fail(process.error(), "CNI plugin " + type);
  if (process->exit_code != 0) return fail(plugin_error(type, *process));
  return process->output;
}

// Section 5 (and 0.3.1 and 0.4.0 alike): `ips` holds the addresses that were given out.
std::string of_first_ip(const std::string& result, const char* field) {
  const Json parsed = Json::parse(result, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("ips") || !parsed["ips"].is_array()) return {};
  for (const Json& ip : parsed["ips"]) {
    if (!ip.is_object() || !ip.contains("address") || !ip["address"].is_string()) continue;
    return ip.contains(field) && ip[field].is_string() ? ip[field].get<std::string>() : "";
  }
  return {};
}

// Section 4, DEL: prevResult came with 0.4.0.
bool del_takes_result(const std::string& version) { return !version.starts_with("0.3."); }

}  // namespace

Result<std::string> cni_add(const CniAttachment& attachment, const CancelToken& cancel) {
  const Json list = Json::parse(attachment.list, nullptr, false);
  Json result;
  for (const Json& plugin : list["plugins"]) {
    if (has_nothing_to_do(plugin, attachment)) continue;
    const Result<std::string> output =
        run_plugin(request_of(list, plugin, attachment, result), "ADD", attachment, cancel);
    if (!output) return output;
    result = Json::parse(*output, nullptr, false);
    const std::string type = plugin["type"].get<std::string>();
    if (!result.is_object()) {
      return fail(Code::Internal, "CNI plugin " + type + " gave no result");
    }
    if (Status ok = failpoint("network.setup.added-" + type); !ok) return fail(ok.error());
  }
  return result.dump();
}

Status cni_del(const CniAttachment& attachment, const std::string& result) {
  const Json list = Json::parse(attachment.list, nullptr, false);
  if (!list.is_object()) return fail(Code::InvalidArgument, "no CNI list to detach with");
  Json previous = result.empty() ? Json() : Json::parse(result, nullptr, false);
  if (!previous.is_object() || !del_takes_result(list["cniVersion"])) previous = Json();
  Status first;
  const Json& plugins = list["plugins"];
  for (auto plugin = plugins.rbegin(); plugin != plugins.rend(); ++plugin) {
    if (has_nothing_to_do(*plugin, attachment)) continue;
    const Result<std::string> done =
        run_plugin(request_of(list, *plugin, attachment, previous), "DEL", attachment, {});
    if (!done && first) first = fail(done.error());
    const std::string type = (*plugin)["type"].get<std::string>();
    if (Status ok = failpoint("network.teardown.deleted-" + type); !ok) return ok;
  }
  return first;
}

std::string first_address(const std::string& result) {
  const std::string address = of_first_ip(result, "address");
  return address.substr(0, address.find('/'));
}

std::string first_gateway(const std::string& result) { return of_first_ip(result, "gateway"); }

}  // namespace wherry::runtime

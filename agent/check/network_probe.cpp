// What Pods are wired with: CNI plugins, iptables; and whether names can be resolved.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <netdb.h>
#include <set>

#include <nlohmann/json.hpp>

#include "agent/check/probes.h"
#include "agent/fleet/broker_url.h"
#include "base/files.h"
#include "base/run_process.h"
#include "base/text.h"
#include "runtime/network/cni_list.h"

namespace wherry::check {
namespace {

using Json = nlohmann::json;

constexpr const char* kCni = "cni";
constexpr const char* kIptables = "iptables";
constexpr const char* kDns = "dns";
constexpr Duration kProgramWithin = std::chrono::seconds(5);

// The plugins of a list, and those that they call for addresses, in the order of the list.
std::vector<std::string> plugins_of(const Json& list) {
  std::vector<std::string> types;
  const auto add = [&types](const Json& holder) {
    const auto type = holder.find("type");
    if (type == holder.end() || !type->is_string()) return;
    if (std::find(types.begin(), types.end(), *type) == types.end()) types.push_back(*type);
  };
  for (const Json& plugin : list["plugins"]) {
    add(plugin);
    const auto ipam = plugin.find("ipam");
    if (ipam != plugin.end() && ipam->is_object()) add(*ipam);
  }
  return types;
}

struct PluginVersion {
  std::string program;              // "v1.1.1"; empty where it does not say
  std::set<std::string> supported;  // versions of the specification
};

// CNI specification, section 4, VERSION; and what the reference plugins say of themselves without a
// command.
Result<PluginVersion> ask_plugin(const std::string& path, const CancelToken& cancel) {
  ProcessCall call;
  call.program = path;
  call.deadline = kProgramWithin;
  call.env = {"CNI_COMMAND=VERSION"};
  call.input = R"({"cniVersion":"0.4.0"})";
  const auto answer = run_process(call, cancel);
  if (!answer) return fail(answer.error());
  const Json json = Json::parse(answer->output, nullptr, false);
  PluginVersion version;
  if (json.is_object() && json.contains("supportedVersions")) {
    for (const Json& each : json["supportedVersions"]) {
      if (each.is_string()) version.supported.insert(each.get<std::string>());
    }
  }
  if (version.supported.empty()) {
    return fail(Code::Internal, "it does not answer as a CNI plugin: " +
                                    printable(trim(answer->output + answer->errors)));
  }
  call.env.clear();
  call.input.clear();
  const auto told = run_process(call, cancel);
  const std::string text = told ? told->output + told->errors : "";
  for (size_t at = text.find(" v"); at != std::string::npos; at = text.find(" v", at + 1)) {
    if (at + 2 >= text.size() || text[at + 2] < '0' || text[at + 2] > '9') continue;
    version.program =
        printable(text.substr(at + 1, text.find_first_of(" \n", at + 1) - at - 1), 40);
    break;
  }
  return version;
}

Finding look_at_plugin(const std::string& type, const std::string& directory,
                       const std::string& wanted, const CancelToken& cancel) {
  const std::string path = directory + "/" + type;
  if (find_helper(path).empty()) {
    return failed(
        kCni, type, "there is no such program in " + directory,
        "apt install containernetworking-plugins, or set network.cni_bin_dir to where they are");
  }
  const auto version = ask_plugin(path, cancel);
  if (!version) {
    return failed(kCni, type, version.error().full(),
                  "install another " + path + ": it must be for this processor");
  }
  const std::vector<std::string> all(version->supported.begin(), version->supported.end());
  const std::string seen = (version->program.empty() ? "" : version->program + ", ") +
                           "for versions " + join(all, ", ") + " of the specification";
  if (version->supported.contains(wanted)) return ok(kCni, type, seen);
  return failed(
      kCni, type, seen,
      "install newer plugins, or set cniVersion of the network's list, which is " + wanted);
}

Result<std::string> run(const std::string& program, std::vector<std::string> args,
                        const CancelToken& cancel) {
  ProcessCall call;
  call.program = program;
  call.args = std::move(args);
  call.deadline = kProgramWithin;
  const auto done = run_process(call, cancel);
  if (!done) return fail(done.error());
  if (done->exit_code == 0) return done->output;
  return fail(Code::Internal, program + ": " + printable(trim(done->errors), 300));
}

// "DROP" where the line ":FORWARD DROP [0:0]" of the filter table says so.
bool drops_forwarded(const std::string& saved) {
  const size_t table = saved.find("*filter");
  return table != std::string::npos && saved.find(":FORWARD DROP", table) != std::string::npos;
}

// The names among the brokers, each once.
std::vector<std::string> names_of(const std::vector<std::string>& brokers) {
  std::vector<std::string> names;
  for (const std::string& each : brokers) {
    const auto url = parse_broker_url(each);
    if (!url) continue;
    std::array<unsigned char, sizeof(in6_addr)> address{};
    const bool number = inet_pton(AF_INET, url->host.c_str(), address.data()) == 1 ||
                        inet_pton(AF_INET6, url->host.c_str(), address.data()) == 1;
    if (!number && std::find(names.begin(), names.end(), url->host) == names.end()) {
      names.push_back(url->host);
    }
  }
  return names;
}

std::string address_text(const addrinfo& info) {
  std::array<char, NI_MAXHOST> text{};
  const int error = getnameinfo(info.ai_addr, info.ai_addrlen, text.data(), text.size(), nullptr, 0,
                                NI_NUMERICHOST);
  return error == 0 ? text.data() : "?";
}

Finding look_at_name(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    return failed(kDns, name, std::string("it cannot be resolved: ") + gai_strerror(error),
                  "see whether the name servers of /etc/resolv.conf answer, or correct the name in "
                  "mqtt.brokers");
  }
  std::vector<std::string> addresses;
  for (const addrinfo* each = found; each != nullptr && addresses.size() < 4;
       each = each->ai_next) {
    addresses.push_back(address_text(*each));
  }
  freeaddrinfo(found);
  return ok(kDns, name, "it is " + join(addresses, ", "));
}

}  // namespace

Findings look_at_cni(const Scene& scene) {
  const runtime::NetworkOptions& options = scene.subject->network;
  const auto found = runtime::find_network_list(options);
  if (!found) {
    return {
        failed(kCni, options.cni_conf_dir, found.error().full(),
               "correct that file, or remove it: an empty directory gets a list of wherryd's own")};
  }
  Findings findings;
  for (const std::string& each : found->passed_over) {
    findings.push_back(warn(kCni, options.cni_conf_dir,
                            "it is passed over: " + printable(each, 300),
                            "correct that file, or remove it"));
  }
  const Json list = Json::parse(found->list, nullptr, false);
  const auto wanted = list.value("cniVersion", std::string());
  findings.push_back(ok(kCni, options.cni_conf_dir,
                        found->file.empty() ? "there is none: the first Pod gets wherryd's own list"
                                            : "Pods are wired by " + found->file));
  for (const std::string& type : plugins_of(list)) {
    findings.push_back(look_at_plugin(type, options.cni_bin_dir, wanted, scene.cancel));
  }
  return findings;
}

Findings look_at_iptables(const Scene& scene) {
  const char* const kInstall =
      "apt install iptables: ports of the device, Services and the way out of Pods need it";
  if (find_helper("iptables").empty())
    return {failed(kIptables, "", "it is not installed", kInstall)};
  const auto version = run("iptables", {"--version"}, scene.cancel);
  if (!version) return {failed(kIptables, "", version.error().full(), kInstall)};
  // Looks at what there is; iptables -L would make tables that are not there yet.
  const auto saved = run("iptables-save", {}, scene.cancel);
  const std::string seen = printable(trim(*version), 100);
  if (!saved) {
    return {failed(kIptables, "", seen + ", but its rules cannot be read: " + saved.error().full(),
                   "load the kernel's modules for it (nf_tables or ip_tables), or take the other "
                   "one by update-alternatives --config iptables")};
  }
  if (!drops_forwarded(*saved)) return {ok(kIptables, "", seen)};
  return {warn(kIptables, "", seen + "; the chain FORWARD drops what no rule lets through",
               "if Pods are not reachable: /usr/share/doc/wherry/docs/networking.md has the rules "
               "that let them")};
}

Findings look_at_dns(const Scene& scene) {
  const std::vector<std::string> names = names_of(scene.config().mqtt.brokers);
  if (names.empty())
    return {ok(kDns, "", "the brokers are addresses: there is no name to resolve")};
  Findings findings;
  for (const std::string& name : names) findings.push_back(look_at_name(name));
  return findings;
}

}  // namespace wherry::check

// The rules of Services as text for iptables-restore(8).

#include <set>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/network/service_network.h"

namespace wherry::runtime {
namespace {

// musl reads no more than 512 bytes of a line of /etc/hosts.
constexpr size_t kLine = 460;

std::string_view name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::Udp:
      return "udp";
    case Protocol::Sctp:
      return "sctp";
    case Protocol::Tcp:
      break;
  }
  return "tcp";
}

// The part of iptables-save's output about one table.
struct Table {
  std::set<std::string> chains;  // ours
  std::set<std::string> rules;   // "-A PREROUTING …": those that lead to ours
};

Table read_table(const std::string& saved, const std::string& name, const std::string& tag) {
  Table table;
  bool inside = false;
  for (const std::string& line : split(saved, '\n')) {
    if (line.starts_with("*")) inside = line == "*" + name;
    if (!inside) continue;
    if (line.starts_with(":" + tag)) table.chains.insert(line.substr(1, line.find(' ') - 1));
    const bool ours = line.starts_with("-A " + tag);
    if (line.starts_with("-A ") && !ours && line.find(" -j " + tag) != std::string::npos) {
      table.rules.insert(line);
    }
  }
  return table;
}

class Planner {
 public:
  explicit Planner(const RuleSurroundings& around) : around_(around) {}

  void add(const ServiceRules& service) {
    if (service.address.empty()) return;
    any_ = true;
    for (const ServiceForward& port : service.ports) {
      if (!port.endpoints.empty()) add(service, port);
    }
  }

  bool any() const { return any_; }

  std::string text(const std::string& saved) const {
    const Table nat = read_table(saved, "nat", around_.tag);
    const Table filter = read_table(saved, "filter", around_.tag);
    if (!any_) return removal("nat", nat) + removal("filter", filter);
    const std::string original = " -m conntrack --ctstate DNAT --ctorigdst " + around_.subnet;
    const std::string masquerade = "-A " + post() + original + " -j MASQUERADE\n" + post_rules_;
    const std::string made = table(
        "nat", nat, {services(), post()}, chains_, rules_ + masquerade,
        {"PREROUTING -j " + services(), "OUTPUT -j " + services(), "POSTROUTING -j " + post()});
    // What still has a Service's address was led nowhere: no Pod is ready, or there is no such
    // port. A connection of the device itself hears of a reset only: its way is over the loopback
    // (service_route.h), where the kernel sends no ICMP message in the name of a foreign address.
    const std::string rest = "-A " + forward() + " -d " + around_.subnet;
    std::string pass = "-A " + forward() + original + " -j ACCEPT\n" + rest +
                       " -p tcp -j REJECT --reject-with tcp-reset\n" + rest + " -j REJECT\n";
    std::set<std::string> chains = {forward()};
    std::vector<std::string> jumps = {"FORWARD -j " + forward(),
                                      "OUTPUT -d " + around_.subnet + " -j " + forward()};
    if (around_.loopback) {
      // Where the bridge may route to the loopback, as kube-proxy keeps others out of it.
      pass += "-A " + guard() + " ! -i lo -d 127.0.0.0/8 -m conntrack ! --ctstate " +
              "RELATED,ESTABLISHED,DNAT -j DROP\n";
      chains.insert(guard());
      jumps.push_back("INPUT -j " + guard());
    }
    return made + table("filter", filter, chains, {}, pass, jumps);
  }

 private:
  std::string services() const { return around_.tag + "SERVICES"; }
  std::string post() const { return around_.tag + "POST"; }
  std::string forward() const { return around_.tag + "FORWARD"; }
  std::string guard() const { return around_.tag + "GUARD"; }

  void add(const ServiceRules& service, const ServiceForward& port) {
    const std::string protocol(name_of(port.protocol));
    const std::string number = std::to_string(port.port);
    const std::string chain =
        around_.tag + sha256_hex(service.name + "/" + protocol + "/" + number).substr(0, 12);
    chains_.insert(chain);
    const std::string match = " -p " + protocol + " -m " + protocol + " --dport ";
    const std::string comment = " -m comment --comment \"" + service.name + ":" + number + "\"";
    rules_ += "-A " + services() + " -d " + service.address + match + number + comment + " -j " +
              chain + "\n";
    if (port.node_port != 0) add_node_port(service, port, match, comment + " -j " + chain);
    add_endpoints(service, port, chain, " -p " + protocol);
  }

  void add_node_port(const ServiceRules& service, const ServiceForward& port,
                     const std::string& match, const std::string& jump) {
    const std::string protocol(name_of(port.protocol));
    const std::string node = std::to_string(port.node_port);
    rules_ += "-A " + services() + (around_.loopback ? "" : " ! -d 127.0.0.0/8") + match + node +
              " -m addrtype --dst-type LOCAL" + jump + "\n";
    // What came from the loopback has an address that no Pod could answer to.
    if (service.keep_client && !around_.loopback) return;
    post_rules_ += "-A " + post() + (service.keep_client ? " -s 127.0.0.0/8" : "") + " -p " +
                   protocol + " -m conntrack --ctstate DNAT --ctorigdstport " + node +
                   jump.substr(0, jump.find(" -j ")) + " -j MASQUERADE\n";
  }

  void add_endpoints(const ServiceRules& service, const ServiceForward& port,
                     const std::string& chain, const std::string& match) {
    const std::string seconds = std::to_string(service.affinity_seconds);
    std::string known, turns;
    const size_t count = port.endpoints.size();
    for (size_t i = 0; i < count; ++i) {
      const ServiceEndpoint& endpoint = port.endpoints[i];
      const std::string target = (endpoint.ip.empty() ? around_.device_ip : endpoint.ip) + ":" +
                                 std::to_string(endpoint.port);
      const std::string go = " -j DNAT --to-destination " + target + "\n";
      // One in so many of those that got so far: each endpoint has its turn.
      const std::string turn = i + 1 == count ? ""
                                              : " -m statistic --mode nth --every " +
                                                    std::to_string(count - i) + " --packet 0";
      std::string remember;
      if (service.affinity_seconds > 0) {
        const std::string list =
            around_.tag + sha256_hex(chain + "/" + endpoint.pod + "/" + target).substr(0, 16);
        remember = " -m recent --name " + list + " --set";
        known += "-A " + chain + match + " -m recent --name " + list + " --rcheck --seconds " +
                 seconds + " --reap" + remember + go;
      }
      turns += "-A " + chain + match + turn + remember + go;
    }
    rules_ += known + turns;
  }

  // Our chains anew, what is not needed any more away, and the jumps that are missing.
  std::string table(const std::string& name, const Table& now, const std::set<std::string>& fixed,
                    const std::set<std::string>& more, const std::string& rules,
                    const std::vector<std::string>& jumps) const {
    std::set<std::string> wanted = fixed;
    wanted.insert(more.begin(), more.end());
    std::set<std::string> all = wanted;
    all.insert(now.chains.begin(), now.chains.end());
    std::string text = "*" + name + "\n";
    for (const std::string& chain : all) text += ":" + chain + " - [0:0]\n";  // empties it, too
    text += rules;
    std::set<std::string> missing;
    for (const std::string& jump : jumps) missing.insert("-A " + jump);
    for (const std::string& rule : now.rules) {
      if (missing.erase(rule) == 0) text += "-D" + rule.substr(2) + "\n";
    }
    for (const std::string& jump : jumps) {
      const size_t space = jump.find(' ');
      if (!missing.contains("-A " + jump)) continue;
      text += "-I " + jump.substr(0, space) + " 1" + jump.substr(space) + "\n";
    }
    for (const std::string& chain : all) {
      if (!wanted.contains(chain)) text += "-X " + chain + "\n";
    }
    return text + "COMMIT\n";
  }

  static std::string removal(const std::string& name, const Table& now) {
    if (now.chains.empty()) return {};
    std::string text = "*" + name + "\n";
    for (const std::string& rule : now.rules) text += "-D" + rule.substr(2) + "\n";
    for (const std::string& chain : now.chains) text += "-F " + chain + "\n";
    for (const std::string& chain : now.chains) text += "-X " + chain + "\n";
    return text + "COMMIT\n";
  }

  const RuleSurroundings& around_;
  bool any_ = false;
  std::set<std::string> chains_;  // of single ports
  std::string rules_, post_rules_;
};

}  // namespace

RulePlan plan_service_rules(const std::string& saved, const RuleSurroundings& around,
                            const std::vector<ServiceRules>& services) {
  Planner planner(around);
  for (const ServiceRules& service : services) planner.add(service);
  return {planner.text(saved), planner.any()};
}

std::string make_service_names(const std::vector<ServiceRules>& services) {
  std::string text;
  for (const ServiceRules& service : services) {
    for (const ServiceName& name : service.names) {
      const std::string start = (name.ip.empty() ? "-" : name.ip) + "\t";
      std::string line;
      for (const std::string& each : name.names) {
        if (!line.empty() && line.size() + each.size() > kLine) {
          text += start + line + "\n";
          line.clear();
        }
        line += (line.empty() ? "" : " ") + each;
      }
      if (!line.empty()) text += start + line + "\n";
    }
  }
  return text;
}

}  // namespace wherry::runtime

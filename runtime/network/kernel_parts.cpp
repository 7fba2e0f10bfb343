#include "runtime/network/kernel_parts.h"

#include <algorithm>

namespace wherry::runtime {
namespace {

constexpr KernelPart kSctp = {"xt_sctp", "ports of SCTP need", "use TCP or UDP",
                              "-p sctp -m sctp --dport 1"};
constexpr KernelPart kRecent = {"xt_recent", "sessionAffinity: ClientIP needs",
                                "leave sessionAffinity out",
                                "-m recent --name WHERRY-TRIAL --rcheck --seconds 1 --reap"};
constexpr KernelPart kStatistic = {"xt_statistic", "Pods that take turns need",
                                   "choose one Pod only",
                                   "-m statistic --mode nth --every 2 --packet 0"};
constexpr KernelPart kAddressType = {"xt_addrtype", "ports of the device need",
                                     "use type: ClusterIP", "-m addrtype --dst-type LOCAL"};

}  // namespace

const KernelPart kPlainPart = {"xt_tcpudp", "all Services need", "have none",
                               "-p tcp -m tcp --dport 1"};

std::vector<const KernelPart*> parts_needed(const ServiceRules& service) {
  if (service.address.empty()) return {};
  const auto any = [&](auto is_so) {
    return std::any_of(service.ports.begin(), service.ports.end(), [&](const ServiceForward& port) {
      return !port.endpoints.empty() && is_so(port);
    });
  };
  std::vector<const KernelPart*> parts;
  if (any([](const auto& port) { return port.protocol == Protocol::Sctp; })) {
    parts.push_back(&kSctp);
  }
  if (service.affinity_seconds > 0 && any([](const auto&) { return true; })) {
    parts.push_back(&kRecent);
  }
  if (any([](const auto& port) { return port.endpoints.size() > 1; })) {
    parts.push_back(&kStatistic);
  }
  if (any([](const auto& port) { return port.node_port != 0; })) parts.push_back(&kAddressType);
  return parts;
}

std::string make_trial(const std::string& tag, const KernelPart& part) {
  const std::string chain = tag + "TRIAL";
  return "*nat\n:" + chain + " - [0:0]\n-A " + chain + " " + std::string(part.match) +
         " -j RETURN\nCOMMIT\n*nat\n-F " + chain + "\n-X " + chain + "\nCOMMIT\n";
}

std::string without_part(const KernelPart& part) {
  return "the device's kernel has no " + std::string(part.module) + ", which " +
         std::string(part.purpose) + ": install that module, or " + std::string(part.mend);
}

}  // namespace wherry::runtime

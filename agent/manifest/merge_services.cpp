#include "agent/manifest/merge_services.h"

#include <algorithm>

namespace wherry::manifest {
namespace {

class Checker {
 public:
  Checker(const ServiceSurroundings& around, Findings& findings)
      : around_(around), findings_(findings) {
    labels_.reserve(around.pods.size());
    for (const PodItem* pod : around.pods) labels_.push_back(service_labels(*pod));
  }

  std::vector<ServiceSpec> run() {
    std::vector<ServiceSpec> good;
    for (const ChosenService& service : around_.services) {
      if (good.size() >= kMaxServices) {
        error(service, service.item->place,
              "this device has more than " + std::to_string(kMaxServices) + " Services");
        break;
      }
      if (!check_node_ports(service)) continue;
      warn_of_nothing(service);
      good.push_back(service.item->spec);
      good.back().source = service.source;
      good.back().revision = service.revision;
      good.back().path = service.path_of(service.item->place);
    }
    return good;
  }

 private:
  void error(const ChosenService& service, const Place& place, std::string message) {
    findings_.error(service.path_of(place), place.mark, std::move(message));
  }

  bool check_node_ports(const ChosenService& service) {
    bool good = true;
    const ServiceSpec& spec = service.item->spec;
    for (size_t i = 0; i < spec.ports.size(); ++i) {
      const ServicePort& port = spec.ports[i];
      if (port.node_port == 0) continue;
      std::string owner = around_.taken_by(port.protocol, port.node_port);
      const auto [other, added] =
          owners_.emplace(std::pair(port.protocol, port.node_port), &service);
      if (owner.empty() && !added) {
        owner = other->second == &service ? "another port of this Service"
                                          : "Service \"" + other->second->item->spec.name + "\" (" +
                                                other->second->source + ")";
      }
      if (owner.empty()) continue;
      good = false;
      error(service, service.item->ports[i],
            "port " + std::to_string(port.node_port) + " of the device is taken by " + owner +
                ": choose another nodePort");
    }
    return good;
  }

  void warn_of_nothing(const ChosenService& service) {
    const ServiceItem& item = *service.item;
    std::vector<const PodItem*> chosen;
    for (size_t i = 0; i < labels_.size(); ++i) {
      if (selects(item.spec, labels_[i])) chosen.push_back(around_.pods[i]);
    }
    if (chosen.empty()) {
      return findings_.warning(
          service.path_of(item.selector_place), item.selector_place.mark,
          "no Pod of this device has these labels: nobody answers on the Service");
    }
    for (size_t i = 0; i < item.spec.ports.size(); ++i) {
      const ServicePort& port = item.spec.ports[i];
      const bool found = std::any_of(chosen.begin(), chosen.end(), [&](const PodItem* pod) {
        return target_of(port, pod->workload) != 0;
      });
      if (found) continue;
      findings_.warning(service.path_of(item.ports[i]), item.ports[i].mark,
                        "targetPort: none of the Pods has a port named \"" +
                            shown(port.target_name) + "\" of this protocol: nobody answers on it");
    }
  }

  const ServiceSurroundings& around_;
  Findings& findings_;
  std::vector<std::map<std::string, std::string>> labels_;
  std::map<std::pair<runtime::Protocol, uint16_t>, const ChosenService*> owners_;
};

}  // namespace

std::map<std::string, std::string> service_labels(const PodItem& pod) {
  std::map<std::string, std::string> labels = pod.labels;
  if (pod.workload.owner.kind == OwnerKind::StatefulSet) {
    labels.emplace("statefulset.kubernetes.io/pod-name", pod.workload.name());
  }
  return labels;
}

std::vector<ServiceSpec> check_services(const ServiceSurroundings& around, Findings& findings) {
  return Checker(around, findings).run();
}

}  // namespace wherry::manifest

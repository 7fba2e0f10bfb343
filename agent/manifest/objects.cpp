#include "agent/manifest/objects.h"

#include "agent/manifest/items.h"

namespace wherry {

std::vector<ObjectName> objects_of(const Document& document) {
  std::vector<ObjectName> names;
  if (!document.valid() || !document.items) return names;
  const ParsedItems& items = *document.items;
  for (const manifest::PodItem& pod : items.pods) names.push_back({"Pod", pod.workload.name()});
  for (const OwnerKind kind : {OwnerKind::Deployment, OwnerKind::DaemonSet, OwnerKind::StatefulSet,
                               OwnerKind::Job, OwnerKind::CronJob}) {
    for (const manifest::ControllerItem& item : items.controllers) {
      const Owner& owner = item.spec.owner;
      if (owner.kind == kind) names.push_back({std::string(to_string(kind)), owner.name});
    }
  }
  for (const manifest::ConfigItem& item : items.config_maps) {
    names.push_back({"ConfigMap", item.name});
  }
  for (const manifest::ConfigItem& item : items.secrets) names.push_back({"Secret", item.name});
  for (const manifest::ClaimItem& item : items.claims) {
    names.push_back({"PersistentVolumeClaim", item.name});
  }
  for (const manifest::ServiceItem& item : items.services) {
    names.push_back({"Service", item.spec.name});
  }
  for (const manifest::PriorityClassItem& item : items.priority_classes) {
    names.push_back({"PriorityClass", item.name});
  }
  return names;
}

std::vector<Finding> ObjectsOfFiles::add(const std::string& file, const Document& document) {
  std::vector<Finding> warnings;
  for (const ObjectName& object : objects_of(document)) {
    std::string& other = files_[{object.kind, object.name}];
    if (!other.empty()) {
      warnings.push_back({"", object.kind + "/" + object.name +
                                  " of this file counts, not that of " + other +
                                  ", which comes before it: give one of them another name, "
                                  "or remove it"});
    }
    other = file;
  }
  return warnings;
}

}  // namespace wherry

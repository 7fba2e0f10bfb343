// A Pod: everything but what its containers hold.

#include <algorithm>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"
#include "base/text.h"
#include "runtime/device/cdi_spec.h"

namespace wherry::manifest {
namespace {

constexpr int64_t kMaxGraceSeconds = 86400;
constexpr int64_t kMaxDeadline = INT32_MAX;
constexpr size_t kMaxHostname = 64;  // HOST_NAME_MAX of Linux

void read_depends_on(const Cursor& metadata, PodItem& pod) {
  metadata.each_string("annotations", [&](const Cursor& annotation) {
    if (annotation.node().key->text != "wherry/depends-on") return;
    pod.depends_place = annotation.place();
    if (trim(annotation.node().text).empty()) return;
    std::vector<std::string>& names = pod.workload.depends_on;
    for (const std::string& part : split(annotation.node().text, ',')) {
      std::string name(trim(part));
      if (!dns_label_problem(name).empty()) {
        annotation.error("\"" + shown(name) +
                         "\" is no workload's name; write names separated by commas");
      } else if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(std::move(name));
      }
    }
  });
}

// cdi.k8s.io/<key>: as containerd and CRI-O take them.
void read_cdi(const Cursor& metadata, PodItem& pod) {
  std::vector<std::string>& devices = pod.workload.pod.cdi_devices;
  metadata.each_string("annotations", [&](const Cursor& annotation) {
    if (!annotation.node().key->text.starts_with("cdi.k8s.io/")) return;
    for (const std::string& part : split(annotation.node().text, ',')) {
      std::string name(trim(part));
      if (const auto read = runtime::parse_cdi_name(name, false); !read) {
        annotation.error(read.error().message());
      } else if (std::find(devices.begin(), devices.end(), name) == devices.end()) {
        devices.push_back(std::move(name));
      }
    }
    if (trim(annotation.node().text).empty()) {
      annotation.error("names no device: write vendor.com/class=name");
    }
  });
}

void read_pod_metadata(const Cursor& metadata, PodItem& pod) {
  read_metadata(metadata, true, pod.labels, pod.annotations);
  const auto strategy = pod.annotations.find("wherry/update-strategy");
  if (strategy != pod.annotations.end() && strategy->second == "delete-first") {
    pod.workload.update_strategy = UpdateStrategy::DeleteFirst;
  }
  const auto data = pod.annotations.find("wherry/data-api");
  pod.workload.pod.data_api = data != pod.annotations.end() && data->second == "true";
  const auto forward = pod.annotations.find("wherry/log-forward");
  if (forward != pod.annotations.end()) {
    pod.workload.log_forward = log_forward_of(forward->second);
  }
  read_depends_on(metadata, pod);
  read_cdi(metadata, pod);
}

void read_hostname(const Cursor& spec, PodItem& pod) {
  runtime::PodSpec& made = pod.workload.pod;
  const std::string_view hostname = spec.string("hostname");
  if (!hostname.empty()) {
    const std::string_view problem = dns_label_problem(hostname);
    if (!problem.empty()) spec.error_at("hostname", std::string(problem));
    if (made.host_network) {
      spec.warning_at("hostname", "hostname is ignored: with hostNetwork it is the device's");
    }
  }
  if (!made.host_network) made.hostname = hostname.empty() ? made.name : hostname;
}

// The name of a Pod below a Service of that name, as Kubernetes makes it.
void read_subdomain(const Cursor& spec, const std::string& name_space, runtime::PodSpec& pod) {
  const std::string_view subdomain = spec.string("subdomain");
  if (!subdomain.empty()) {
    const std::string_view problem = dns_label_problem(subdomain);
    if (!problem.empty()) return spec.error_at("subdomain", std::string(problem));
    if (pod.host_network) {
      return spec.warning_at("subdomain",
                             "subdomain is ignored: with hostNetwork it is the "
                             "device's name that holds");
    }
    pod.domain = std::string(subdomain) + "." + name_space + ".svc.cluster.local";
  }
  pod.hostname_is_full = !pod.domain.empty() && spec.boolean("setHostnameAsFQDN");
  const size_t length = runtime::full_name(pod).size();
  if (!pod.hostname_is_full || length <= kMaxHostname) return;
  spec.error_at("setHostnameAsFQDN", "\"" + shown(runtime::full_name(pod)) +
                                         "\" has more than the 64 characters that a host name "
                                         "may have: shorten hostname, subdomain or namespace");
}

// What containers see of the device's processes and memory.
void read_sharing(const Cursor& spec, runtime::PodSpec& pod) {
  pod.share_processes = spec.boolean("shareProcessNamespace");
  pod.host_pids = spec.boolean("hostPID");
  pod.host_ipc = spec.boolean("hostIPC");
  if (pod.host_pids && pod.share_processes) {
    spec.error_at("shareProcessNamespace",
                  "goes not with hostPID, with which the containers see each other and the whole "
                  "device: leave one of the two out");
  }
}

void read_containers(const Cursor& spec, PodItem& pod, const PodContext& context) {
  std::set<std::string, std::less<>> names;
  const Node* list = spec.get("containers", Kind::List);
  if (list != nullptr && list->count == 0) {
    spec.error_at("containers", "a Pod needs at least one container");
  }
  const auto read = [&](const Cursor& entry, runtime::ContainerRole role) {
    ContainerItem item = read_container(entry, context, role);
    if (!item.spec.name.empty() && !names.insert(item.spec.name).second) {
      entry.error_at("name", "two containers are named \"" + shown(item.spec.name) + "\"");
    }
    pod.containers.push_back(std::move(item));
  };
  spec.each("initContainers", Kind::Map, [&](const Cursor& entry) {
    const bool sidecar = entry.string("restartPolicy") == "Always";
    read(entry, sidecar ? runtime::ContainerRole::Sidecar : runtime::ContainerRole::Init);
  });
  spec.each("containers", Kind::Map,
            [&](const Cursor& entry) { read(entry, runtime::ContainerRole::Main); });
}

// Volumes of huge pages are of a size that the Pod asks for; where it asks for one only, that one.
void settle_huge_pages(const Cursor& spec, PodItem& pod) {
  std::set<int64_t> sizes;
  for (const ContainerItem& container : pod.containers) {
    for (const auto& [name, amount] : container.spec.resources.extended) {
      if (const auto size = runtime::huge_page_of(name)) sizes.insert(*size);
    }
  }
  size_t index = 0;
  spec.each("volumes", Kind::Map, [&](const Cursor& entry) {
    const size_t at = index++;
    entry.with("emptyDir", [&](const Cursor& source) {
      const std::string_view medium = source.string("medium");
      if (!medium.starts_with("HugePages") || at >= pod.workload.pod.volumes.size()) return;
      int64_t& size = pod.workload.pod.volumes[at].huge_page;
      if (medium == "HugePages" && sizes.size() == 1) size = *sizes.begin();
      if (sizes.contains(size)) return;
      source.error_at("medium", sizes.size() > 1 && medium == "HugePages"
                                    ? "the Pod has huge pages of several sizes: write for example "
                                      "HugePages-2Mi"
                                    : "needs a container with a limit of such huge pages, as "
                                      "hugepages-2Mi: 64Mi");
    });
  });
}

void read_pod_spec(const Cursor& spec, PodItem& pod) {
  WorkloadSpec& workload = pod.workload;
  PodContext context;
  workload.pod.host_network = context.host_network = spec.boolean("hostNetwork");
  read_sharing(spec, workload.pod);
  const std::string_view restart = spec.string("restartPolicy");
  if (restart == "OnFailure") workload.restart_policy = RestartPolicy::OnFailure;
  if (restart == "Never") workload.restart_policy = RestartPolicy::Never;
  const auto grace = spec.integer_within("terminationGracePeriodSeconds", 0, kMaxGraceSeconds);
  if (grace) workload.termination_grace = std::chrono::seconds(*grace);
  const auto deadline = spec.integer_within("activeDeadlineSeconds", 1, kMaxDeadline);
  if (deadline) workload.active_deadline = std::chrono::seconds(*deadline);
  read_priority(spec, pod);
  read_hostname(spec, pod);
  read_subdomain(spec, pod.name_space, workload.pod);
  read_host_aliases(spec, workload.pod);
  read_dns(spec, workload.pod);
  const std::string_view account = spec.string("serviceAccountName");
  if (!account.empty()) pod.service_account = account;
  spec.with("securityContext", [&](const Cursor& security) {
    context.security = read_security(security, {});
    read_pod_security(security, workload.pod);
  });
  workload.pod.runtime_class = spec.string("runtimeClassName");
  pod.runtime_class_place = spec.place();
  pod.runtime_class_place.path += ".runtimeClassName";
  spec.each_string("nodeSelector", [&](const Cursor& entry) {
    pod.node_selector.emplace(entry.node().key->text, entry.node().text);
  });
  spec.each("imagePullSecrets", Kind::Map, [&](const Cursor& entry) {
    pod.pull_secrets.push_back({std::string(entry.string("name")), entry.place()});
  });
  read_volumes(spec, pod, context);
  read_containers(spec, pod, context);
  settle_huge_pages(spec, pod);
  pod.host_ports = read_host_ports(spec, context.host_network);
  workload.named_ports = read_named_ports(spec);
  workload.service_links = spec.boolean("enableServiceLinks", true);
  if (context.host_network) return;
  for (const HostPort& port : pod.host_ports) workload.pod.ports.push_back(port.mapping);
}

}  // namespace

PodItem read_pod(const Cursor& object) {
  PodItem pod;
  object.with("metadata", [&](const Cursor& metadata) {
    pod.workload.pod.name = metadata.string("name");
    if (metadata.get("name", Kind::String) == nullptr) return;
    const std::string_view problem = dns_label_problem(pod.workload.pod.name);
    if (!problem.empty()) metadata.error_at("name", std::string(problem));
  });
  pod.name_space = read_name_space(object);
  read_template(object, pod);
  name_own_claims(pod.workload.pod);
  return pod;
}

void read_template(const Cursor& object, PodItem& pod) {
  pod.place = object.place();
  object.with("metadata", [&](const Cursor& metadata) { read_pod_metadata(metadata, pod); });
  object.with("spec", [&](const Cursor& spec) { read_pod_spec(spec, pod); });
}

}  // namespace wherry::manifest

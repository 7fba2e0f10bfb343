#pragma once
// A Pod's network: a namespace of our own, bind-mounted under the run directory (so no pause
// container is needed), wired by CNI plugins (CNI spec 1.0.0; configurations 0.3.1 to 1.0.0).

#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct NetworkOptions {
  std::string run_dir;        // e.g. /run/wherry: netns/<pod>, cni/<pod>.json, ipam/
  std::string cni_bin_dir;    // /usr/lib/cni
  std::string cni_conf_dir;   // /etc/cni/net.d; the first list or conf there by name is used
  std::string bridge_subnet;  // 10.89.0.0/16, for the list we write when the directory has none
  std::string bridge_name;    // wherry0; another for each agent on the same machine
};

struct PodNetworkStatus {
  std::string pod;
  std::string netns_path;
  std::string ip;       // of the first interface, without prefix length
  std::string gateway;  // of that address; empty where the plugins name none
};

class PodNetwork {
 public:
  virtual ~PodNetwork() = default;
  // Namespace, loopback up, CNI ADD. Idempotent: complete → the same answer; half done → redone
  // after a CNI DEL. Reasons: NetworkSetupFailed, HostPortConflict.
  virtual Result<PodNetworkStatus> setup(const PodSpec& pod, CancelToken cancel) = 0;
  // CNI DEL (failure is logged and retried by the caller), then the namespace. Missing: success.
  virtual Status teardown(const std::string& pod) = 0;
  // What exists and is complete; NotFound otherwise. Cheap: no process is started.
  virtual Result<PodNetworkStatus> status(const std::string& pod) = 0;
  // Names of all Pods with anything left of a network, complete or not.
  virtual Result<std::vector<std::string>> list() = 0;
};

std::unique_ptr<PodNetwork> make_cni_network(NetworkOptions options);

}  // namespace wherry::runtime

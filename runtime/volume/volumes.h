#pragma once
// The host side of a Pod's volumes and of the small files every container gets.

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/spec/oci_spec.h"
#include "runtime/types.h"
#include "runtime/volume/pod_names.h"

namespace wherry::runtime {

// Where the host's own files are; tests point them elsewhere.
struct HostFiles {
  std::string hosts = "/etc/hosts";
  std::string resolv_conf = "/etc/resolv.conf";
  // The servers behind systemd-resolved's stub, which only listens on the host's loopback.
  std::string resolved_upstream = "/run/systemd/resolve/resolv.conf";
};

// Who listens on the sockets through which Pods hand in data. Called from several threads.
struct DataSockets {
  // Serves <directory>/data.sock as the Pod's. Idempotent. An error keeps the Pod from starting.
  std::function<Status(const std::string& pod, const std::string& directory)> open;
  std::function<void(const std::string& pod)> close;
};

// Thread-safe for different Pods. What is in memory and what is mounted by subPath are mounts: the
// agent must share its mount namespace with containerd.
class Volumes {
 public:
  // `state_dir`/pods/<pod>/ holds what survives a reboot (emptyDir on disk: it lives as long as the
  // Pod; files of ConfigMaps), `run_dir`/pods/<pod>/ what does not (emptyDir in memory, Secrets,
  // subPaths, hosts, hostname, resolv.conf). `state_dir`/claims/<claim>/ outlives every Pod:
  // nothing here removes it. A claim of the Pod's own is in `state_dir`/pods/<pod>/claims.
  Volumes(std::string state_dir, std::string run_dir, HostFiles files = {},
          DataSockets sockets = {});

  // Makes emptyDirs and claims, checks hostPaths by their type, writes the files of volumes, hosts,
  // hostname and resolv.conf. Idempotent; the files are brought up to date in place, so that
  // running containers see new content and a new address.
  // Every Pod's hosts file then names all the others, too. A hostPath of no type that is missing
  // becomes a directory. Reason CreateContainerConfigError where a hostPath is not what its type
  // demands.
  Status prepare(const PodSpec& pod, const PodAddress& address);
  // The bind mounts of one container that is about to be made, after prepare(). Sorted so that
  // parents come first. Binds its subPaths anew; see bind_sub_path() for what is refused.
  // InvalidArgument with reason CreateContainerConfigError for a volume the Pod does not have.
  Result<std::vector<BindMount>> mounts(const PodSpec& pod, const ContainerSpec& container);
  // The IPC namespace of a Pod with several containers, after prepare(); "" where each container
  // has its own.
  std::string ipc_path(const PodSpec& pod) const;
  // The Pod's UID, made when it is first asked for; it lasts until remove().
  Result<std::string> uid(const std::string& pod);
  // Where the container's last words are: at ContainerSpec::message_path inside of it. mounts()
  // makes it anew, empty and writable by every user.
  std::string message_file(const std::string& pod, const std::string& container) const;
  // At most 4096 bytes of it, the last ones; "" where there are none.
  std::string read_message(const std::string& pod, const std::string& container) const;
  // Unmounts and deletes. Missing: success. Never follows a link or enters a hostPath.
  Status remove(const std::string& pod);
  Result<std::vector<std::string>> list();  // Pods that have anything here
  // Has the sockets of all Pods here served again, after the start of an agent.
  void reopen_data_sockets();
  // Every Pod's hosts file names those that are there now, whatever an agent was killed at.
  void refresh_names() { names_.refresh(); }
  // Further names for those files, see PodNames.
  std::string service_names_file() const { return run_dir_ + "/services/names"; }
  // Where a volume is on the host. An image is to be mounted there, after prepare().
  std::string source_of(const std::string& pod, const Volume& volume) const;

 private:
  std::string disk_dir(const std::string& pod) const { return state_dir_ + "/pods/" + pod; }
  std::string run_dir(const std::string& pod) const { return run_dir_ + "/pods/" + pod; }
  std::string data_dir(const std::string& pod) const { return run_dir(pod) + "/data"; }
  std::string claims_dir() const { return state_dir_ + "/claims"; }
  Status prepare_volume(const PodSpec& pod, const Volume& volume);
  Status make_own_directory(const std::string& pod, const Volume& volume, unsigned mode);
  Status prepare_files(const PodSpec& pod, const Volume& volume);
  Status prepare_claim(const PodSpec& pod, const Volume& volume);
  Status own(const PodSpec& pod, const Volume& volume, bool if_needed);
  Result<BindMount> bind_of(const PodSpec& pod, const ContainerSpec& container,
                            const Volume& volume, const VolumeMount& mount, size_t index);
  Status open_data_socket(const std::string& pod);
  Status make_message_file(const PodSpec& pod, const ContainerSpec& container);
  Status write_files(const PodSpec& pod, const PodAddress& address);
  std::string usable_resolv_conf(const PodSpec& pod, const std::string& host_text) const;

  std::string state_dir_;
  std::string run_dir_;
  HostFiles files_;
  PodNames names_;
  DataSockets sockets_;
};

}  // namespace wherry::runtime

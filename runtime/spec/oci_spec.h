#pragma once
// The OCI runtime specification (runtime-spec v1.0) of one container, as JSON.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// The parts of an image's config that a container takes over (image-spec, config.md).
struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  // NAME=value
  std::string user;              // "", "uid", "uid:gid", "name", "name:group"
  std::string working_dir;
  std::string stop_signal;  // "", "SIGQUIT", "3"
};
// Of the config blob. InvalidArgument where it is no image config.
Result<ImageConfig> parse_image_config(const std::string& json);

struct BindMount {
  std::string source;       // on the host
  std::string destination;  // in the container
  bool read_only = false;
  MountPropagation propagation = MountPropagation::None;
};

struct HostFacts {
  bool cgroup_v2 = false;
  bool can_raise_rlimits = true;  // CAP_SYS_RESOURCE
  bool apparmor = false;
  bool seccomp = false;
  bool swap_limit = false;        // the kernel accounts swap per cgroup
  int64_t memory_bytes = 0;       // of the device; 0: not known
  bool hugetlb = false;           // the kernel limits huge pages per cgroup
  std::set<int64_t> huge_pages;   // sizes in bytes of those that the device keeps ready
  int least_oom_score = -1000;    // oom_score_adj that containers may be given, see proc(5)
  uint64_t capabilities = ~0ULL;  // bounding set, bit n is capability n: nobody can grant more
  std::string apparmor_profiles = "/sys/kernel/security/apparmor/profiles";  // those loaded
  std::string dev_dir = "/dev";        // whose devices a privileged container gets
  std::string hostname = "localhost";  // of the host, for host network
};
// Of this machine, read once at start: nothing in it changes while the agent runs. Capabilities are
// the first process's, which started containerd.
HostFacts detect_host();

struct SpecInput {
  const PodSpec& pod;
  const ContainerSpec& container;
  const ImageConfig& image;
  HostFacts host;
  std::string cgroup_path;  // e.g. /wherry/web-0; cpu shares compete with its siblings
  std::string netns_path;   // empty with host network
  std::string rootfs;       // mounted read-only or writable by containerd; where /etc/passwd may be
                            // read to resolve user names; empty when not mounted yet
  std::vector<BindMount> mounts;  // volumes, /etc/hosts, /etc/hostname, /etc/resolv.conf
  std::string seccomp_dir{};      // where the profiles of type Localhost are
  std::string ipc_path{};         // of the Pod's IPC namespace; empty: one of its own
  std::string pids_path{};        // of the Pod's PID namespace; empty: one of its own
};

// True when make_oci_spec needs `rootfs` for this container: its user is given by name, or its
// groups are to be looked up. False for root, so that most containers need no extra mount.
bool needs_rootfs(const ContainerSpec& container, const ImageConfig& image);

// Errors: InvalidArgument with reason CreateContainerConfigError (non-root demanded but image runs
// as root, unknown user name, no command at all, unknown capability, a security profile that
// this host cannot apply).
Result<std::string> make_oci_spec(const SpecInput& input);

// Cpu and memory of a container that runs, as linux.resources for an update: where there is no
// limit it says so, as what is left out stays as it is.
std::string make_resize(const Resources& resources, const HostFacts& host);
// `spec_json` (of make_oci_spec) with other cpu and memory. InvalidArgument where it is none.
Result<std::string> resized_spec(const std::string& spec_json, const Resources& resources,
                                 const HostFacts& host);
// cpu.shares (cgroup v1) for a request, 2 to 262144: its part of the processor when all want more.
int64_t cpu_shares(int64_t request_milli);

}  // namespace wherry::runtime

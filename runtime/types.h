#pragma once
// The vocabulary of the runtime room: what a Pod is once nothing about it is open any more, and
// what is observed of it. Knows nothing of MQTT, documents or where a Pod came from. Sizes are
// bytes, cpu is thousandths of a core, times are wall time for people to read.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace wherry::runtime {

enum class PullPolicy { IfNotPresent, Always, Never };
enum class Protocol { Tcp, Udp, Sctp };

struct PortMapping {
  uint16_t host_port = 0;
  uint16_t container_port = 0;
  Protocol protocol = Protocol::Tcp;
  std::string host_ip;  // empty: every address
  bool operator==(const PortMapping&) const = default;
};

// hostPath.type of the Kubernetes API; Unset checks nothing.
enum class HostPathType {
  Unset,
  DirectoryOrCreate,
  Directory,
  FileOrCreate,
  File,
  Socket,
  CharDevice,
  BlockDevice
};

// One file of a volume whose content is given.
struct VolumeFile {
  std::string path;  // relative, below the volume, without ".."
  std::string content;
  uint32_t mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};

struct Volume {
  enum class Kind { HostPath, EmptyDir, Files, Claim, Image };
  std::string name;
  Kind kind = Kind::EmptyDir;
  std::string host_path;  // HostPath
  HostPathType host_path_type = HostPathType::Unset;
  bool memory = false;     // EmptyDir, Files: on tmpfs
  int64_t size_limit = 0;  // EmptyDir; 0: none
  int64_t huge_page = 0;   // EmptyDir: in huge pages of this many bytes; 0: not
  // Files: what it shows now, sorted by path, no path twice. prepare_pod() brings a running Pod's
  // up to date, all at once.
  std::vector<VolumeFile> files{};
  // Files: where they come from. Decides a restart, as their content does not.
  std::string definition{};
  std::string claim{};                                // Claim: its name
  std::string image{};                                // Image: as written by the user
  PullPolicy pull_policy = PullPolicy::IfNotPresent;  // Image
  bool read_only = false;                             // Claim: for every container
  bool owned = false;  // Claim: the Pod's own, made and removed with it
  bool operator==(const Volume&) const = default;
};

// Whether mounts made on one side of a volume later show on the other (mount_namespaces(7)).
enum class MountPropagation { None, HostToContainer, Bidirectional };

struct VolumeMount {
  std::string volume;      // names a Volume of the Pod
  std::string mount_path;  // absolute, inside the container
  bool read_only = false;
  std::string sub_path{};  // relative, below the volume, without ".."; empty: all of it
  MountPropagation propagation = MountPropagation::None;
  bool operator==(const VolumeMount&) const = default;
};

struct Resources {
  int64_t cpu_limit_milli = 0;  // 0: no limit
  int64_t cpu_request_milli = 0;
  int64_t memory_limit = 0;
  int64_t memory_request = 0;
  int64_t storage_request = 0;  // of the disk: writable layer, emptyDirs, logs
  int64_t storage_limit = 0;    // the agent looks now and then
  int64_t pids_limit = 0;       // 0: the agent's default
  // A change of it replaces the Pod; else it is made while the container runs.
  bool cpu_restarts = false, memory_restarts = false;
  // What is counted: devices by the name of their resource ("example.com/camera", units), memory in
  // huge pages ("hugepages-2Mi", bytes). Request and limit are one; none is 0.
  std::map<std::string, int64_t> extended{};
  bool operator==(const Resources&) const = default;
};
// Alike in what can change while a container runs: limits and requests of cpu and memory.
bool same_size(const Resources& a, const Resources& b);
// Bytes of a page of "hugepages-2Mi"; nothing where it is another resource.
std::optional<int64_t> huge_page_of(std::string_view resource);

// Of seccomp or AppArmor. Unset leaves the process as the container stack starts it.
struct SecurityProfile {
  enum class Kind { Unset, Unconfined, RuntimeDefault, Localhost };
  Kind kind = Kind::Unset;
  std::string name{};  // Localhost: of a file, or of a profile that the kernel has loaded
  bool operator==(const SecurityProfile&) const = default;
};

struct SecurityContext {
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  bool run_as_non_root = false;
  std::vector<int64_t> supplemental_groups;
  bool strict_groups = false;  // what the image's /etc/group adds to them is left out
  bool privileged = false;
  bool read_only_root_filesystem = false;
  bool allow_privilege_escalation = false;    // false: no_new_privs is set
  std::vector<std::string> capabilities_add;  // without CAP_; "ALL" is allowed
  std::vector<std::string> capabilities_drop;
  SecurityProfile seccomp{};
  SecurityProfile apparmor{};
  bool operator==(const SecurityContext&) const = default;
};

// What a container is for in its Pod. Init: runs to success before the next one starts. Sidecar: an
// init container that goes on beside the main ones.
enum class ContainerRole { Main, Init, Sidecar };

// What a probe or a lifecycle hook does.
struct Handler {
  enum class Kind { Exec, HttpGet, TcpSocket, Grpc, Sleep };
  Kind kind = Kind::Exec;
  std::vector<std::string> command{};                          // Exec
  std::string host{};                                          // HttpGet, TcpSocket; empty: the Pod
  uint16_t port = 0;                                           // HttpGet, TcpSocket, Grpc
  bool https = false;                                          // HttpGet; no certificate is checked
  std::string path{};                                          // HttpGet; begins with /
  std::vector<std::pair<std::string, std::string>> headers{};  // HttpGet
  std::string service{};                                       // Grpc
  Duration sleep{};                                            // Sleep
  bool operator==(const Handler&) const = default;
};

struct Probe {
  Handler check;
  Duration initial_delay{};
  Duration period = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(1);
  uint32_t success_threshold = 1;
  uint32_t failure_threshold = 3;
  std::optional<Duration> grace{};  // of the kill that follows a failure; none: the Pod's
  bool operator==(const Probe&) const = default;
};

struct ContainerSpec {
  std::string name;
  std::string image;  // as written by the user
  PullPolicy pull_policy = PullPolicy::IfNotPresent;
  std::vector<std::string> command;  // empty: the image's entrypoint
  std::vector<std::string> args;     // empty: the image's cmd, unless command is given
  std::string working_dir;           // empty: the image's
  std::vector<std::pair<std::string, std::string>> env;  // final, in order; later wins
  Resources resources;
  SecurityContext security;
  std::vector<VolumeMount> mounts;
  ContainerRole role = ContainerRole::Main;
  std::optional<Probe> startup{}, liveness{}, readiness{};
  std::optional<Handler> post_start{}, pre_stop{};
  // Where the process may leave its last words; at most 4096 bytes of them are reported.
  std::string message_path = "/dev/termination-log";
  bool message_from_logs = false;  // after a failure that left none: the end of its log
  bool operator==(const ContainerSpec&) const = default;
};

// A line of the Pod's /etc/hosts.
struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
  bool operator==(const HostAlias&) const = default;
};

// How the Pod resolves names; what is given here is added to the device's.
struct PodDns {
  bool of_device = true;  // false: nothing of the device's
  std::vector<std::string> nameservers{};
  std::vector<std::string> searches{};
  std::vector<std::string> options{};  // "ndots:2", "rotate"
  bool operator==(const PodDns&) const = default;
};

// Who we are to a registry, as a Pod's imagePullSecrets say. Never logged, never shown.
struct RegistryCredential {
  std::string host;  // "registry.local:5000", or with a path below which it holds
  std::string username;
  std::string password;
  std::string identity_token{};  // of OAuth2, instead of a password
  bool operator==(const RegistryCredential&) const = default;
};

struct PodSpec {
  std::string name;  // the workload's identity: a DNS label, unique on the device
  std::string hash;  // of everything that decides a restart but the image digests
  std::string hostname;
  std::string domain{};           // what its full name has behind the hostname; empty: none
  bool hostname_is_full = false;  // its processes find the full name where the hostname is
  bool host_network = false;
  bool host_pids = false;          // its containers see the device's processes
  bool host_ipc = false;           // … its IPC namespace and /dev/shm
  bool share_processes = false;    // all containers see each other's processes
  std::vector<PortMapping> ports;  // those with a host port
  std::vector<HostAlias> host_aliases{};
  PodDns dns{};
  std::vector<Volume> volumes;
  std::vector<ContainerSpec> containers;  // in the order of their start: init ones first
  // Group of the volumes' files, and of every container besides its own.
  std::optional<int64_t> fs_group{};
  bool fs_group_if_needed = false;  // only where the volume's root is not as it should be
  std::vector<std::pair<std::string, std::string>> sysctls{};  // by name
  std::string runtime_class{};                                 // empty: the default runtime
  // For every container: qualified names of the Container Device Interface ("vendor.com/gpu=0").
  std::vector<std::string> cdi_devices{};
  // Of the content of all volumes of files; empty where there are none. Decides no restart.
  std::string files_hash{};
  // For pulling its images; decides no restart and is not part of the hash.
  std::vector<RegistryCredential> pull_credentials{};
  // It finds the agent's socket for data at kDataSocket.
  bool data_api = false;
  // Kept with each container and given back by observe(); the runtime reads none of them.
  std::map<std::string, std::string> labels;
};

// "host.domain", or the hostname alone where there is no domain.
std::string full_name(const PodSpec& pod);

// Quality of service, as Kubernetes tells it from requests and limits of cpu and memory.
enum class QosClass { BestEffort, Burstable, Guaranteed };
QosClass qos_class(const PodSpec& pod);
// What a Pod asks for as a whole: what its containers and sidecars need together, or what one of
// its init containers needs with the sidecars before it, whichever is more. Only requests and
// `extended` are set.
Resources request_of(const PodSpec& pod);
// Whom the kernel kills first for want of memory, -997 to 1000, higher first (proc(5),
// oom_score_adj). `device_memory`: bytes; 0: not known.
int oom_score_adj(const PodSpec& pod, const ContainerSpec& container, int64_t device_memory);

// What a Pod needs from the image store: the images of its containers, then of its volumes.
struct ImageNeed {
  std::string reference;
  PullPolicy pull_policy = PullPolicy::IfNotPresent;
};
std::vector<ImageNeed> images_of(const PodSpec& pod);

// An image in the store. `digest` is that of the record's target (index or manifest).
struct Image {
  std::string name;        // full reference, e.g. docker.io/library/busybox:1.36
  std::string digest;      // sha256:…
  int64_t size = 0;        // bytes of content for this platform
  bool preloaded = false;  // it was laid ready on the device and may not be had again
  bool imported = false;   // nor may this: it was put there by hand, or by somebody else
  bool operator==(const Image&) const = default;
};

// What stands in env, command and args for what is known only once a Pod has its network. No text
// that a person writes has such a control character.
inline constexpr std::string_view kPodIpMark = "\x01pod-ip\x01";
inline constexpr std::string_view kHostIpMark = "\x01host-ip\x01";
// Likewise, also in files of volumes, for what is given to a Pod when it is made.
inline constexpr std::string_view kPodUidMark = "\x01pod-uid\x01";

// Where a container finds its Pod's socket for data, and the variable that says so.
inline constexpr const char* kDataSocket = "/run/wherry/data.sock";
inline constexpr const char* kDataSocketVariable = "WHERRY_DATA_SOCKET";

// A unit of a counted resource that a container was started with.
struct HeldDevice {
  std::string resource;
  std::string unit;      // path of a device node, or a qualified CDI name
  std::string number{};  // of the node as it was then: "c 188:0"; empty where there is none
  bool operator==(const HeldDevice&) const = default;
};

enum class ContainerState { Created, Running, Exited, Unknown };

struct ContainerStatus {
  std::string id;  // containerd's, unique on the device
  std::string pod;
  std::string name;
  std::string image;
  std::string image_digest;
  ContainerRole role = ContainerRole::Main;
  uint32_t attempt = 0;  // how many times this container was started before (restarts)
  ContainerState state = ContainerState::Unknown;
  uint32_t pid = 0;  // 0 unless Running
  int32_t exit_code = 0;
  bool oom_killed = false;
  bool before_boot = false;  // Exited because the device was rebooted, not by itself
  WallTime started_at{};
  WallTime finished_at{};
  std::string message{};  // Exited: what it left as its last words
  // Cpu and memory that it was given; nothing where its record does not say.
  std::optional<Resources> size{};
  std::vector<HeldDevice> devices{};
};

struct PodStatus {
  std::string name;
  std::string hash;                           // PodSpec::hash it was created from
  std::map<std::string, std::string> labels;  // PodSpec::labels
  std::string ip;                             // empty with host network, or while there is none
  // True when the Pod's network is as its containers were started with: always with host network;
  // else the namespace still exists (after a reboot it does not).
  bool network_ready = false;
  std::vector<ContainerStatus> containers;
  // Volume -> name and digest of the image it shows.
  std::map<std::string, std::pair<std::string, std::string>> volume_images{};
};

}  // namespace wherry::runtime

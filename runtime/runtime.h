#pragma once
// The door of the runtime room: what the agent may ask of the container stack.
// All calls are thread-safe and block; every one has a deadline of its own inside and returns early
// when its token is cancelled. All are idempotent: after a crash at any point the same call again
// completes or adopts what is there. Calls for one Pod must not run at the same time; calls for
// different Pods may.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct Event {
  enum class Kind {
    ContainerExited,  // look at the container again
    ContainerOom,     // a process of it was killed for memory
    Connected,        // the container stack is reachable (again): look at everything
    Disconnected,     // it went away; `detail` says why
    ImagesChanged,
  };
  Kind kind;
  std::string pod;  // where it concerns one
  std::string container_id;
  std::string detail;
};
// Called from the runtime's own thread; must not block and must not call the runtime.
using EventSink = std::function<void(const Event&)>;

class Runtime {
 public:
  virtual ~Runtime() = default;

  // Everything of ours that exists: running, dead or half made. The only truth about what runs.
  // Unavailable while the container stack is not reachable.
  virtual Result<std::vector<PodStatus>> observe() = 0;

  // Host side of a Pod before its first container: directories, network namespace, CNI.
  // Returns the Pod's IP ("" with host network).
  virtual Result<std::string> prepare_pod(const PodSpec& pod, CancelToken cancel) = 0;

  // Snapshot, container, task, start. The image must be in the store (Images::ensure).
  // A container of this Pod and name that is already running with the same attempt is adopted; a
  // dead one is removed first. Returns it running. On failure nothing of this container is left
  // behind. Error reasons: ErrImageNeverPull/ImageNotPresent, CreateContainerError,
  // RunContainerError, CreateContainerConfigError (run_as_non_root, missing hostPath …).
  virtual Result<ContainerStatus> start_container(const PodSpec& pod,
                                                  const ContainerSpec& container, uint32_t attempt,
                                                  CancelToken cancel) = 0;

  // Sends a signal to the first process. NotFound when it does not run any more.
  virtual Status signal_container(const std::string& container_id, int signal) = 0;

  // Kills it if it runs (SIGKILL, all processes), then removes task, container and snapshot.
  // Success when it does not exist.
  virtual Status remove_container(const std::string& container_id) = 0;

  // Removes what prepare_pod made, the Pod's logs and emptyDirs, and any container left of it.
  // Success when there is nothing.
  virtual Status remove_pod(const std::string& pod) = 0;

  // Host side things (directories, namespaces, addresses, leases) whose Pod is in neither `pods`
  // nor observe() are left over from a crash: removes them. Called after the first observe().
  virtual Status collect_leftovers(const std::vector<std::string>& pods) = 0;

  // Starts delivering events (one sink; call once). A Connected or Disconnected comes first.
  virtual void watch(EventSink sink) = 0;
};

// Cpu and memory of containers while they run. Thread-safe; blocks. For one Pod not at the same
// time as calls of Runtime.
class Resizer {
 public:
  virtual ~Resizer() = default;
  // Gives a running container what `container` (of `pod`) says by now, also for observe(). NotFound
  // where it does not run. FailedPrecondition with reason MemoryInUse where it holds more memory
  // than the new limit: it keeps the old one.
  virtual Status resize(const PodSpec& pod, const ContainerSpec& container,
                        const std::string& container_id) = 0;
};

// How the device is doing. What is not known is 0.
struct DeviceGauge {
  struct Disk {
    std::string holds;  // "containerd's snapshots"
    int64_t total = 0, free = 0;
  };
  int64_t memory_total = 0, memory_available = 0;
  // Percent of the last minute in which everything waited for memory (PSI, full avg60).
  double memory_stalled = 0;
  int64_t processes = 0, processes_most = 0;  // threads count
  std::vector<Disk> disks;
};
struct PodUsage {
  int64_t memory = 0;                         // that cannot be taken from it without swap
  int64_t processes = 0;                      // threads count
  int64_t disk = 0;                           // writable layers, emptyDirs on disk and logs
  std::map<std::string, int64_t> containers;  // of the disk: writable layer and log, by name
  std::map<std::string, int64_t> volumes;     // of the disk: by name
};
// Thread-safe; blocks.
class Gauges {
 public:
  virtual ~Gauges() = default;
  virtual DeviceGauge device() = 0;
  // By Pod. `disk`: that, too, which walks its files.
  virtual Result<std::map<std::string, PodUsage>> pods(bool disk) = 0;
};

struct ExecRequest {
  std::string container_id;
  std::vector<std::string> argv;
  Duration timeout = std::chrono::seconds(1);  // from its start on; then it is killed
  size_t max_output = 4096;  // bytes kept of each stream; the rest is read and lost
};
struct ExecResult {
  int32_t exit_code = 0;
  std::string out, err;
};

// Runs programs inside containers that run. Thread-safe; blocks.
class Execs {
 public:
  virtual ~Execs() = default;
  // With the environment, user and limits of the container's own process. NotFound where it does
  // not run, or ended meanwhile; DeadlineExceeded after the timeout, with what it printed in the
  // message; FailedPrecondition where there is no such program.
  virtual Result<ExecResult> exec(const ExecRequest& request, CancelToken cancel) = 0;
};

// A container that runs and is to be probed.
struct ProbeTarget {
  std::string container_id;
  std::string pod;
  std::shared_ptr<const ContainerSpec> container;
  std::string address;   // of the Pod, where a probe names no host
  MonoTime since{};      // when it began to run, as far as is known
  bool adopted = false;  // it ran before: failures within the initial delay do not count
  bool operator==(const ProbeTarget&) const = default;
};
// Said when it changes, not at every probe. A failure of the startup or liveness probe is said
// once.
struct ProbeNews {
  enum class Kind { Started, Ready, NotReady, StartupFailed, LivenessFailed };
  std::string container_id;
  std::string pod;
  std::string container;
  Kind kind = Kind::Started;
  std::string message;  // of the last check
};
struct HookRequest {
  std::string container_id;
  std::string pod;
  std::string container;
  Handler handler;
  std::string address;
  Duration timeout{};
  bool pre_stop = false;  // else postStart
};
struct HookDone {
  HookRequest hook;
  Status status;
};

// Probes and lifecycle hooks. Neither call blocks; what comes of them is told through the sink.
class Health {
 public:
  struct Sink {  // called from the prober's own threads; must not block
    std::function<void(ProbeNews)> probed;
    std::function<void(HookDone)> hooked;
  };
  virtual ~Health() = default;
  virtual void listen(Sink sink) = 0;  // once, first
  // From now on these, and no others.
  virtual void watch(std::vector<ProbeTarget> targets) = 0;
  // Answered exactly once, soon after its timeout at the latest.
  virtual void run(HookRequest hook) = 0;
};

struct PullProgress {
  int64_t done_bytes = 0;        // that are on the device, those of before included
  int64_t total_bytes = 0;       // 0: not known yet
  int64_t bytes_per_second = 0;  // received lately; 0: nothing, or not known yet
  int64_t checking_bytes = 0;    // of those there: being read through before more is asked for
};
// Called from threads of the pull, a few times a second at most; must not block.
using ProgressSink = std::function<void(const PullProgress&)>;

struct PullRequest {
  std::string reference;
  std::vector<RegistryCredential> credentials{};  // tried before those of the device
  ProgressSink progress{};                        // may be empty
};

struct PruneRequest {
  // Everything that may go, rather than what images.gc.high or the room for a pull asks for.
  bool all = false;
  // References of pulls that were refused for want of space and are still wanted: room is made for
  // them too. Those of others are forgotten.
  std::vector<std::string> waiting{};
};
struct PruneReport {
  std::vector<Image> removed;
  int64_t freed_bytes = 0;        // of the disk, by what it says itself before and after
  std::vector<std::string> fits;  // of PruneRequest::waiting: may be tried again at once
};
// An image that nobody needs, as long as this name means this digest.
struct RemovableImage {
  std::string name, digest;
  bool operator==(const RemovableImage&) const = default;
};
// What may go now, those to go first first. Asked again right before each removal: whoever comes to
// want an image takes it from this list first, and looks for it with find() or pull() then, which
// wait for a removal that has begun. Called from any thread.
using RemovableImages = std::function<std::vector<RemovableImage>()>;

class Images {
 public:
  virtual ~Images() = default;

  // In the store, complete and unpacked, by any form of reference ("busybox", "host/x:1",
  // "…@sha256:…"). NotFound otherwise; InvalidArgument with reason InvalidImageName for what is no
  // reference.
  virtual Result<Image> find(const std::string& reference) = 0;
  // Fetches, verifies and unpacks. After a failure that may pass, or a cancel, what has arrived is
  // kept for the next attempt until drop_abandoned(), or until a lease lets it expire; what is not
  // an image leaves nothing. Reasons: ErrImagePull, RegistryUnavailable, InvalidImageName,
  // CredentialHelperFailed, and the message says what to do; Error::retry_after() where the
  // registry says when to come back.
  virtual Result<Image> pull(const PullRequest& request, CancelToken cancel) = 0;
  virtual Result<std::vector<Image>> list() = 0;
  // Imports an OCI or docker archive (tar; plain, gzip or zstd) and unpacks it.
  virtual Result<std::vector<Image>> import_archive(const std::string& path,
                                                    CancelToken cancel) = 0;
  // Removes the record; containerd's collector takes content and snapshots nobody else needs.
  virtual Status remove(const std::string& reference) = 0;
  // Of pulls that did not come to their end, in this life of the agent or an earlier one, nothing
  // is left but for those of references in `wanted` and those going on now.
  virtual Status drop_abandoned(const std::vector<std::string>& wanted) = 0;
  // Removes images one by one as far as is asked for, of those only that the owner of the door
  // names as removable, and waits until containerd has collected them. Cheap when there is nothing
  // to do.
  virtual Result<PruneReport> prune(const PruneRequest& request, CancelToken cancel) = 0;
};

// Which log lines to read. Times are inclusive.
struct LogQuery {
  std::string pod;
  std::string container;  // empty: all of the Pod, interleaved by time
  int64_t tail = -1;      // last n lines; -1: all
  WallTime since{};
  bool follow = false;
  bool timestamps = false;
};

class Logs {
 public:
  virtual ~Logs() = default;
  // Writes lines to `sink` until the end, or, with follow, until it returns false or `cancel`
  // fires. NotFound where the Pod or container has no log.
  using LineSink = std::function<bool(std::string_view bytes)>;
  virtual Status read(const LogQuery& query, const LineSink& sink, CancelToken cancel) = 0;
};

}  // namespace wherry::runtime

#pragma once
// containerd's gRPC API in plain types: services v1 as containerd 1.6 to 2.x serve them.
// Every call has a deadline of its own. Deleting what does not exist succeeds; creating what exists
// gives AlreadyExists, for the caller to adopt. Unavailable while containerd is not reachable: at
// once, without waiting, and again usable at once when it is back.
// Thread-safe; one connection for all.

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {

class Transport;

struct Mount {
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

struct ContainerRecord {
  std::string id;
  StringMap labels;
  std::string image;
  std::string runtime_name;     // io.containerd.runc.v2
  std::string runtime_options;  // serialised containerd.runc.v1.Options; empty: the defaults
  std::string spec_json;        // OCI runtime spec; not filled by list()
  std::string snapshotter;
  std::string snapshot_key;
  WallTime created_at{};
};

// Records only; nothing runs because of them.
class Containers {
 public:
  explicit Containers(std::shared_ptr<Transport> transport);
  // `filters` in containerd's syntax, joined by "or"; none: all of the namespace.
  Result<std::vector<ContainerRecord>> list(const std::vector<std::string>& filters);
  Result<ContainerRecord> get(const std::string& id);  // NotFound
  Status create(const ContainerRecord& container, const CancelToken* cancel = nullptr);
  // Replaces labels and specification; the rest stays.
  Status update(const std::string& id, const StringMap& labels, const std::string& spec_json);
  Status remove(const std::string& id);

 private:
  std::shared_ptr<Transport> transport_;
};

enum class TaskState { Unknown, Created, Running, Stopped, Paused };

struct TaskInfo {
  std::string container_id;
  TaskState state = TaskState::Unknown;
  uint32_t pid = 0;
  uint32_t exit_code = 0;  // where Stopped
  WallTime exited_at{};
};

struct TaskIo {
  std::string stdout_uri;  // binary://, file://, or empty: discarded
  std::string stderr_uri;
};

class Tasks {
 public:
  explicit Tasks(std::shared_ptr<Transport> transport);
  // Starts the shim and makes the process, not yet running. Returns its pid.
  Result<uint32_t> create(const std::string& container_id, const std::vector<Mount>& rootfs,
                          const TaskIo& io, const CancelToken* cancel = nullptr);
  Result<uint32_t> start(const std::string& container_id, const CancelToken* cancel = nullptr);
  // NotFound where the process is gone.
  Status kill(const std::string& container_id, int signal, bool all);
  // Until the first process has ended, at most `timeout` (DeadlineExceeded). Gives its exit code.
  Result<uint32_t> wait(const std::string& container_id, Duration timeout);
  // FailedPrecondition while the process runs.
  Status remove(const std::string& container_id);
  Result<TaskInfo> get(const std::string& container_id);  // NotFound
  // `resources_json`: the OCI specification's linux.resources; what it leaves out stays.
  Status update(const std::string& container_id, const std::string& resources_json);

  // Further processes of a task, each named by an exec id. `process_json`: the OCI specification's
  // process. It is made, not yet started.
  Status exec(const std::string& container_id, const std::string& exec_id,
              const std::string& process_json, const TaskIo& io);
  Status start_exec(const std::string& container_id, const std::string& exec_id);
  Result<TaskInfo> get_exec(const std::string& container_id, const std::string& exec_id);
  Status kill_exec(const std::string& container_id, const std::string& exec_id, int signal);
  Result<uint32_t> wait_exec(const std::string& container_id, const std::string& exec_id,
                             Duration timeout);
  Status remove_exec(const std::string& container_id, const std::string& exec_id);

  Result<std::vector<TaskInfo>> list();

 private:
  std::shared_ptr<Transport> transport_;
};

struct SnapshotInfo {
  std::string name;
  std::string parent;
  bool committed = false;
  StringMap labels;
};

class Snapshots {
 public:
  Snapshots(std::shared_ptr<Transport> transport, std::string snapshotter);
  // AlreadyExists; NotFound where there is no such parent.
  Result<std::vector<Mount>> prepare(const std::string& key, const std::string& parent,
                                     const StringMap& labels, const std::string& lease = "",
                                     const CancelToken* cancel = nullptr);
  // Read-only; removed like any other.
  Result<std::vector<Mount>> view(const std::string& key, const std::string& parent,
                                  const std::string& lease, const CancelToken* cancel = nullptr,
                                  const StringMap& labels = {});
  Result<std::vector<Mount>> mounts(const std::string& key);
  Status commit(const std::string& name, const std::string& key, const std::string& lease = "",
                const StringMap& labels = {});
  // Missing: success.
  Status remove_label(const std::string& key, const std::string& label);
  Status remove(const std::string& key);
  Result<SnapshotInfo> stat(const std::string& key);  // NotFound
  Result<std::vector<SnapshotInfo>> list(const std::vector<std::string>& filters);
  Result<int64_t> usage(const std::string& key);  // bytes that it holds itself
  const std::string& snapshotter() const { return snapshotter_; }

 private:
  std::shared_ptr<Transport> transport_;
  std::string snapshotter_;
};

class ImageRecords {
 public:
  explicit ImageRecords(std::shared_ptr<Transport> transport);
  Result<ImageRecord> get(const std::string& name);  // NotFound
  Result<std::vector<ImageRecord>> list();
  Status put(const ImageRecord& image, const std::string& lease);  // creates or replaces
  // Waits until containerd's garbage collector has run, so that the space is free.
  Status remove(const std::string& name);

 private:
  std::shared_ptr<Transport> transport_;
};

// What the daemon may take to read and hash so many bytes, on top of a call's ordinary time: twice
// what an old card and SHA-256 in software take, for once an agent was killed it may be at it
// twice.
constexpr Duration reading_time(int64_t bytes) {
  constexpr int64_t kSlowest = 256 << 10;  // bytes per second
  return std::chrono::seconds(bytes / kSlowest);
}

class Content {
 public:
  explicit Content(std::shared_ptr<Transport> transport);
  Result<Blob> stat(const std::string& digest);  // NotFound
  // `size` bytes from `offset` on, or fewer at the end; size 0: to the end.
  Result<std::string> read(const std::string& digest, int64_t offset, int64_t size);
  Result<std::unique_ptr<BlobWriter>> open(const std::string& ref, const Descriptor& blob,
                                           const std::string& lease, const CancelToken& cancel);
  // Bytes; 0 where there is none.
  Result<int64_t> ingested(const std::string& ref, const CancelToken* cancel = nullptr);
  Status remove(const std::string& digest);                               // missing: success
  Status set_labels(const std::string& digest, const StringMap& labels);  // merged

 private:
  std::shared_ptr<Transport> transport_;
  std::atomic<int64_t> reading_{0};  // bytes of ingests that the daemon reads, to give us writers
};

// What a lease holds: content by digest, an ingest by its name, a snapshot by its key.
struct LeaseResource {
  std::string id;
  std::string type;  // "content", "ingests", "snapshots/<snapshotter>"
};

class Leases {
 public:
  explicit Leases(std::shared_ptr<Transport> transport);
  Status create(const std::string& id, Duration expires_in, const Clock& clock);  // AlreadyExists
  // `collect` waits until containerd's garbage collector has run.
  Status remove(const std::string& id, bool collect = false);
  Result<std::vector<std::string>> list();
  Result<std::vector<LeaseResource>> resources(const std::string& id);  // NotFound
  Status add(const std::string& id, const LeaseResource& resource);     // NotFound
  // Missing: success.
  Status take_off(const std::string& id, const LeaseResource& resource);

 private:
  std::shared_ptr<Transport> transport_;
};

struct ClientOptions {
  std::string address = "/run/containerd/containerd.sock";
  std::string containerd_namespace = "wherry";
  std::string snapshotter = "overlayfs";
};

struct DaemonVersion {
  std::string version;  // "1.6.20~ds1", "v2.1.0": as the daemon says it
  std::string revision;
};

// The connection and its services.
class Client {
 public:
  explicit Client(const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Result<DaemonVersion> version();
  Containers& containers() { return containers_; }
  Tasks& tasks() { return tasks_; }
  Snapshots& snapshots() { return snapshots_; }
  ImageRecords& images() { return images_; }
  Content& content() { return content_; }
  Leases& leases() { return leases_; }
  // For the adapters of this room.
  const std::shared_ptr<Transport>& transport() const { return transport_; }

 private:
  std::shared_ptr<Transport> transport_;
  Containers containers_;
  Tasks tasks_;
  Snapshots snapshots_;
  ImageRecords images_;
  Content content_;
  Leases leases_;
};

}  // namespace wherry::runtime

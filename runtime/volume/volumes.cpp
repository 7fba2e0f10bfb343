#include "runtime/volume/volumes.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/device_amounts.h"
#include "runtime/volume/directory.h"
#include "runtime/volume/host_path.h"
#include "runtime/volume/mount_point.h"
#include "runtime/volume/ownership.h"
#include "runtime/volume/pod_files.h"
#include "runtime/volume/shared_ipc.h"
#include "runtime/volume/sub_path.h"
#include "runtime/volume/volume_files.h"

namespace wherry::runtime {
namespace {

constexpr const char* kClaims = "/claims";
constexpr unsigned kPrivate = 0700;   // directories above the volumes: nobody else's business
constexpr unsigned kEmptyDir = 0777;  // as Kubernetes: containers run as any user
constexpr unsigned kFiles = 0755;     // written by us only
constexpr size_t kUidBytes = 36;

tl::unexpected<Error> fail_errno(const std::string& what) {
  return fail(errno == ENOSPC ? Code::ResourceExhausted : Code::Internal,
              what + ": " + std::strerror(errno));
}

// Names become parts of paths that are deleted recursively.
Status check_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return fail(Code::InvalidArgument, "\"" + name + "\" cannot name a directory");
  }
  return {};
}

// `root` is shared with others and stays open to them; what is ours below it is not.
Status make_private(const std::string& root, const std::string& below) {
  if (Status made = make_directories(root); !made) return made;
  return make_directories(root + below, kPrivate);
}

// Files are a Secret's: not swapped out where the kernel can promise it (6.4), so that they never
// reach the disk.
Status mount_memory(const std::string& path, unsigned mode, int64_t size, bool files) {
  if (is_mount_point(path)) return {};
  char text[16] = {};
  std::snprintf(text, sizeof text, "mode=%04o", mode);
  std::string options = text;
  if (size > 0) options += ",size=" + std::to_string(size);
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV;
  const std::string unswapped = options + ",noswap";
  if (files && mount("tmpfs", path.c_str(), "tmpfs", kFlags, unswapped.c_str()) == 0) return {};
  if (mount("tmpfs", path.c_str(), "tmpfs", kFlags, options.c_str()) != 0) {
    return fail_errno("mount a tmpfs on " + path);
  }
  return {};
}

Status mount_huge_pages(const std::string& path, unsigned mode, const Volume& volume) {
  if (is_mount_point(path)) return {};
  char text[16];
  std::snprintf(text, sizeof text, "mode=%04o", mode);
  std::string options = std::string(text) + ",pagesize=" + std::to_string(volume.huge_page);
  if (volume.size_limit > 0) options += ",size=" + std::to_string(volume.size_limit);
  if (mount("hugetlbfs", path.c_str(), "hugetlbfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) {
    return {};
  }
  const Status failed = fail_errno("mount huge pages on " + path);
  return fail(failed.error().with_reason("CreateContainerConfigError"));
}

Status unmount_all(const std::string& directory) {
  const Result<std::vector<std::string>> names = names_in(directory);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    if (Status done = unmount(directory + "/" + name); !done) return done;
  }
  return {};
}

std::string normal(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// What a reboot takes away anyway.
bool in_run_dir(const Volume& volume) {
  return volume.memory || volume.huge_page > 0 || volume.kind == Volume::Kind::Image;
}

bool is_shared(const PodSpec& pod) { return pod.containers.size() > 1 && !pod.host_ipc; }

// What is known only when the Pod is made.
bool is_open(const VolumeFile& file) {
  return file.content == kPodUidMark || is_device_amount_mark(file.content);
}

const Volume* find_volume(const PodSpec& pod, const std::string& name) {
  for (const Volume& volume : pod.volumes) {
    if (volume.name == name) return &volume;
  }
  return nullptr;
}

}  // namespace

Volumes::Volumes(std::string state_dir, std::string run_dir, HostFiles files, DataSockets sockets)
    : state_dir_(std::move(state_dir)),
      run_dir_(std::move(run_dir)),
      files_(std::move(files)),
      names_(run_dir_ + "/pods", service_names_file()),
      sockets_(std::move(sockets)) {}

std::string Volumes::source_of(const std::string& pod, const Volume& volume) const {
  if (volume.kind == Volume::Kind::HostPath) return volume.host_path;
  if (volume.owned) return disk_dir(pod) + kClaims + "/" + volume.name;
  if (volume.kind == Volume::Kind::Claim) return claims_dir() + "/" + volume.claim;
  return (in_run_dir(volume) ? run_dir(pod) : disk_dir(pod)) + "/volumes/" + volume.name;
}

Status Volumes::prepare_volume(const PodSpec& pod, const Volume& volume) {
  switch (volume.kind) {
    case Volume::Kind::HostPath:
      return prepare_host_path(volume);
    case Volume::Kind::Claim:
      return prepare_claim(pod, volume);
    case Volume::Kind::Files:
      return prepare_files(pod, volume);
    case Volume::Kind::Image:
      return make_own_directory(pod.name, volume, kFiles);
    case Volume::Kind::EmptyDir:
      break;
  }
  if (Status made = make_own_directory(pod.name, volume, kEmptyDir); !made) return made;
  return own(pod, volume, false);
}

// Of an emptyDir or of files: a directory of this Pod, on the disk or in memory.
Status Volumes::make_own_directory(const std::string& pod, const Volume& volume, unsigned mode) {
  if (Status ok = check_name(volume.name); !ok) return ok;
  const Status made =
      make_private(in_run_dir(volume) ? run_dir_ : state_dir_, "/pods/" + pod + "/volumes");
  if (!made) return made;
  const std::string path = source_of(pod, volume);
  if (mkdir(path.c_str(), mode) == 0) {
    if (chmod(path.c_str(), mode) != 0) return fail_errno("chmod " + path);  // umask
  } else if (errno != EEXIST) {  // from an earlier attempt: a container may have changed its mode
    return fail_errno("make " + path);
  }
  if (volume.huge_page > 0) return mount_huge_pages(path, mode, volume);
  if (!volume.memory) return {};
  return mount_memory(path, mode, volume.size_limit, volume.kind == Volume::Kind::Files);
}

Status Volumes::prepare_files(const PodSpec& pod, const Volume& volume) {
  if (Status made = make_own_directory(pod.name, volume, kFiles); !made) return made;
  const auto write = [&](const std::vector<VolumeFile>& files) {
    return write_volume_files(source_of(pod.name, volume), files, pod.fs_group,
                              SystemClock().wall());
  };
  if (std::none_of(volume.files.begin(), volume.files.end(), is_open)) return write(volume.files);
  const Result<std::string> own = uid(pod.name);
  if (!own) return fail(own.error());
  std::vector<VolumeFile> files = volume.files;
  for (VolumeFile& file : files) {
    if (!is_open(file)) continue;
    if (file.content == kPodUidMark) file.content = *own;
    fill_device_amounts(file.content);
  }
  return write(files);
}

Result<std::string> Volumes::uid(const std::string& pod) {
  const std::string path = disk_dir(pod) + "/uid";
  Result<std::string> known = read_file(path, kUidBytes);
  if (known && known->size() == kUidBytes) return known;
  if (Status made = make_private(state_dir_, "/pods/" + pod); !made) return fail(made.error());
  const std::string made = random_uuid();
  if (Status wrote = write_file_atomic(path, made, 0600); !wrote) return fail(wrote.error());
  return made;
}

Status Volumes::prepare_claim(const PodSpec& pod, const Volume& volume) {
  if (Status ok = check_name(volume.owned ? volume.name : volume.claim); !ok) return ok;
  const std::string below = volume.owned ? "/pods/" + pod.name + kClaims : kClaims;
  if (Status made = make_private(state_dir_, below); !made) return made;
  const std::string path = source_of(pod.name, volume);
  if (mkdir(path.c_str(), kEmptyDir) == 0) {
    if (chmod(path.c_str(), kEmptyDir) != 0) return fail_errno("chmod " + path);
    if (Status synced = sync_directory(state_dir_ + below); !synced) return synced;
  } else if (errno != EEXIST) {
    return fail_errno("make " + path);
  }
  if (Status ok = failpoint("volume.prepare.claim"); !ok) return ok;
  return own(pod, volume, pod.fs_group_if_needed);
}

// Once for each Pod and boot: what is in a volume may be much.
Status Volumes::own(const PodSpec& pod, const Volume& volume, bool if_needed) {
  if (!pod.fs_group) return {};
  const std::string note = run_dir(pod.name) + "/owned-" + volume.name;
  if (access(note.c_str(), F_OK) == 0) return {};
  Status given = give_to_group(source_of(pod.name, volume), *pod.fs_group, if_needed);
  if (!given) return fail(given.error(), "fsGroup of volume " + volume.name);
  if (Status ok = failpoint("volume.prepare.owned"); !ok) return ok;
  const Fd file(open(note.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  return file.valid() ? Status() : Status(fail_errno("make " + note));
}

Status Volumes::write_files(const PodSpec& pod, const PodAddress& address) {
  const std::string base = run_dir(pod.name);
  std::string resolv = read_file(files_.resolv_conf).value_or("");
  const std::string full = full_name(pod);
  std::string hosts =
      make_hosts(full == pod.hostname ? full : full + "\t" + pod.hostname, address.ip);
  std::string hostname = pod.hostname_is_full ? full : pod.hostname;
  if (pod.host_network) {
    if (Result<std::string> own = read_file(files_.hosts)) hosts = std::move(*own);
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) == 0) hostname = name;
  } else if (pod.dns.of_device) {
    resolv = usable_resolv_conf(pod, resolv);
  }
  if (!hosts.empty() && hosts.back() != '\n') hosts += '\n';
  hosts += make_aliases(pod.host_aliases);
  if (Status wrote = write_in_place(base + "/hostname", hostname + "\n"); !wrote) return wrote;
  if (Status wrote = write_in_place(base + "/resolv.conf", with_dns(resolv, pod.dns)); !wrote) {
    return wrote;
  }
  return names_.put(pod.name, address, std::move(hosts));
}

std::string Volumes::usable_resolv_conf(const PodSpec& pod, const std::string& host_text) const {
  PodResolvConf usable = make_resolv_conf(host_text);
  if (usable.usable == 0 && usable.removed > 0) {
    const Result<std::string> upstream = read_file(files_.resolved_upstream);
    if (upstream) usable = make_resolv_conf(*upstream);
  }
  if (usable.usable == 0 && usable.removed > 0 && pod.dns.nameservers.empty()) {
    log_warn("the host's nameservers are not reachable from a Pod: it has no DNS",
             {{"workload", pod.name}, {"file", files_.resolv_conf}});
  }
  return std::move(usable.text);
}

Status Volumes::prepare(const PodSpec& pod, const PodAddress& address) {
  if (Status ok = check_name(pod.name); !ok) return ok;
  if (Status made = make_private(run_dir_, "/pods/" + pod.name); !made) return made;
  if (Status ok = failpoint("volume.prepare.made"); !ok) return ok;
  for (const Volume& volume : pod.volumes) {
    const Status ready = prepare_volume(pod, volume);
    if (!ready) return fail(ready.error(), "prepare volumes of " + pod.name);
  }
  if (is_shared(pod)) {
    const std::string below = "/pods/" + pod.name + "/volumes";
    if (Status made = make_private(run_dir_, below); !made) return made;
    if (Status made = make_shared_ipc(run_dir_ + below); !made) return made;
    if (Status ok = failpoint("volume.prepare.ipc"); !ok) return ok;
  }
  if (pod.data_api) {
    if (Status opened = open_data_socket(pod.name); !opened) return opened;
  }
  if (Status ok = failpoint("volume.prepare.volumes"); !ok) return ok;
  return write_files(pod, address);
}

// The directory is what containers see, so that the socket in it may be another one after a restart
// of the agent.
Status Volumes::open_data_socket(const std::string& pod) {
  if (!sockets_.open) {
    return fail(Code::FailedPrecondition, "the data API is not served", "CreateContainerError");
  }
  if (Status made = make_directories(data_dir(pod), 0755); !made) return made;
  const Status opened = sockets_.open(pod, data_dir(pod));
  if (!opened) return fail(opened.error(), "serve the data API to " + pod);
  return {};
}

void Volumes::reopen_data_sockets() {
  const auto pods = names_in(run_dir_ + "/pods");
  if (!pods) return log_warn("data sockets", {{"error", pods.error().full()}});
  for (const std::string& pod : *pods) {
    struct stat info {};
    if (stat(data_dir(pod).c_str(), &info) != 0) continue;
    if (const Status opened = open_data_socket(pod); !opened) {
      log_warn("a workload cannot hand in data",
               {{"workload", pod}, {"error", opened.error().full()}});
    }
  }
}

Result<BindMount> Volumes::bind_of(const PodSpec& pod, const ContainerSpec& container,
                                   const Volume& volume, const VolumeMount& mount, size_t index) {
  const bool files = volume.kind == Volume::Kind::Files;
  const bool image = volume.kind == Volume::Kind::Image;
  const bool read_only = mount.read_only || volume.read_only || files || image;
  std::string source = source_of(pod.name, volume);
  if (!mount.sub_path.empty()) {
    if (Status ok = check_name(container.name); !ok) return fail(ok.error());
    const std::string directory = "/pods/" + pod.name + "/subpaths/" + container.name;
    if (Status made = make_private(run_dir_, directory); !made) return fail(made.error());
    const std::string target = run_dir_ + directory + "/" + std::to_string(index);
    const bool may_create = !files && !image && !volume.read_only;
    if (Status bound = bind_sub_path(source, mount.sub_path, may_create, target); !bound) {
      return fail(bound.error());
    }
    source = target;
  }
  return BindMount{std::move(source), normal(mount.mount_path), read_only, mount.propagation};
}

Result<std::vector<BindMount>> Volumes::mounts(const PodSpec& pod, const ContainerSpec& container) {
  std::vector<BindMount> binds;
  for (const VolumeMount& mount : container.mounts) {
    const Volume* volume = find_volume(pod, mount.volume);
    if (volume == nullptr) {
      return fail(Code::InvalidArgument,
                  "container " + container.name + " mounts volume \"" + mount.volume +
                      "\", which the Pod does not have",
                  "CreateContainerConfigError");
    }
    auto bind = bind_of(pod, container, *volume, mount, binds.size());
    if (!bind) return fail(bind.error(), "volume " + volume->name);
    binds.push_back(std::move(*bind));
  }
  const auto is_taken = [&](const std::string& destination) {
    return std::any_of(binds.begin(), binds.end(),
                       [&](const BindMount& bind) { return bind.destination == destination; });
  };
  if ((is_shared(pod) || pod.host_ipc) && !is_taken("/dev/shm")) {
    std::string shm = pod.host_ipc ? "/dev/shm" : run_dir(pod.name) + "/volumes/" + kShmName;
    binds.push_back({std::move(shm), "/dev/shm", false, MountPropagation::None});
  }
  const std::string message = normal(container.message_path);
  if (!message.empty() && !is_taken(message)) {
    if (Status made = make_message_file(pod, container); !made) return fail(made.error());
    binds.push_back(
        {message_file(pod.name, container.name), message, false, MountPropagation::None});
  }
  const std::string data = std::string(kDataSocket).substr(0, std::string(kDataSocket).rfind('/'));
  if (pod.data_api && !is_taken(data)) {
    binds.push_back({data_dir(pod.name), data, true, MountPropagation::None});
  }
  const bool read_only = container.security.read_only_root_filesystem;
  for (const char* file : {"hosts", "hostname", "resolv.conf"}) {
    const std::string destination = std::string("/etc/") + file;
    if (!is_taken(destination))
      binds.push_back(
          {run_dir(pod.name) + "/" + file, destination, read_only, MountPropagation::None});
  }
  std::sort(binds.begin(), binds.end(), [](const BindMount& a, const BindMount& b) {
    return a.destination < b.destination;  // a parent is a prefix, so it comes first
  });
  return binds;
}

std::string Volumes::ipc_path(const PodSpec& pod) const {
  return is_shared(pod) ? run_dir(pod.name) + "/volumes/" + kIpcName : "";
}

std::string Volumes::message_file(const std::string& pod, const std::string& container) const {
  return disk_dir(pod) + "/messages/" + container;
}

Status Volumes::make_message_file(const PodSpec& pod, const ContainerSpec& container) {
  if (Status ok = check_name(container.name); !ok) return ok;
  if (Status made = make_private(state_dir_, "/pods/" + pod.name + "/messages"); !made) return made;
  const std::string path = message_file(pod.name, container.name);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("delete " + path);
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.valid() || fchmod(file.get(), 0666) != 0) return fail_errno("make " + path);
  return {};
}

std::string Volumes::read_message(const std::string& pod, const std::string& container) const {
  constexpr off_t kMost = 4096;  // as in Kubernetes
  const Fd file(open(message_file(pod, container).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0) return {};
  std::string text(kMost, '\0');
  const off_t from = std::max<off_t>(0, info.st_size - kMost);
  const ssize_t got = pread(file.get(), text.data(), text.size(), from);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

Status Volumes::remove(const std::string& pod) {
  if (Status ok = check_name(pod); !ok) return ok;
  if (sockets_.close) sockets_.close(pod);
  const std::string parts = run_dir(pod) + "/subpaths";
  const Result<std::vector<std::string>> containers = names_in(parts);
  if (!containers) return fail(containers.error());
  for (const std::string& container : *containers) {
    if (Status done = unmount_all(parts + "/" + container); !done) return done;
  }
  if (Status done = unmount_all(run_dir(pod) + "/volumes"); !done) return done;
  if (Status ok = failpoint("volume.remove.unmounted"); !ok) return ok;
  if (Status done = names_.forget(pod); !done) return done;
  if (Status done = remove_tree(run_dir(pod)); !done) return done;
  if (Status ok = failpoint("volume.remove.files"); !ok) return ok;
  return remove_tree(disk_dir(pod));
}

Result<std::vector<std::string>> Volumes::list() {
  std::vector<std::string> pods;
  for (const std::string& base : {state_dir_, run_dir_}) {
    const Result<std::vector<std::string>> names = names_in(base + "/pods");
    if (!names) return fail(names.error());
    pods.insert(pods.end(), names->begin(), names->end());
  }
  std::sort(pods.begin(), pods.end());
  pods.erase(std::unique(pods.begin(), pods.end()), pods.end());
  return pods;
}

}  // namespace wherry::runtime

#include "runtime/volume/shared_ipc.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>

#include "base/fd.h"
#include "runtime/volume/mount_point.h"

namespace wherry::runtime {
namespace {

// As much as a container of its own has.
constexpr const char* kShmOptions = "mode=1777,size=65536k";

Status fail_errno(const std::string& what) {
  return fail(Code::Internal, what + ": " + std::strerror(errno));
}

Status make_shm(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("make " + path);
  if (is_mount_point(path)) return {};
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("shm", path.c_str(), "tmpfs", kFlags, kShmOptions) == 0) return {};
  return fail_errno("mount a tmpfs on " + path);
}

Status make_namespace(const std::string& path) {
  if (unshare(CLONE_NEWIPC) != 0) return fail_errno("make an IPC namespace");
  if (mount("/proc/thread-self/ns/ipc", path.c_str(), nullptr, MS_BIND, nullptr) == 0) return {};
  return fail_errno("mount the IPC namespace on " + path);
}

}  // namespace

Status make_shared_ipc(const std::string& directory) {
  if (Status made = make_shm(directory + "/" + kShmName); !made) return made;
  const std::string path = directory + "/" + kIpcName;
  if (is_mount_point(path)) return {};
  const Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file.valid()) return fail_errno("make " + path);
  Status result;
  try {
    // A thread's namespace is its own: nothing has to be switched back, and nothing is forked.
    std::thread([&] { result = make_namespace(path); }).join();
  } catch (const std::system_error& error) {
    return fail(Code::ResourceExhausted, std::string("start a thread: ") + error.what());
  }
  return result;
}

}  // namespace wherry::runtime

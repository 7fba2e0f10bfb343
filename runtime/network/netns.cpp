#include "runtime/network/netns.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "base/fd.h"

namespace wherry::runtime {
namespace {

constexpr long kNsfsMagic = 0x6e736673;  // linux/magic.h

tl::unexpected<Error> fail_errno(const std::string& what, int error) {
  return fail(error == EPERM ? Code::PermissionDenied : Code::Internal,
              what + ": " + std::strerror(error));
}

// Two system calls instead of the loopback plugin's process.
Status raise_loopback() {
  const Fd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  if (!control.valid() || ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) {
    return fail_errno("find the loopback", errno);
  }
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) {
    return fail_errno("raise the loopback", errno);
  }
  return {};
}

Status make_in_this_thread(const std::string& path) {
  if (unshare(CLONE_NEWNET) != 0) return fail_errno("make a network namespace", errno);
  if (Status up = raise_loopback(); !up) return up;
  if (mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail_errno("mount the network namespace on " + path, errno);
  }
  return {};
}

}  // namespace

bool is_netns(const std::string& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && info.f_type == kNsfsMagic;
}

Status create_netns(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file.valid()) return fail_errno("make " + path, errno);
  Status result;
  try {
    // A thread's namespace is its own: nothing has to be switched back, and nothing is forked.
    std::thread([&] { result = make_in_this_thread(path); }).join();
  } catch (const std::system_error& error) {
    result = fail(Code::ResourceExhausted, std::string("start a thread: ") + error.what());
  }
  if (!result) unlink(path.c_str());
  return result;
}

Status remove_netns(const std::string& path) {
  while (is_netns(path)) {
    if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      return fail_errno("unmount " + path, errno);
    }
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("delete " + path, errno);
  return {};
}

}  // namespace wherry::runtime

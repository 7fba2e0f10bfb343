#include "agent/fleet/local_door.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

namespace wherry {
namespace {

tl::unexpected<Error> failed(const std::string& what) {
  return fail(Code::Internal, what + ": " + std::strerror(errno), "ConnectionFailed");
}

}  // namespace

// A path below a descriptor is short, however long the directory's is (unix(7): 107 bytes).
LocalDoor::LocalDoor(Fd directory, Fd listener, std::string name)
    : directory_(std::move(directory)),
      listener_(std::move(listener)),
      name_(std::move(name)),
      path_("/proc/self/fd/" + std::to_string(directory_.get()) + "/" + name_) {}

LocalDoor::~LocalDoor() {
  if (directory_.valid()) unlinkat(directory_.get(), name_.c_str(), 0);
}

Result<LocalDoor> LocalDoor::open(const std::string& directory) {
  Fd at(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return failed("open " + directory);
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return failed("open a unix socket");
  LocalDoor door(std::move(at), std::move(listener), ".broker-" + random_hex(16));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  door.path_.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  if (bind(door.listener_.get(), where, sizeof address) != 0 ||
      listen(door.listener_.get(), 1) != 0) {
    return failed("make a unix socket in " + directory);
  }
  return door;
}

Result<Fd> LocalDoor::accept() const {
  Fd guest(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!guest.valid()) return failed("accept on a unix socket");
  ucred who{};
  socklen_t length = sizeof who;
  getsockopt(guest.get(), SOL_SOCKET, SO_PEERCRED, &who, &length);
  if (who.pid == getpid()) return guest;
  return fail(Code::PermissionDenied, "another process came in by the unix socket",
              "ConnectionFailed");
}

}  // namespace wherry

#include "agent/api/http_listener.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/files.h"

namespace wherry::http {
namespace {

constexpr int kBacklog = 64;

tl::unexpected<Error> failed(const std::string& what, int error) {
  const Code code = error == EACCES || error == EPERM ? Code::PermissionDenied
                    : error == EADDRINUSE             ? Code::AlreadyExists
                                                      : Code::Unavailable;
  return fail(code, what + ": " + std::strerror(error));
}

Status set_name(sockaddr_un& address, const std::string& name) {
  if (name.size() >= sizeof address.sun_path) {
    return fail(Code::InvalidArgument, "the socket's name is too long: " + name);
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  return {};
}

bool somebody_listens(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  close(fd);
  return result == 0 || (error != ECONNREFUSED && error != ENOENT);
}

Status make_way(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return failed("look at " + path, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return fail(Code::AlreadyExists,
                path + " exists and is not a socket; remove it or set api.socket");
  }
  if (somebody_listens(address)) {
    return fail(Code::AlreadyExists,
                "another process serves " + path + "; stop it or set api.socket to another path");
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove stale " + path, errno);
  return {};
}

// Before listen(): until then nobody can connect, so the mode is never wider than wanted.
Status hand_to_group(const std::string& path, const std::string& group, mode_t mode) {
  std::vector<char> buffer(16384);
  struct group entry {};
  struct group* found = nullptr;
  if (!group.empty()) {
    getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  }
  // Where the group may not be given (not root), the socket stays with its owner.
  if (found != nullptr && chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0 &&
      errno != EPERM) {
    return failed("give " + path + " to group " + group, errno);
  }
  if (chmod(path.c_str(), mode) != 0) return failed("chmod " + path, errno);
  return {};
}

struct TcpAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<TcpAddress> parse_tcp(const std::string& text) {
  const auto bad = [&] {
    return fail(
        Code::InvalidArgument,
        "\"" + text + "\" is not an address to listen on; write for example 127.0.0.1:7070");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad();
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return bad();
  std::string host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty() || host == "*") host = "[::]";
  TcpAddress address;
  if (host.front() == '[' && host.back() == ']') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
    if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) != 1) {
      return bad();
    }
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1) return bad();
  }
  return address;
}

void allow_early_bind(int fd, int family) {
  const int on = 1, off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
}

}  // namespace

Listener::Listener(Listener&& other) noexcept { *this = std::move(other); }

Listener& Listener::operator=(Listener&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(tag_, other.tag_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

Listener::~Listener() {
  if (fd_ < 0) return;
  close(fd_);
  struct stat info {};
  if (!path_.empty() && lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

Result<Listener> Listener::unix_socket(const std::string& path, const std::string& group,
                                       mode_t mode, Clients clients) {
  sockaddr_un address{};
  const size_t slash = path.find_last_of('/');
  const bool long_path = path.size() >= sizeof address.sun_path;
  if (path.empty() || (long_path && (clients == Clients::Here || slash == std::string::npos))) {
    return fail(Code::InvalidArgument, "the socket path \"" + path + "\" must have 1 to " +
                                           std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  const std::string directory = path.substr(0, slash == std::string::npos ? 0 : slash);
  if (!directory.empty()) {
    if (Status made = make_directories(directory); !made) return fail(made.error());
  }
  Fd held;
  std::string name = path;
  if (long_path) {
    held = Fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!held.valid()) return failed("open " + directory, errno);
    name = "/proc/self/fd/" + std::to_string(held.get()) + path.substr(slash);
  }
  if (Status fits = set_name(address, name); !fits) return fail(fits.error());
  if (Status way = make_way(path, address); !way) return fail(way.error());

  Listener listener;
  listener.fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener.fd_ < 0) return failed("make a socket", errno);
  if (bind(listener.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed("bind " + path, errno);
  }
  listener.path_ = path;
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0)
    listener.device_ = info.st_dev, listener.inode_ = info.st_ino;
  if (Status given = hand_to_group(path, group, mode); !given) return fail(given.error());
  if (listen(listener.fd_, kBacklog) != 0) return failed("listen on " + path, errno);
  return listener;
}

Result<Listener> Listener::tcp(const std::string& text) {
  const auto address = parse_tcp(text);
  if (!address) return fail(address.error());
  const int family = address->storage.ss_family;
  Listener listener;
  listener.fd_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener.fd_ < 0) return failed("make a socket", errno);
  allow_early_bind(listener.fd_, family);
  if (bind(listener.fd_, reinterpret_cast<const sockaddr*>(&address->storage), address->size) !=
      0) {
    return failed("bind " + text, errno);
  }
  if (listen(listener.fd_, kBacklog) != 0) return failed("listen on " + text, errno);
  return listener;
}

int Listener::port() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return 0;
}

}  // namespace wherry::http

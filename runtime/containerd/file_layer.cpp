#include "runtime/containerd/file_layer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {
namespace {

constexpr int64_t kPiece = 1 << 20;

class Handle {
 public:
  explicit Handle(int fd) : fd_(fd) {}
  Handle(const Handle&) = delete;
  Handle& operator=(Handle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Handle() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Status fail_file(const Descriptor& blob, const char* step) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return fail(full ? Code::ResourceExhausted : Code::Internal,
              std::string(step) + " " + blob.file + ": " + std::strerror(errno),
              full ? kDiskFull : "");
}

// The directory of the file, made where it is not there.
Status enter(Handle& at, const Descriptor& blob, const std::vector<std::string>& names) {
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    const char* name = names[i].c_str();
    if (mkdirat(at.get(), name, 0755) == 0) {
      if (fchmodat(at.get(), name, 0755, 0) != 0) return fail_file(blob, "directory of");
    } else if (errno != EEXIST) {
      return fail_file(blob, "directory of");
    }
    at = Handle(openat(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (at.get() < 0) return fail_file(blob, "directory of");
  }
  return {};
}

Status write_all(int fd, const Descriptor& blob, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_file(blob, "write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status copy(int fd, const Descriptor& blob, const BlobReader& read, const CancelToken& cancel) {
  Sha256 hash;
  for (int64_t at = 0; at < blob.size;) {
    if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    const auto bytes = read(at, std::min(kPiece, blob.size - at));
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) break;
    hash.update(*bytes);
    at += static_cast<int64_t>(bytes->size());
    if (Status written = write_all(fd, blob, *bytes); !written) return written;
  }
  if ("sha256:" + hash.finish_hex() == blob.digest) return {};
  return fail(Code::DataLoss, "the content of " + blob.digest + " in the store is damaged");
}

}  // namespace

Result<std::string> writable_directory(const std::vector<Mount>& mounts) {
  constexpr std::string_view kUpper = "upperdir=";
  if (mounts.size() == 1 && mounts[0].type == "bind") return mounts[0].source;
  if (mounts.size() == 1 && mounts[0].type == "overlay") {
    for (const std::string& option : mounts[0].options) {
      if (option.starts_with(kUpper)) return option.substr(kUpper.size());
    }
  }
  return fail(Code::FailedPrecondition,
              "this snapshotter's file systems cannot be written without mounting them, so it "
              "takes no files of an OCI artifact; use overlayfs or native");
}

Status write_file_layer(const std::string& directory, const Descriptor& blob,
                        const BlobReader& read, const CancelToken& cancel) {
  const std::vector<std::string> names = split(blob.file, '/');
  Handle at(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (at.get() < 0) return fail_file(blob, "snapshot for");
  if (Status entered = enter(at, blob, names); !entered) return entered;
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const Handle file(openat(at.get(), names.back().c_str(), flags, 0644));
  if (file.get() < 0) return fail_file(blob, "create");
  if (fchmod(file.get(), 0644) != 0) return fail_file(blob, "create");
  return copy(file.get(), blob, read, cancel);
}

}  // namespace wherry::runtime

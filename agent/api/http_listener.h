#pragma once
// Listening sockets.

#include <string>
#include <sys/types.h>
#include <utility>

#include "base/result.h"

namespace wherry::http {

// Owns a listening descriptor and, for a unix socket, its file: removed again when it is still
// ours.
class Listener {
 public:
  Listener() = default;
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  // Creates the parent directory where it is missing and replaces a socket nobody listens on.
  // AlreadyExists when another process serves it, or when the path is no socket.
  // Owned by `group` where such a group exists. An address has at most 107 bytes: a longer path is
  // InvalidArgument, unless clients see its directory `Elsewhere`, under a shorter name.
  enum class Clients { Here, Elsewhere };
  static Result<Listener> unix_socket(const std::string& path, const std::string& group,
                                      mode_t mode = 0660, Clients clients = Clients::Here);
  // "127.0.0.1:7070", "[::1]:7070", ":7070" (every address), port 0 for any. Numbers only: a
  // device must not need DNS to listen. An address that is not there yet is fine.
  static Result<Listener> tcp(const std::string& address);

  int fd() const { return fd_; }
  int port() const;  // 0 for a unix socket
  // Whose it is: shows in the Peer of every connection that comes through it.
  const std::string& tag() const { return tag_; }
  void set_tag(std::string tag) { tag_ = std::move(tag); }

 private:
  int fd_ = -1;
  std::string path_, tag_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace wherry::http

#pragma once
// An OCI registry of the test's own: Debian's docker-registry, on plain HTTP unless told otherwise.

#include <memory>
#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {

struct RegistryOptions {
  std::string certificate, key;  // PEM files: it speaks TLS
  std::string client_ca;         // with TLS: only clients whose certificate is of this one
  std::string users;             // htpasswd lines, see htpasswd()
  std::string auth;              // YAML below `auth:` instead, in flow style
  std::string storage;           // of another registry that has the images already
};

// "user:<bcrypt>", as htpasswd(1) writes it.
std::string htpasswd(const std::string& user, const std::string& password);

class Registry {
 public:
  explicit Registry(const RegistryOptions& options = {});

  int port() const { return port_; }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& storage() const { return storage_; }  // to damage a blob, say
  std::string log() const { return read_text(dir_ / "registry.log"); }

  // Copies an OCI archive to <host>/<repository:tag>, and returns that reference. Digests are kept.
  std::string push(const std::string& oci_archive, const std::string& repository_and_tag);

  void start();
  void stop();
  void restart() { stop(), start(); }

 private:
  int port_;
  TempDir dir_;
  std::string storage_;
  std::unique_ptr<Process> process_;
};

}  // namespace wherry::test

#pragma once
// Where the images of a registry host come from, by containerd's own files (containerd
// docs/hosts.md): <hosts_dir>/<host>/hosts.toml, or certificates as docker places them.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

// PEM files, which may be one and the same.
struct ClientPair {
  std::string certificate, key;
  bool operator==(const ClientPair&) const = default;
};

// How a server is trusted, and how we show ourselves.
struct TlsOptions {
  bool skip_verify = false;
  std::vector<std::string> ca_files;  // trusted besides the system's
  std::vector<ClientPair> clients;    // what is shown is the first that the server can take
  bool operator==(const TlsOptions&) const = default;
};

struct RegistryHost {
  std::string base;  // "https://registry-1.docker.io/v2", no slash at the end
  bool resolve = true;
  bool pull = true;
  bool mirror = false;  // not the host of the reference: it is told which one is meant (?ns=)
  bool origin = false;  // what the reference's host stands for, so that its credentials are for it
  Duration dial_timeout{};  // for a connection to be made; zero: as for all
  TlsOptions tls;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Hosts in the order to try. Without a directory for `host`: the host itself, over HTTPS, or plain
// HTTP for localhost and loopback addresses. `hosts_dir` may be empty. Error: FailedPrecondition
// that names file and line.
Result<std::vector<RegistryHost>> registry_hosts(const std::string& hosts_dir,
                                                 const std::string& host);

// One hosts.toml; `path` is for messages, and relative certificate files are below its directory.
Result<std::vector<RegistryHost>> parse_hosts_toml(std::string_view toml, const std::string& path,
                                                   const std::string& host);

bool is_loopback_host(std::string_view host);  // "localhost:5000", "127.0.0.1", "[::1]:5000"

}  // namespace wherry::runtime

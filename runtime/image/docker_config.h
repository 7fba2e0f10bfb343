#pragma once
// Docker's form of credentials: config.json, and the Secrets that Kubernetes makes of it.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct DockerConfig {
  std::vector<RegistryCredential> auths;
  std::string store;                           // "credsStore": asked for every host
  std::map<std::string, std::string> helpers;  // "credHelpers", by host
};

// Error: InvalidArgument; says where, and never what is written there.
Result<DockerConfig> parse_docker_config(std::string_view json);
// What a Secret holds: of type kubernetes.io/dockerconfigjson, or with `legacy` of type
// kubernetes.io/dockercfg, which is the content of "auths" alone.
Result<std::vector<RegistryCredential>> parse_pull_secret(std::string_view json, bool legacy);

// How a key of "auths" names a registry: "https://index.docker.io/v1/" is "docker.io",
// "http://host:5000/team" is "host:5000/team".
std::string credential_host(std::string_view key);

// Those of `all` that are for this repository, the most specific first. As in Kubernetes: a host
// may have wildcards that stand for a part of its name ("*.registry.io"; so "*.io" is not for
// "a.registry.io"), its port must be the same, and a path holds for all that begins with it.
std::vector<RegistryCredential> credentials_for(const std::vector<RegistryCredential>& all,
                                                const std::string& host,
                                                const std::string& repository);

}  // namespace wherry::runtime

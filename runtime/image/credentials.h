#pragma once
// Whose word counts with a registry: the Pods' Secrets, docker's config.json, programs that know.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "runtime/image/auth.h"
#include "runtime/types.h"

namespace wherry::runtime {

// Where the device itself has credentials. Both may be empty.
struct DeviceCredentials {
  std::string docker_config;  // path of a config.json; its helpers are programs in PATH
  std::string helper;         // path of a program that speaks docker-credential-helpers' protocol
  Duration helper_deadline = std::chrono::seconds(30);
};

// The credentials for one repository of one host, best first: those of the Pods, then docker's file
// (the helper of this host, or else that of all, then what it holds itself), then the device's
// helper. Each place is looked into only when nothing before it was right. Not thread-safe.
class CredentialQueue {
 public:
  CredentialQueue(const std::vector<RegistryCredential>& of_pods, DeviceCredentials device,
                  std::string host, std::string repository);

  // Nothing: there are no more. A place that cannot be read is logged and counts as having none;
  // trouble() then says what was wrong with the first. Error: Cancelled only.
  Result<std::optional<Credential>> next(const CancelToken& cancel);
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  enum class Place { DockerConfig, Helper, End };
  Status look_into(Place place, const CancelToken& cancel);
  Status look_into_docker_config(const CancelToken& cancel);
  Status ask(const std::string& program, const std::string& origin, const CancelToken& cancel);

  const DeviceCredentials device_;
  const std::string host_;
  const std::string repository_;
  Place place_ = Place::DockerConfig;
  std::deque<Credential> ready_;
  std::optional<Error> trouble_;
};

// Asks a credential helper for `server`. Nothing where it knows none. Errors have the reason
// CredentialHelperFailed and nothing of its output; Cancelled.
Result<std::optional<Credential>> ask_credential_helper(const std::string& program,
                                                        const std::string& server,
                                                        Duration deadline,
                                                        const CancelToken& cancel);

}  // namespace wherry::runtime

#pragma once
// Image references as docker, containerd and Kubernetes users write them.

#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry::runtime {

struct Reference {
  std::string host;        // "docker.io", "localhost:5000", "[::1]:5000"
  std::string repository;  // "library/busybox"
  std::string tag;         // "latest" where neither tag nor digest is written
  std::string digest;      // "sha256:…" or empty; decides when both are there

  // As containerd stores it: host/repository@digest where there is a digest, else
  // host/repository:tag.
  std::string name() const;
  std::string repository_name() const { return host + "/" + repository; }
  bool operator==(const Reference&) const = default;
};

// Short forms are completed as docker does: "busybox" is docker.io/library/busybox:latest. The part
// before the first '/' is a host when it contains '.' or ':' or is "localhost". Grammar: OCI
// distribution-spec, "Pulling manifests", with docker's limit of 255 characters for the name.
// Error: InvalidArgument with reason InvalidImageName; the message names the wrong part.
Result<Reference> parse_reference(std::string_view text);

bool is_valid_tag(std::string_view tag);
// One or more path components such as "library/busybox".
bool is_valid_repository(std::string_view repository);

}  // namespace wherry::runtime

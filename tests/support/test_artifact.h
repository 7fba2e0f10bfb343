#pragma once
// OCI artifacts as ORAS pushes them: files, packed directories, a config that means nothing.

#include <string>
#include <vector>

#include "tests/support/registry.h"

namespace wherry::test {

struct ArtifactBlob {
  std::string bytes;
  std::string title{};  // empty: none
  std::string media_type = "application/octet-stream";
  bool unpack = false;  // a directory that ORAS packed
};

class TestArtifact {
 public:
  explicit TestArtifact(std::vector<ArtifactBlob> blobs,
                        const std::string& type = "application/vnd.example.model.v1");

  const std::string& manifest() const { return manifest_; }
  std::string digest() const;  // of the manifest
  std::vector<ArtifactBlob> blobs;
  static constexpr const char* kConfig = "{}";

  // Over HTTP to <host>/<repository>:<tag>; gives that reference.
  std::string push(const Registry& registry, const std::string& repository,
                   const std::string& tag) const;
  // An OCI layout in the new directory `path`, which calls it `name`.
  void write_layout(const std::string& path, const std::string& name) const;

 private:
  std::string manifest_;
};

// A gzipped tar of one file.
std::string packed_directory(const std::string& file, const std::string& content);

}  // namespace wherry::test

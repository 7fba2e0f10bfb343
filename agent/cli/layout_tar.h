#pragma once
// The directory of an OCI image layout as a tar archive, made while it is sent.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wherry::cli {

class LayoutTar {
 public:
  // Errors: InvalidArgument where it is no OCI image layout.
  static Result<LayoutTar> open(const std::string& directory);

  uint64_t size() const;  // bytes of the whole archive
  // Writes the archive to `sink` until that returns false. Files that are not as open() saw them
  // are an error: the archive has then ended too early.
  using Sink = std::function<bool(std::string_view bytes)>;
  Status write(const Sink& sink) const;

 private:
  struct File {
    std::string name;  // in the archive
    std::string path;
    uint64_t size = 0;
  };
  Status add(const std::string& directory, const std::string& name);
  static Status write_file(const File& file, const Sink& sink);

  std::vector<File> files_;
};

}  // namespace wherry::cli

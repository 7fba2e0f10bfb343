#pragma once
// Reading the files of an image archive, one after the other. Nothing is ever written to disk.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"

namespace wherry::runtime {

struct ArchiveEntry {
  std::string name;  // "blobs/sha256/…": no "./" in front; empty for names that leave the archive
  int64_t size = 0;
  std::string
      link;  // where it is a link: the name it stands for, empty when that leaves the archive
  bool is_link = false;
};

// The next bytes of the entry, empty at its end; valid until the next call.
using ChunkReader = std::function<Result<std::string_view>()>;

class ImageArchive {
 public:
  virtual ~ImageArchive() = default;
  // Files and links, in the archive's order; what the visitor leaves unread is skipped. May be
  // called again. Errors: InvalidArgument (no archive), DataLoss (truncated, damaged), Cancelled,
  // and what the visitor returns.
  using Visitor = std::function<Status(const ArchiveEntry&, const ChunkReader&)>;
  virtual Status each(const Visitor& visit, const CancelToken& cancel) = 0;
};

// A tar file (plain, gzip or zstd), or the directory of an OCI layout. NotFound, InvalidArgument.
Result<std::unique_ptr<ImageArchive>> open_archive(const std::string& path);

// `name` without ".", ".." and empty parts; empty where it leads outside. `from` is the folder a
// relative name starts in.
std::string inside(std::string_view from, std::string_view name);

}  // namespace wherry::runtime

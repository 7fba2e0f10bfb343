#pragma once
// What an archive holds, found in one pass, and its documents.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/archive.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {

struct ArchiveFile {
  int64_t size = 0;
  std::string digest;  // from the name below blobs/, else computed; empty for links
  std::string magic;   // the first bytes
  std::string link;    // of a link: the name it stands for
  bool is_link = false;
};

class ArchiveIndex {
 public:
  // Reads the archive once. At most 20,000 files. Files below blobs/sha256 are not read to their
  // end: whoever stores them checks them.
  static Result<ArchiveIndex> scan(ImageArchive& archive, const CancelToken& cancel);

  // Follows links; nothing where it is missing.
  const std::pair<const std::string, ArchiveFile>* find(const std::string& name) const;
  const std::pair<const std::string, ArchiveFile>* find_blob(const std::string& digest) const;
  bool looks_like_root_filesystem() const;

  // A small file's content. Kept from the scan, or read in another pass. InvalidArgument when it is
  // missing, or larger than kMaxDocument.
  Result<std::string> read(const std::string& name, const CancelToken& cancel);

 private:
  explicit ArchiveIndex(ImageArchive& archive) : archive_(&archive) {}
  Status add(const ArchiveEntry& entry, const ChunkReader& next);

  ImageArchive* archive_;
  std::map<std::string, ArchiveFile> files_;
  std::map<std::string, std::string> kept_;  // documents seen in the scan
  size_t kept_bytes_ = 0;
};

}  // namespace wherry::runtime

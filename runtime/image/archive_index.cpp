#include "runtime/image/archive_index.h"

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/image/manifest.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxFiles = 20'000;
constexpr size_t kMaxName = 1024;
constexpr int64_t kKeep = 64 << 10;           // documents up to this size are kept from the scan
constexpr size_t kKeepAll = size_t{4} << 20;  // … and no more than this together
constexpr std::string_view kBlobs = "blobs/sha256/";

bool is_blob_name(std::string_view name) {
  return name.starts_with(kBlobs) &&
         is_sha256_digest("sha256:" + std::string(name.substr(kBlobs.size())));
}

}  // namespace

Status ArchiveIndex::add(const ArchiveEntry& entry, const ChunkReader& next) {
  if (entry.name.empty() || entry.name.size() > kMaxName) return {};  // nobody can ask for it
  if (files_.size() == kMaxFiles) {
    return fail(Code::InvalidArgument, "the archive holds too many files for an image");
  }
  const auto [place, fresh] = files_.try_emplace(entry.name);
  if (!fresh)
    return fail(Code::InvalidArgument, "the archive holds " + printable(entry.name) + " twice");
  ArchiveFile& file = place->second;
  file.size = entry.size;
  file.link = entry.link;
  file.is_link = entry.is_link;
  if (entry.is_link) return {};

  const bool blob = is_blob_name(entry.name);
  Sha256 hash;
  std::string kept;
  bool keep = entry.size <= kKeep && kept_bytes_ + static_cast<size_t>(entry.size) <= kKeepAll;
  while (true) {
    const auto bytes = next();
    if (!bytes) return fail(bytes.error(), printable(entry.name));
    if (bytes->empty()) break;
    if (file.magic.empty()) {
      file.magic = bytes->substr(0, 4);
      keep = keep && (file.magic[0] == '{' || file.magic[0] == '[');
    }
    if (keep) kept += *bytes;
    if (blob && !keep) break;
    if (!blob) hash.update(*bytes);
  }
  file.digest = "sha256:" + (blob ? entry.name.substr(kBlobs.size()) : hash.finish_hex());
  if (keep && !kept.empty()) {
    kept_bytes_ += kept.size();
    kept_[entry.name] = std::move(kept);
  }
  return {};
}

Result<ArchiveIndex> ArchiveIndex::scan(ImageArchive& archive, const CancelToken& cancel) {
  ArchiveIndex index(archive);
  Status scanned = archive.each(
      [&](const ArchiveEntry& entry, const ChunkReader& next) { return index.add(entry, next); },
      cancel);
  if (!scanned) return fail(scanned.error());
  return index;
}

const std::pair<const std::string, ArchiveFile>* ArchiveIndex::find(const std::string& name) const {
  constexpr int kMaxLinks = 8;
  auto found = files_.find(inside("", name));
  for (int hops = 0; found != files_.end() && found->second.is_link; ++hops) {
    if (hops == kMaxLinks || found->second.link.empty()) return nullptr;
    found = files_.find(found->second.link);
  }
  return found == files_.end() ? nullptr : &*found;
}

const std::pair<const std::string, ArchiveFile>* ArchiveIndex::find_blob(
    const std::string& digest) const {
  return find(std::string(kBlobs) + digest.substr(digest.find(':') + 1));
}

bool ArchiveIndex::looks_like_root_filesystem() const {
  const auto below = [&](const char* folder) {
    const auto found = files_.lower_bound(folder);
    return found != files_.end() && found->first.starts_with(folder);
  };
  return below("etc/") || below("bin/") || below("usr/");
}

Result<std::string> ArchiveIndex::read(const std::string& name, const CancelToken& cancel) {
  const auto* file = find(name);
  if (file == nullptr) return fail(Code::InvalidArgument, "the archive lacks " + printable(name));
  if (const auto kept = kept_.find(file->first); kept != kept_.end()) return kept->second;
  if (file->second.size > kMaxDocument) {
    return fail(Code::InvalidArgument, printable(name) + " is larger than 4 MiB");
  }
  std::string content;
  Status read = archive_->each(
      [&](const ArchiveEntry& entry, const ChunkReader& next) -> Status {
        if (entry.name != file->first) return {};
        while (true) {
          const auto bytes = next();
          if (!bytes) return fail(bytes.error(), printable(name));
          if (bytes->empty()) return {};
          if (static_cast<int64_t>(content.size() + bytes->size()) > kMaxDocument) {
            return fail(Code::InvalidArgument, printable(name) + " is larger than 4 MiB");
          }
          content += *bytes;
        }
      },
      cancel);
  if (!read) return fail(read.error());
  return content;
}

}  // namespace wherry::runtime

#include "runtime/image/archive.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <archive.h>
#include <archive_entry.h>

#include "base/fd.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr size_t kBlock = 128u << 10;

class TarArchive final : public ImageArchive {
 public:
  explicit TarArchive(std::string path) : path_(std::move(path)) {}

  Status each(const Visitor& visit, const CancelToken& cancel) override {
    const Reader reader(archive_read_new(), archive_read_free);
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_tar(reader.get());
    if (archive_read_open_filename(reader.get(), path_.c_str(), kBlock) != ARCHIVE_OK) {
      return not_an_archive(reader.get());
    }
    bool first = true;
    while (true) {
      if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
      archive_entry* raw = nullptr;
      const int read = archive_read_next_header(reader.get(), &raw);
      if (read == ARCHIVE_EOF && first) return fail(Code::InvalidArgument, path_ + " is empty");
      if (read == ARCHIVE_EOF) return {};
      if (read < ARCHIVE_WARN) return first ? not_an_archive(reader.get()) : broken(reader.get());
      first = false;
      if (Status visited = visit_entry(reader.get(), raw, visit, cancel); !visited) return visited;
    }
  }

 private:
  using Reader = std::unique_ptr<archive, int (*)(archive*)>;

  Status visit_entry(archive* reader, archive_entry* raw, const Visitor& visit,
                     const CancelToken& cancel) {
    const auto text = [](const char* name) { return std::string(name == nullptr ? "" : name); };
    ArchiveEntry entry;
    entry.name = inside("", text(archive_entry_pathname(raw)));
    const std::string hard = text(archive_entry_hardlink(raw));
    const bool symbolic = archive_entry_filetype(raw) == AE_IFLNK;
    if (hard.empty() && !symbolic && archive_entry_filetype(raw) != AE_IFREG) return {};
    if (symbolic) {
      const std::string folder = entry.name.substr(0, entry.name.rfind('/') + 1);
      entry.link = inside(folder == entry.name ? "" : folder, text(archive_entry_symlink(raw)));
    } else if (!hard.empty()) {
      entry.link = inside("", hard);
    }
    entry.is_link = symbolic || !hard.empty();
    entry.size = entry.is_link ? 0 : archive_entry_size(raw);
    int64_t done = 0;
    return visit(entry, [&]() -> Result<std::string_view> {
      if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
      return next_block(reader, entry, done);
    });
  }

  // Holes are refused: a sparse file of a few bytes could claim exabytes of zeros.
  Result<std::string_view> next_block(archive* reader, const ArchiveEntry& entry, int64_t& done) {
    while (true) {
      const void* data = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      const int read = archive_read_data_block(reader, &data, &size, &offset);
      if (read < ARCHIVE_WARN) return broken(reader);
      const bool end = read == ARCHIVE_EOF;
      if (end ? done < entry.size : offset != done) {
        return fail(Code::InvalidArgument, path_ + ": " + printable(entry.name) +
                                               " is a sparse file; pack it without --sparse");
      }
      if (end) return std::string_view();
      done += static_cast<int64_t>(size);
      if (size > 0) return std::string_view(static_cast<const char*>(data), size);
    }
  }

  std::string detail(archive* reader) const {
    const char* text = archive_error_string(reader);
    return text == nullptr ? "" : " (" + printable(text) + ")";
  }
  tl::unexpected<Error> not_an_archive(archive* reader) const {
    return fail(
        Code::InvalidArgument,
        path_ + " is not a tar archive, plain or compressed with gzip or zstd" + detail(reader));
  }
  tl::unexpected<Error> broken(archive* reader) const {
    return fail(Code::DataLoss, path_ + " is truncated or damaged" + detail(reader));
  }

  const std::string path_;
};

// Only the places that the image layout names (image-spec, image-layout.md).
class LayoutDirectory final : public ImageArchive {
 public:
  explicit LayoutDirectory(std::string path) : path_(std::move(path)) {}

  Status each(const Visitor& visit, const CancelToken& cancel) override {
    for (const std::string& folder : {std::string(), std::string("blobs/sha256/")}) {
      for (const std::string& name : files(path_ + "/" + folder)) {
        if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
        if (Status visited = visit_file(folder + name, visit, cancel); !visited) return visited;
      }
    }
    return {};
  }

 private:
  static std::vector<std::string> files(const std::string& folder) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(folder.c_str()), closedir);
    while (listing) {
      const dirent* entry = readdir(listing.get());
      if (entry == nullptr) break;
      names.emplace_back(entry->d_name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status visit_file(const std::string& name, const Visitor& visit, const CancelToken& cancel) {
    const std::string path = path_ + "/" + name;
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (file.get() < 0 || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
    ArchiveEntry entry;
    entry.name = name;
    entry.size = info.st_size;
    return visit(entry, [&]() -> Result<std::string_view> {
      if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
      block_.resize(kBlock);
      const ssize_t size = read(file.get(), block_.data(), block_.size());
      if (size < 0) return fail(Code::DataLoss, path + ": " + std::strerror(errno));
      return std::string_view(block_.data(), static_cast<size_t>(size));
    });
  }

  const std::string path_;
  std::string block_;
};

}  // namespace

std::string inside(std::string_view from, std::string_view name) {
  if (name.starts_with("/")) return {};
  std::vector<std::string> kept;
  for (const std::string& part : split(std::string(from) + std::string(name), '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (kept.empty()) {
      return {};
    } else {
      kept.pop_back();
    }
  }
  return join(kept, "/");
}

Result<std::unique_ptr<ImageArchive>> open_archive(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    const Code code = errno == ENOENT ? Code::NotFound : Code::PermissionDenied;
    return fail(code, path + ": " + std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) return std::make_unique<LayoutDirectory>(path);
  if (S_ISREG(info.st_mode)) return std::make_unique<TarArchive>(path);
  return fail(Code::InvalidArgument, path + " is neither a file nor a directory");
}

}  // namespace wherry::runtime

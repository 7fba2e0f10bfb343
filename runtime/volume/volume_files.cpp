#include "runtime/volume/volume_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/text.h"
#include "runtime/volume/directory.h"

namespace wherry::runtime {
namespace {

constexpr const char* kData = "..data";
constexpr const char* kNextData = "..data_tmp";
constexpr mode_t kDirectory = 0755;
constexpr mode_t kGroupReads = 0440;

tl::unexpected<Error> fail_errno(const std::string& what) {
  return fail(errno == ENOSPC ? Code::ResourceExhausted : Code::Internal,
              what + ": " + std::strerror(errno));
}

std::string first_step(const std::string& path) { return path.substr(0, path.find('/')); }

class FilesWriter {
 public:
  FilesWriter(const std::string& directory, const std::vector<VolumeFile>& files,
              std::optional<int64_t> group)
      : directory_(directory), files_(files), group_(group) {}

  Status run(WallTime now) {
    const std::string current = target_of_data();
    if (current.empty() || !shows(current)) {
      const std::string next = name_for(now);
      if (Status wrote = write_all(next); !wrote) return wrote;
      if (Status ok = failpoint("volume.files.written"); !ok) return ok;
      if (Status done = swap_to(next); !done) return done;
      if (Status ok = failpoint("volume.files.swapped"); !ok) return ok;
    }
    if (Status linked = make_links(); !linked) return linked;
    return remove_stale();
  }

 private:
  std::string at(const std::string& name) const { return directory_ + "/" + name; }

  // Where ..data points; empty where it is not ours to trust.
  std::string target_of_data() const {
    char text[256] = {};
    const ssize_t length = readlink(at(kData).c_str(), text, sizeof text - 1);
    if (length <= 2) return {};
    const std::string target(text, static_cast<size_t>(length));
    const bool plain = target.starts_with("..") && target.find('/') == std::string::npos;
    return plain ? target : std::string();
  }

  mode_t mode_of(const VolumeFile& file) const { return file.mode | (group_ ? kGroupReads : 0); }

  bool is_as_wanted(const std::string& path, const VolumeFile& file) const {
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if ((info.st_mode & 07777) != mode_of(file)) return false;
    if (group_ && static_cast<int64_t>(info.st_gid) != *group_) return false;
    if (static_cast<size_t>(info.st_size) != file.content.size()) return false;
    const Result<std::string> content = read_file(path, file.content.size() + 1);
    return content && *content == file.content;
  }

  bool shows(const std::string& current) const {
    const Result<std::set<std::string>> present = files_below(at(current));
    if (!present || present->size() != files_.size()) return false;
    return std::all_of(files_.begin(), files_.end(), [&](const VolumeFile& file) {
      return present->contains(file.path) && is_as_wanted(at(current) + "/" + file.path, file);
    });
  }

  static std::string name_for(WallTime now) {
    const time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64] = {};
    std::strftime(text, sizeof text, "..%Y_%m_%d_%H_%M_%S.", &parts);
    return text + random_hex(6);
  }

  Status make_directory(const std::string& path) const {
    if (mkdir(path.c_str(), kDirectory) != 0) {
      return errno == EEXIST ? Status() : Status(fail_errno("make " + path));
    }
    const mode_t mode = kDirectory | (group_ ? S_ISGID : 0);
    const bool done = (!group_ || lchown(path.c_str(), static_cast<uid_t>(-1),
                                         static_cast<gid_t>(*group_)) == 0) &&
                      chmod(path.c_str(), mode) == 0;
    return done ? Status() : Status(fail_errno("own " + path));
  }

  Status write_one(const std::string& path, const VolumeFile& file) const {
    const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) return fail_errno("make " + path);
    std::string_view rest = file.content;
    while (!rest.empty()) {
      const ssize_t wrote = write(fd.get(), rest.data(), rest.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return fail_errno("write " + path);
      rest.remove_prefix(static_cast<size_t>(wrote));
    }
    const bool done =
        (!group_ || fchown(fd.get(), static_cast<uid_t>(-1), static_cast<gid_t>(*group_)) == 0) &&
        fchmod(fd.get(), mode_of(file)) == 0;
    return done ? Status() : Status(fail_errno("own " + path));
  }

  Status write_all(const std::string& next) const {
    if (Status made = make_directory(at(next)); !made) return made;
    for (const VolumeFile& file : files_) {
      for (size_t slash = file.path.find('/'); slash != std::string::npos;
           slash = file.path.find('/', slash + 1)) {
        const std::string parent = at(next) + "/" + file.path.substr(0, slash);
        if (Status made = make_directory(parent); !made) return made;
      }
      if (Status wrote = write_one(at(next) + "/" + file.path, file); !wrote) return wrote;
    }
    return {};
  }

  Status swap_to(const std::string& next) const {
    const std::string link = at(kNextData);
    unlink(link.c_str());
    if (symlink(next.c_str(), link.c_str()) != 0) return fail_errno("make " + link);
    if (rename(link.c_str(), at(kData).c_str()) != 0) return fail_errno("rename to " + at(kData));
    return {};
  }

  Status make_links() const {
    for (const VolumeFile& file : files_) {
      const std::string name = first_step(file.path);
      const std::string target = std::string(kData) + "/" + name;
      if (symlink(target.c_str(), at(name).c_str()) != 0 && errno != EEXIST) {
        return fail_errno("make " + at(name));
      }
    }
    return {};
  }

  // Names that are no longer shown, directories of before, and what a crash left.
  Status remove_stale() const {
    std::set<std::string> keep{kData, target_of_data()};
    for (const VolumeFile& file : files_) keep.insert(first_step(file.path));
    const Result<std::vector<std::string>> names = names_in(directory_);
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
      if (keep.contains(name)) continue;
      if (Status removed = remove_tree(at(name)); !removed) return removed;
    }
    return {};
  }

  const std::string& directory_;
  const std::vector<VolumeFile>& files_;
  const std::optional<int64_t> group_;
};

}  // namespace

Status write_volume_files(const std::string& directory, const std::vector<VolumeFile>& files,
                          std::optional<int64_t> group, WallTime now) {
  return FilesWriter(directory, files, group).run(now);
}

}  // namespace wherry::runtime

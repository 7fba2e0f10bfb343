// Images that were laid ready on the device: what a device without network lives from.

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <filesystem>
#include <memory>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/image/fetch.h"
#include "runtime/image/image_service.h"

namespace wherry::runtime {
namespace {

// Files and directories in name order.
Result<std::vector<std::string>> candidates(const std::string& dir) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(dir.c_str()), closedir);
  if (!listing && errno == ENOENT) return names;
  if (!listing) {
    return fail(Code::PermissionDenied, "images.preload_dir " + dir + ": " + std::strerror(errno));
  }
  while (const dirent* entry = readdir(listing.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Says which file, in which state; empty for what is no file of ours to look at. A directory counts
// by its index.json, which changes with every image in it.
std::string fingerprint(const std::string& path, const std::string& name) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  if (S_ISDIR(info.st_mode) && stat((path + "/index.json").c_str(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode)) return {};
  const std::string state = name + '\0' + std::to_string(info.st_size) + '\0' +
                            std::to_string(info.st_mtim.tv_sec) + '.' +
                            std::to_string(info.st_mtim.tv_nsec);
  return sha256_hex(state).substr(0, 16);
}

// A directory, or a link to one, of which something changed within the last seconds, or will have
// by a clock that is being set. What is below an OCI layout is at most two deep.
bool is_growing(const std::string& path) {
  constexpr time_t kSettled = 5;
  constexpr int kDepth = 2;
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return false;
  const time_t now = std::time(nullptr);
  const auto changed = [now](const std::string& each) {
    struct stat info {};
    return stat(each.c_str(), &info) == 0 && std::abs(now - info.st_ctim.tv_sec) < kSettled;
  };
  if (changed(path)) return true;
  auto entry = fs::recursive_directory_iterator(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry.depth() >= kDepth) entry.disable_recursion_pending();
    if (changed(entry->path())) return true;
  }
  return false;
}

bool came_from(const ImageRecord& record, const std::string& print) {
  const auto label = record.labels.find(kPreloadLabel);
  if (label == record.labels.end()) return false;
  const std::vector<std::string> archives = split(label->second, ',');
  return std::find(archives.begin(), archives.end(), print) != archives.end();
}

}  // namespace

// A power cut soon after an import may take some of its content. The archive still has it.
bool ImageService::has_all_of(const std::vector<ImageRecord>& records, const std::string& print,
                              const CancelToken& cancel) {
  bool imported = false;
  for (const ImageRecord& record : records) {
    if (!came_from(record, print)) continue;
    imported = true;
    if (!is_preloaded(record) || complete(record.target)) continue;
    const auto unpacked = unpack_local(record, cancel);
    if (unpacked) continue;
    const Error& error = unpacked.error();
    if (error.reason() == kContentDamaged || error.code() == Code::NotFound) return false;
  }
  return imported;
}

Result<PreloadReport> ImageService::preload(const std::string& dir, CancelToken cancel) {
  PreloadReport report;
  const auto names = candidates(dir);
  if (!names) return fail(names.error());
  if (names->empty()) return report;
  const auto records = backend_.images();
  if (!records) return fail(records.error());
  for (const std::string& name : *names) {
    const std::string path = dir + "/" + name;
    const std::string print = fingerprint(path, name);
    if (print.empty()) {
      report.unsettled = report.unsettled || is_growing(path);
      continue;
    }
    if (has_all_of(*records, print, cancel)) {
      ++report.unchanged;
      continue;
    }
    const auto imported = import(path, {{kPreloadLabel, print}}, cancel);
    if (!imported) {
      const Error& error = imported.error();
      if (error.code() == Code::Cancelled) return fail(error);
      const bool growing = !is_temporary(error) && is_growing(path);
      report.unsettled = report.unsettled || growing;
      if (!growing) {
        const std::lock_guard lock(mutex_);
        const bool news = is_temporary(error) || told_.insert(print).second;
        if (news) report.failed.push_back({path, error});
      }
      // Nobody is there to take the others: all are looked at again once it is back.
      if (is_temporary(error) && !backend_.images()) return report;
      continue;
    }
    for (const ImportedImage& each : *imported) {
      log_info("preloaded image imported", {{"path", path}, {"image", each.name}});
      report.imported.push_back({each.name, each.layout.target.digest, each.layout.size(), true});
    }
  }
  return report;
}

}  // namespace wherry::runtime

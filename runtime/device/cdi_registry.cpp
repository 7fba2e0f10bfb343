#include "runtime/device/cdi_registry.h"

#include <algorithm>
#include <dirent.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMostBytes = 4u << 20;  // one of a server with many devices has some 100 KiB
constexpr size_t kMostFiles = 256;

bool is_yaml(const std::string& name) { return name.ends_with(".yaml"); }

std::vector<std::string> files_in(const std::string& dir) {
  std::vector<std::string> files;
  DIR* directory = opendir(dir.c_str());
  if (directory == nullptr) return files;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.front() == '.' || (!is_yaml(name) && !name.ends_with(".json"))) continue;
    files.push_back(dir + "/" + name);
  }
  closedir(directory);
  std::sort(files.begin(), files.end());
  return files;
}

// The devices of one directory, apart: a name is disputed within it only.
void read_directory(const std::string& dir, CdiRegistry& all) {
  std::map<std::string, CdiDevice> found;
  std::map<std::string, std::string> disputed;
  const std::vector<std::string> files = files_in(dir);
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string& file = files[i];
    if (i == kMostFiles) {
      all.errors.push_back(dir + ": holds more than " + std::to_string(kMostFiles) +
                           " specifications; the rest is not read");
      break;
    }
    const auto text = read_file(file, kMostBytes);
    const Result<CdiSpec> spec =
        text ? parse_cdi_spec(*text, is_yaml(file)) : Result<CdiSpec>(fail(text.error()));
    if (!spec) {
      all.errors.push_back(printable(file) + ": " + spec.error().message());
      continue;
    }
    const auto shared = std::make_shared<const CdiSpec>(*spec);
    for (const auto& [name, edits] : shared->devices) {
      const std::string qualified = shared->kind + "=" + name;
      const auto [other, fresh] = found.emplace(qualified, CdiDevice{shared, name, file});
      if (fresh) continue;
      disputed[qualified] = "both " + other->second.file + " and " + file + " have it";
      all.errors.push_back(file + ": " + qualified + " is also in " + other->second.file +
                           ": nobody gets it; remove one of the two");
    }
  }
  for (auto& [name, device] : found) {
    all.disputed.erase(name);
    all.devices.insert_or_assign(name, std::move(device));
  }
  for (auto& [name, why] : disputed) {
    all.devices.erase(name);
    all.disputed.insert_or_assign(name, std::move(why));
  }
}

}  // namespace

std::string cdi_files_state(const std::vector<std::string>& dirs) {
  std::string state;
  for (const std::string& dir : dirs) {
    state += dir + "\n";
    for (const std::string& file : files_in(dir)) {
      struct stat info {};
      if (stat(file.c_str(), &info) != 0) continue;
      state += file;
      for (const auto part : {static_cast<int64_t>(info.st_ino), int64_t{info.st_size},
                              int64_t{info.st_mtim.tv_sec}, int64_t{info.st_mtim.tv_nsec},
                              int64_t{info.st_ctim.tv_sec}, int64_t{info.st_ctim.tv_nsec}}) {
        state += " " + std::to_string(part);
      }
      state += "\n";
    }
  }
  return state;
}

CdiRegistry read_cdi(const std::vector<std::string>& dirs) {
  CdiRegistry all;
  for (const std::string& dir : dirs) read_directory(dir, all);
  return all;
}

}  // namespace wherry::runtime

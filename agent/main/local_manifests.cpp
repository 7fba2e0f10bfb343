#include "agent/main/local_manifests.h"

#include <algorithm>
#include <filesystem>

#include "agent/manifest/document.h"
#include "base/files.h"

namespace wherry {
namespace {

namespace fs = std::filesystem;

bool is_manifest(const fs::path& path) {
  const std::string extension = path.extension().string();
  return !path.filename().string().starts_with('.') &&
         (extension == ".yaml" || extension == ".yml" || extension == ".json");
}

}  // namespace

LocalManifests read_local_manifests(const std::string& directory) {
  LocalManifests manifests;
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator file(directory, error), end; !error && file != end;
       file.increment(error)) {
    if (is_manifest(file->path())) paths.push_back(file->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    manifests.error = "read " + directory + ": " + error.message();
    return manifests;
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    auto text = read_file(path.string(), 16 * kMaxDocumentBytes);
    if (!text) {
      manifests.error = text.error().full();
      return manifests;
    }
    manifests.files.push_back({path.filename().string(), std::move(*text)});
  }
  return manifests;
}

std::vector<std::string> local_manifest_texts(const std::string& directory) {
  std::vector<std::string> texts;
  for (auto& file : read_local_manifests(directory).files) texts.push_back(std::move(file.payload));
  return texts;
}

}  // namespace wherry

// Whole archives, imported into a store in memory: all of it or nothing.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/digest.h"
#include "runtime/image/import.h"
#include "tests/fuzz/image_invariants.h"
#include "tests/unit/image/fake_backend.h"

namespace wherry {
namespace {

using namespace runtime;
using image_test::FakeImageBackend;
using Imported = Result<std::vector<ImportedImage>>;

// In memory where there is such a place; emptied for every input.
class Scratch {
 public:
  Scratch() {
    const char* memory = "/dev/shm";
    const auto place = access(memory, W_OK) == 0 ? std::filesystem::path(memory)
                                                 : std::filesystem::temp_directory_path();
    path_ = place / ("wherry-import-" + std::to_string(getpid()));
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(const std::string& name) const { return path_ / name; }
  void put(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

std::string broken_failure(const Error& error, FakeImageBackend& store) {
  if (!store.records.empty()) return "an import that failed recorded an image";
  store.collect();
  if (!store.blobs.empty() || !store.snapshots.empty()) return "a failed import left content";
  return broken_error(error, {Code::InvalidArgument, Code::NotFound, Code::DataLoss});
}

std::string broken_image(const ImportedImage& image, FakeImageBackend& store) {
  const auto record = store.records.find(image.name);
  if (record == store.records.end()) return "an image without record: " + image.name;
  const auto layout = read_layout(store, image.layout.target, {"linux", "amd64", ""});
  if (!layout) return "an image that cannot be read: " + layout.error().full();
  if (layout->chains != image.layout.chains) return "another layout than was told";
  if (Status whole = check_content(store, *layout); !whole) return whole.error().full();
  if (Status whole = check_unpacked(store, *layout); !whole) return whole.error().full();
  return broken_reference(image.name);
}

std::string broken_import(const std::string& path, Imported& imported) {
  FakeImageBackend store;
  const SystemClock clock;
  PullLeases leases(store, clock);
  Importer importer(store, "overlayfs", {"linux", "amd64", ""}, leases);
  imported = importer.import(path, {}, {});
  if (!store.leases.empty()) return "a lease is left";
  if (store.largest_write > 256u << 10) return "a layer goes through in one piece";
  if (!imported) return broken_failure(imported.error(), store);
  if (imported->empty() || store.records.empty()) return "success without an image";
  const size_t blobs = store.blobs.size();
  store.collect();
  if (store.blobs.size() != blobs) return "content that nothing keeps alive";
  for (const ImportedImage& image : *imported) {
    // Of two images of one name the later one counts.
    const bool last = store.records[image.name].target.digest == image.layout.target.digest;
    if (std::string broken = last ? broken_image(image, store) : ""; !broken.empty()) return broken;
  }
  return {};
}

struct File {
  std::string name, content;
};

// "@3" and "#3" become the digest and the size of the third file, where there is one.
std::string resolved(std::string_view text, const std::vector<File>& files) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t number = i + 1 < text.size() && text[i + 1] >= '1' && text[i + 1] <= '9'
                              ? static_cast<size_t>(text[i + 1] - '0')
                              : 0;
    if ((text[i] != '@' && text[i] != '#') || number == 0 || number > files.size()) {
      out += text[i];
      continue;
    }
    const std::string& content = files[number - 1].content;
    out += text[i] == '@' ? sha256_digest(content) : std::to_string(content.size());
    ++i;
  }
  return out;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() < 64 && name.front() != '.' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
}

std::vector<File> files_of(std::string_view text) {
  constexpr std::string_view kMark = "%% ";
  constexpr size_t kMost = 32;
  std::vector<File> files;
  while (text.starts_with(kMark) && files.size() < kMost) {
    const size_t line = std::min(text.find('\n'), text.size());
    std::string name(text.substr(kMark.size(), line - std::min(line, kMark.size())));
    text.remove_prefix(std::min(line + 1, text.size()));
    const size_t end = text.starts_with(kMark) ? 0 : std::min(text.find("\n%% "), text.size());
    std::string content = resolved(text.substr(0, end), files);
    text.remove_prefix(std::min(end == 0 ? 0 : end + 1, text.size()));
    if (name == "blob") name = "blobs/sha256/" + sha256_hex(content);
    const bool blob = name.starts_with("blobs/sha256/");
    if (!is_plain_name(blob ? name.substr(13, 63) : name)) continue;
    if (name.size() > 13 + 64 || name == "blobs") continue;
    const bool twice = std::any_of(files.begin(), files.end(),
                                   [&](const File& file) { return file.name == name; });
    if (!twice) files.push_back({std::move(name), std::move(content)});
  }
  return files;
}

std::string tar_of(const std::vector<File>& files) {
  std::string out;
  archive* writer = archive_write_new();
  archive_write_set_format_ustar(writer);
  archive_write_open(
      writer, &out, nullptr,
      [](archive*, void* to, const void* data, size_t size) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  for (const File& file : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, file.name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(file.content.size()));
    archive_write_header(writer, entry);
    archive_write_data(writer, file.content.data(), file.content.size());
    archive_entry_free(entry);
  }
  archive_write_free(writer);
  return out;
}

std::set<std::string> names_of(const Imported& imported) {
  std::set<std::string> names;
  if (!imported) return names;
  for (const ImportedImage& image : *imported) {
    names.insert(image.name + " " + image.layout.target.digest);
  }
  return names;
}

}  // namespace

std::string broken_archive(std::string_view bytes) {
  const Scratch scratch;
  scratch.put("pump.tar", bytes);
  Imported imported;
  return broken_import(scratch.path("pump.tar"), imported);
}

std::string broken_layout(std::string_view text) {
  const std::vector<File> files = files_of(text);
  if (files.empty()) return {};
  const Scratch scratch;
  for (const File& file : files) scratch.put("pump/" + file.name, file.content);
  scratch.put("pump.tar", tar_of(files));
  Imported directory, archive;
  std::string broken = broken_import(scratch.path("pump"), directory);
  if (broken.empty()) broken = broken_import(scratch.path("pump.tar"), archive);
  if (broken.empty() && names_of(directory) != names_of(archive)) {
    broken = "directory and archive do not come to the same: " +
             (directory ? "directory fine" : directory.error().full()) + "; " +
             (archive ? "archive fine" : archive.error().full());
  }
  return broken;
}

}  // namespace wherry

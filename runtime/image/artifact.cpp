#include "runtime/image/artifact.h"

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr const char* kTitle = "org.opencontainers.image.title";
constexpr const char* kUnpack = "io.deis.oras.content.unpack";
constexpr std::string_view kEmpty = "application/vnd.oci.empty.v1+json";
constexpr size_t kMaxPath = 1024;
constexpr size_t kMaxName = 255;  // of one component, as file systems have it

std::string value_of(const StringMap& annotations, const char* key) {
  const auto found = annotations.find(key);
  return found == annotations.end() ? std::string() : found->second;
}

tl::unexpected<Error> bad_title(std::string_view title, std::string_view why) {
  return fail(Code::InvalidArgument, "the title \"" + printable(title, 100) + "\" (annotation " +
                                         kTitle + ") " + std::string(why) +
                                         ", so it cannot be the name of a file");
}

}  // namespace

std::string tar_type(std::string_view type) {
  const std::string oci = "application/vnd.oci.image.layer.v1.tar";
  std::string packing;
  for (const std::string_view each : {"gzip", "zstd"}) {
    if (!type.ends_with(each)) continue;
    type.remove_suffix(each.size());
    if (!type.ends_with('.') && !type.ends_with('+')) return {};
    type.remove_suffix(1);
    packing = "+" + std::string(each);
    break;
  }
  if (!type.ends_with("tar")) return {};
  type.remove_suffix(3);
  const bool word = type.ends_with('.') || type.ends_with('-') || type.ends_with('/');
  return word ? oci + packing : std::string();
}

Result<std::string> artifact_path(std::string_view title) {
  if (title.size() > kMaxPath) return bad_title(title, "is longer than 1024 bytes");
  if (title.starts_with('/')) return bad_title(title, "is an absolute path");
  const bool control = std::any_of(title.begin(), title.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control || !is_valid_utf8(title)) {
    return bad_title(title, "has control characters or is no UTF-8");
  }
  std::vector<std::string> names;
  for (std::string& name : split(title, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..") return bad_title(title, "goes up (\"..\")");
    if (name.size() > kMaxName) return bad_title(title, "has a part longer than 255 bytes");
    names.push_back(std::move(name));
  }
  if (names.empty()) return bad_title(title, "names nothing");
  return join(names, "/");
}

bool is_empty_blob(const Descriptor& blob, const StringMap& annotations) {
  return blob.media_type == kEmpty && !annotations.contains(kTitle);
}

Status place_blob(Descriptor& blob, const StringMap& annotations) {
  const std::string tar = tar_type(blob.media_type);
  const bool titled = annotations.contains(kTitle);
  if (titled && value_of(annotations, kUnpack) != "true") {
    auto path = artifact_path(value_of(annotations, kTitle));
    if (!path) return fail(path.error());
    blob.file = std::move(*path);
    return {};
  }
  if (tar.empty()) {
    return fail(Code::InvalidArgument,
                "the blob " + blob.digest + " of type \"" + printable(blob.media_type, 100) +
                    "\" can become neither a file nor a directory: " +
                    (titled ? "it is marked to be unpacked (" + std::string(kUnpack) +
                                  ") and its type says no tar"
                            : "it has no annotation " + std::string(kTitle) +
                                  ", and its type says no tar"));
  }
  blob.media_type = tar;
  return {};
}

Status check_paths(const std::vector<Descriptor>& blobs) {
  std::set<std::string_view> paths;
  for (const Descriptor& blob : blobs) {
    if (blob.file.empty() || paths.insert(blob.file).second) continue;
    return fail(Code::InvalidArgument, "two of its blobs are called \"" + blob.file + "\"");
  }
  for (const std::string_view path : paths) {
    for (size_t at = path.find('/'); at != std::string_view::npos; at = path.find('/', at + 1)) {
      if (!paths.contains(path.substr(0, at))) continue;
      return fail(Code::InvalidArgument, "its blob \"" + std::string(path.substr(0, at)) +
                                             "\" stands where \"" + std::string(path) +
                                             "\" needs a directory");
    }
  }
  return {};
}

std::vector<std::string> artifact_chains(const std::vector<Descriptor>& blobs) {
  std::vector<std::string> chains;
  chains.reserve(blobs.size());
  for (const Descriptor& blob : blobs) {
    const std::string below = chains.empty() ? "wherry artifact 1" : chains.back();
    const std::string how = blob.file.empty() ? blob.media_type : "file " + blob.file;
    chains.push_back(sha256_digest(join({below, blob.digest, how}, "\n")));
  }
  return chains;
}

}  // namespace wherry::runtime

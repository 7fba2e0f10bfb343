#pragma once
// The JSON documents of an image: index, manifest, config (OCI image-spec 1.1 and docker image
// manifest version 2, schema 2), parsed from untrusted bytes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/image/backend.h"
#include "runtime/image/platform.h"

namespace wherry::runtime {

namespace media {
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kDockerIndex =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";

bool is_index(std::string_view type);
bool is_manifest(std::string_view type);
bool is_layer(std::string_view type);
}  // namespace media

// Indexes, manifests and configs larger than this are refused (distribution-spec names 4 MiB).
inline constexpr int64_t kMaxDocument = 4 << 20;
inline constexpr size_t kMaxLayers = 500;

struct IndexEntry {
  Descriptor target;
  std::optional<Platform> platform;  // normalized
  StringMap annotations;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;
  std::string artifact{};  // what it is where it is no container image, see artifact.h; else empty
};

struct ImageRootfs {
  Platform platform;  // normalized
  std::vector<std::string> diff_ids;
};

// All of these: InvalidArgument with a message that starts with `what` ("index.json", "manifest
// sha256:…"). Digests are checked to be sha256, sizes not to be negative, counts to be sane.
Result<std::vector<IndexEntry>> parse_index(std::string_view json, std::string_view what);
Result<Manifest> parse_manifest(std::string_view json, std::string_view what);
Result<ImageRootfs> parse_rootfs(std::string_view json, std::string_view what);

// The media type a document says it has, or the one its shape shows where it says none. Empty for
// what is neither index nor manifest, or is both at once (CVE-2021-41190).
std::string sniff_media_type(std::string_view json);

// The entry that fits `host` best; the first of equals. Entries without a platform are the last
// resort. NotFound, with a list of what there is, where nothing fits.
Result<IndexEntry> choose(const std::vector<IndexEntry>& entries, const Platform& host,
                          std::string_view what);

// Chain ids, bottom first (image-spec, config.md#layer-chainid).
std::vector<std::string> chain_ids(const std::vector<std::string>& diff_ids);

// Labels that tell containerd's collector what a document keeps alive, as its own client sets them
// (containerd docs/garbage-collection.md).
StringMap index_labels(const std::vector<IndexEntry>& entries);
StringMap manifest_labels(const Manifest& manifest);
StringMap config_labels(const std::string& snapshotter, const std::string& top_chain_id);

}  // namespace wherry::runtime

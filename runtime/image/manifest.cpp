#include "runtime/image/manifest.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/image/artifact.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxEntries = 1000;
constexpr int64_t kMaxSize = int64_t{1} << 50;  // of one blob; sums of them fit into 64 bits

tl::unexpected<Error> bad(std::string_view what, std::string_view why) {
  return fail(Code::InvalidArgument, std::string(what) + ": " + std::string(why));
}

Result<Json> parse_object(std::string_view text, std::string_view what) {
  if (static_cast<int64_t>(text.size()) > kMaxDocument) return bad(what, "larger than 4 MiB");
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return bad(what, "is not JSON");
  if (!json.is_object()) return bad(what, "is not a JSON object");
  return json;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<Descriptor> parse_descriptor(const Json& json, std::string_view what) {
  if (!json.is_object()) return bad(what, "a descriptor is not an object");
  Descriptor descriptor;
  descriptor.media_type = text_of(json, "mediaType");
  descriptor.digest = text_of(json, "digest");
  if (!is_sha256_digest(descriptor.digest)) {
    return bad(
        what, "digest \"" + printable(descriptor.digest, 100) + "\" is not sha256:<64 hex digits>");
  }
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_integer() || size->get<int64_t>() < 0 ||
      size->get<int64_t>() > kMaxSize) {
    return bad(what, "the size of " + descriptor.digest + " is missing or wrong");
  }
  descriptor.size = size->get<int64_t>();
  return descriptor;
}

std::optional<Platform> parse_platform(const Json& entry) {
  const auto found = entry.find("platform");
  if (found == entry.end() || !found->is_object()) return std::nullopt;
  return normalize(
      {text_of(*found, "os"), text_of(*found, "architecture"), text_of(*found, "variant")});
}

StringMap parse_annotations(const Json& entry) {
  StringMap annotations;
  const auto found = entry.find("annotations");
  if (found == entry.end() || !found->is_object()) return annotations;
  for (const auto& [key, value] : found->items()) {
    if (value.is_string()) annotations[key] = value.get<std::string>();
  }
  return annotations;
}

// The array `key`, bounded.
Result<const Json*> array_of(const Json& json, const char* key, size_t max, std::string_view what) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) {
    return bad(what, "has no list \"" + std::string(key) + "\"");
  }
  if (found->size() > max) return bad(what, "\"" + std::string(key) + "\" is too long");
  return &*found;
}

// What it is where it is no container image. Docker's own manifests never are anything else,
// whatever old registries called their configs.
std::string artifact_type(const Json& manifest, const std::string& config_type,
                          const std::vector<Descriptor>& layers) {
  if (text_of(manifest, "mediaType") == media::kDockerManifest) return {};
  std::string type = text_of(manifest, "artifactType");
  const bool runs = config_type.empty() || config_type == media::kOciConfig ||
                    config_type == media::kDockerConfig;
  const bool all_layers = std::all_of(layers.begin(), layers.end(), [](const Descriptor& layer) {
    return media::is_layer(layer.media_type);
  });
  if (runs && (type.empty() || all_layers)) return {};
  return type.empty() ? config_type : type;
}

// Each blob becomes something, or nothing where it stands for no content.
Status place_blobs(Manifest& manifest, const std::vector<StringMap>& annotations) {
  std::vector<Descriptor> placed;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    Descriptor& blob = manifest.layers[i];
    if (is_empty_blob(blob, annotations[i])) continue;
    if (Status done = place_blob(blob, annotations[i]); !done) return done;
    placed.push_back(std::move(blob));
  }
  manifest.layers = std::move(placed);
  return check_paths(manifest.layers);
}

}  // namespace

namespace media {

bool is_index(std::string_view type) { return type == kOciIndex || type == kDockerIndex; }
bool is_manifest(std::string_view type) { return type == kOciManifest || type == kDockerManifest; }

bool is_layer(std::string_view type) {
  return type.starts_with("application/vnd.oci.image.layer.") ||
         type.starts_with("application/vnd.docker.image.rootfs.");
}

}  // namespace media

std::string sniff_media_type(std::string_view text) {
  const auto json = parse_object(text, "document");
  if (!json) return {};
  const bool index = json->contains("manifests");
  const bool manifest = json->contains("config") || json->contains("layers");
  if (index == manifest) return {};
  std::string said = text_of(*json, "mediaType");
  if (said.empty()) said = index ? media::kOciIndex : media::kOciManifest;
  const bool fits = index ? media::is_index(said) : media::is_manifest(said);
  return fits ? said : std::string();
}

Result<std::vector<IndexEntry>> parse_index(std::string_view text, std::string_view what) {
  const auto json = parse_object(text, what);
  if (!json) return fail(json.error());
  if (json->contains("config") || json->contains("layers")) {
    return bad(what, "is an index and a manifest at once");
  }
  const auto list = array_of(*json, "manifests", kMaxEntries, what);
  if (!list) return fail(list.error());
  std::vector<IndexEntry> entries;
  for (const Json& item : **list) {
    auto target = parse_descriptor(item, what);
    if (!target) return fail(target.error());
    entries.push_back({std::move(*target), parse_platform(item), parse_annotations(item)});
  }
  return entries;
}

Result<Manifest> parse_manifest(std::string_view text, std::string_view what) {
  const auto json = parse_object(text, what);
  if (!json) return fail(json.error());
  if (json->contains("manifests")) return bad(what, "is an index and a manifest at once");
  if (json->value("schemaVersion", Json()) == 1) {
    return bad(what, "is a docker schema 1 manifest; push the image again with a newer tool");
  }
  if (!json->contains("config")) return bad(what, "has no config");
  auto config = parse_descriptor((*json)["config"], what);
  if (!config) return fail(config.error());
  const auto list = array_of(*json, "layers", kMaxLayers, what);
  if (!list) return fail(list.error());
  Manifest manifest{std::move(*config), {}};
  std::vector<StringMap> annotations;
  for (const Json& item : **list) {
    auto layer = parse_descriptor(item, what);
    if (!layer) return fail(layer.error());
    manifest.layers.push_back(std::move(*layer));
    annotations.push_back(parse_annotations(item));
  }
  manifest.artifact = artifact_type(*json, manifest.config.media_type, manifest.layers);
  if (!manifest.artifact.empty()) {
    const Status placed = place_blobs(manifest, annotations);
    return placed ? Result<Manifest>(std::move(manifest))
                  : fail(placed.error(), std::string(what) + ": is an OCI artifact (" +
                                             printable(manifest.artifact, 100) + ")");
  }
  for (const Descriptor& layer : manifest.layers) {
    if (media::is_layer(layer.media_type)) continue;
    return bad(what, "is not a container image: it holds \"" + printable(layer.media_type) + "\"");
  }
  return manifest;
}

Result<ImageRootfs> parse_rootfs(std::string_view text, std::string_view what) {
  const auto json = parse_object(text, what);
  if (!json) return fail(json.error());
  ImageRootfs rootfs;
  rootfs.platform =
      normalize({text_of(*json, "os"), text_of(*json, "architecture"), text_of(*json, "variant")});
  const auto found = json->find("rootfs");
  if (found == json->end() || !found->is_object()) return bad(what, "has no rootfs");
  const auto list = array_of(*found, "diff_ids", kMaxLayers, what);
  if (!list) return fail(list.error());
  for (const Json& item : **list) {
    if (!item.is_string() || !is_sha256_digest(item.get<std::string>())) {
      return bad(what, "a diff id is not sha256:<64 hex digits>");
    }
    rootfs.diff_ids.push_back(item.get<std::string>());
  }
  return rootfs;
}

Result<IndexEntry> choose(const std::vector<IndexEntry>& entries, const Platform& host,
                          std::string_view what) {
  constexpr int kLastResort = 1000;
  constexpr size_t kMostTold = 20;
  const IndexEntry* best = nullptr;
  int best_fit = kLastResort + 1;
  std::vector<std::string> seen;
  for (const IndexEntry& entry : entries) {
    const auto fit = entry.platform ? fitness(host, *entry.platform) : kLastResort;
    if (entry.platform && entry.platform->os != "unknown" && seen.size() <= kMostTold) {
      const bool room = seen.size() < kMostTold;
      seen.push_back(room ? printable(to_string(*entry.platform), 60) : "…");
    }
    if (!fit || *fit >= best_fit) continue;
    best = &entry;
    best_fit = *fit;
  }
  if (best != nullptr) return *best;
  return fail(Code::NotFound, std::string(what) + ": there is nothing for " + to_string(host) +
                                  "; it has " + (seen.empty() ? "no platform" : join(seen, ", ")));
}

std::vector<std::string> chain_ids(const std::vector<std::string>& diff_ids) {
  std::vector<std::string> chains;
  chains.reserve(diff_ids.size());
  for (const std::string& diff_id : diff_ids) {
    chains.push_back(chains.empty() ? diff_id : sha256_digest(chains.back() + " " + diff_id));
  }
  return chains;
}

StringMap index_labels(const std::vector<IndexEntry>& entries) {
  StringMap labels;
  size_t manifests = 0;
  size_t others = 0;
  for (const IndexEntry& entry : entries) {
    const bool manifest = media::is_manifest(entry.target.media_type);
    const std::string key =
        manifest ? "m." + std::to_string(manifests++) : std::to_string(others++);
    labels["containerd.io/gc.ref.content." + key] = entry.target.digest;
  }
  return labels;
}

StringMap manifest_labels(const Manifest& manifest) {
  StringMap labels{{"containerd.io/gc.ref.content.config", manifest.config.digest}};
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    labels["containerd.io/gc.ref.content.l." + std::to_string(i)] = manifest.layers[i].digest;
  }
  return labels;
}

StringMap config_labels(const std::string& snapshotter, const std::string& top_chain_id) {
  if (top_chain_id.empty()) return {};
  return {{"containerd.io/gc.ref.snapshot." + snapshotter, top_chain_id}};
}

}  // namespace wherry::runtime

// The documents of an image.

#include "tests/fuzz/image_invariants.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "runtime/image/artifact.h"
#include "runtime/image/manifest.h"

namespace wherry {
namespace {

using namespace runtime;
using Json = nlohmann::json;

bool is_sound(const Descriptor& blob) { return is_sha256_digest(blob.digest) && blob.size >= 0; }

bool same(const Descriptor& a, const Descriptor& b) {
  return a.media_type == b.media_type && a.digest == b.digest && a.size == b.size;
}

Json to_json(const Descriptor& blob) {
  return {{"mediaType", blob.media_type}, {"digest", blob.digest}, {"size", blob.size}};
}

Json to_json(const IndexEntry& entry) {
  Json json = to_json(entry.target);
  if (entry.platform) {
    json["platform"] = {{"os", entry.platform->os},
                        {"architecture", entry.platform->architecture},
                        {"variant", entry.platform->variant}};
  }
  json["annotations"] = entry.annotations;
  return json;
}

std::string broken_choice(const std::vector<IndexEntry>& entries, const Platform& host) {
  const auto chosen = choose(entries, host, "index");
  if (!chosen) return broken_error(chosen.error(), {Code::NotFound});
  if (chosen->platform && !fitness(host, *chosen->platform)) return "a choice that does not fit";
  const bool listed = std::any_of(entries.begin(), entries.end(), [&](const IndexEntry& entry) {
    return same(entry.target, chosen->target);
  });
  return listed ? "" : "a choice that is not in the index";
}

std::string broken_index(const std::vector<IndexEntry>& entries) {
  if (entries.size() > 1000) return "more than 1000 entries";
  Json list = Json::array();
  for (const IndexEntry& entry : entries) {
    if (!is_sound(entry.target)) return "an unsound entry";
    list.push_back(to_json(entry));
  }
  if (index_labels(entries).size() != entries.size()) return "an entry without its label";
  const std::string text = Json{{"manifests", std::move(list)}}.dump();
  if (static_cast<int64_t>(text.size()) <= kMaxDocument) {
    const auto again = parse_index(text, "again");
    if (!again) return "an index that is none written out: " + again.error().full();
    for (size_t i = 0; i < entries.size(); ++i) {
      if (again->size() != entries.size() || !same((*again)[i].target, entries[i].target) ||
          (*again)[i].platform != entries[i].platform ||
          (*again)[i].annotations != entries[i].annotations) {
        return "another index written out";
      }
    }
  }
  for (const Platform& host : {Platform{"linux", "amd64", ""}, Platform{"linux", "arm", "v7"},
                               Platform{"linux", "arm64", "v8"}}) {
    if (std::string broken = broken_choice(entries, host); !broken.empty()) return broken;
  }
  return {};
}

std::string broken_manifest(const Manifest& manifest) {
  if (!is_sound(manifest.config)) return "an unsound config";
  if (manifest.layers.size() > 500) return "more than 500 layers";
  Json layers = Json::array();
  for (const Descriptor& layer : manifest.layers) {
    if (!is_sound(layer)) return "an unsound layer";
    layers.push_back(to_json(layer));
    if (layer.file.empty()) {
      if (!media::is_layer(layer.media_type)) return "a blob that is neither layer nor file";
    } else {
      if (manifest.artifact.empty()) return "a file in an image";
      if (artifact_path(layer.file) != layer.file) return "a path that is not clean";
      layers.back()["annotations"] = {{"org.opencontainers.image.title", layer.file}};
    }
  }
  const std::vector<std::string> chains = artifact_chains(manifest.layers);
  if (std::set(chains.begin(), chains.end()).size() != manifest.layers.size()) {
    return "not a name for each snapshot";
  }
  if (manifest_labels(manifest).size() != manifest.layers.size() + 1) return "labels are missing";
  Json json{{"config", to_json(manifest.config)}, {"layers", std::move(layers)}};
  if (!manifest.artifact.empty()) json["artifactType"] = manifest.artifact;
  const auto again = parse_manifest(json.dump(), "again");
  if (!again) return "a manifest that is none written out: " + again.error().full();
  const bool equal = again->layers.size() == manifest.layers.size() &&
                     again->artifact == manifest.artifact &&
                     artifact_chains(again->layers) == chains;
  return equal ? "" : "another manifest written out";
}

std::string broken_rootfs(const ImageRootfs& rootfs) {
  if (rootfs.diff_ids.size() > 500) return "more than 500 diff ids";
  const std::vector<std::string> chains = chain_ids(rootfs.diff_ids);
  if (chains.size() != rootfs.diff_ids.size()) return "not a chain id for each diff id";
  if (normalize(rootfs.platform) != rootfs.platform) return "a platform that is not normalized";
  return std::all_of(chains.begin(), chains.end(), is_sha256_digest) ? "" : "an odd chain id";
}

}  // namespace

std::string broken_image_document(std::string_view text) {
  const auto index = parse_index(text, "index");
  const auto manifest = parse_manifest(text, "manifest");
  const auto rootfs = parse_rootfs(text, "config");
  if (index && manifest) return "an index and a manifest at once";
  const std::string type = sniff_media_type(text);
  if (media::is_index(type) && manifest) return "a manifest that looks like an index";
  if (media::is_manifest(type) && index) return "an index that looks like a manifest";
  if (!type.empty() && !media::is_index(type) && !media::is_manifest(type)) return "an odd type";

  std::string broken =
      index ? broken_index(*index) : broken_error(index.error(), {Code::InvalidArgument});
  if (broken.empty()) {
    broken = manifest ? broken_manifest(*manifest)
                      : broken_error(manifest.error(), {Code::InvalidArgument});
  }
  if (broken.empty()) {
    broken =
        rootfs ? broken_rootfs(*rootfs) : broken_error(rootfs.error(), {Code::InvalidArgument});
  }
  return broken;
}

}  // namespace wherry

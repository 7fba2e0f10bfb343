#include "runtime/image/import_plan.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/image/reference.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

// Of one archive, together: an index may name the same large manifest a thousand times.
constexpr size_t kMaxNames = 1000;
constexpr size_t kMaxDocuments = size_t{16} << 20;

}  // namespace

Status ImportPlan::keep(PlannedImage& image, PlannedDocument document) {
  document_bytes_ += document.bytes.size();
  if (document_bytes_ > kMaxDocuments) {
    return fail(Code::InvalidArgument,
                "the manifests and configs of its images are larger than 16 MiB together");
  }
  image.documents.push_back(std::move(document));
  return {};
}

Status ImportPlan::make() {
  if (index_.find("index.json") != nullptr) {
    auto json = index_.read("index.json", cancel_);
    return json ? oci(*json) : fail(json.error());
  }
  if (index_.find("manifest.json") != nullptr) {
    auto json = index_.read("manifest.json", cancel_);
    return json ? docker(*json) : fail(json.error());
  }
  return fail(Code::InvalidArgument,
              index_.looks_like_root_filesystem()
                  ? "the archive is a file system, not an image; make it with \"docker save\", not "
                    "\"docker export\""
                  : "the archive has neither index.json nor manifest.json: it holds no image");
}

Result<std::string> ImportPlan::oci_name(const IndexEntry& entry) const {
  const auto annotation = [&](const char* key) {
    const auto found = entry.annotations.find(key);
    return found == entry.annotations.end() ? std::string() : found->second;
  };
  std::string name = annotation("io.containerd.image.name");
  if (name.empty()) {
    name = annotation("org.opencontainers.image.ref.name");
    if (name.empty() || name == stem_)
      name = stem_;
    else if (is_valid_tag(name))
      name = stem_ + ":" + name;
  }
  const auto reference = parse_reference(name);
  if (!reference) return fail(reference.error(), "index.json");
  return reference->name();
}

// Entries of one name are one image for several platforms.
Status ImportPlan::oci(const std::string& json) {
  auto entries = parse_index(json, "index.json");
  if (!entries) return fail(entries.error());
  std::map<std::string, std::vector<IndexEntry>> by_name;
  std::vector<std::string> order;
  for (IndexEntry& entry : *entries) {
    auto name = oci_name(entry);
    if (!name) return fail(name.error());
    if (!by_name.contains(*name)) order.push_back(*name);
    by_name[*name].push_back(std::move(entry));
  }
  if (order.empty()) return fail(Code::InvalidArgument, "index.json lists no image");
  for (const std::string& name : order) {
    const auto entry = choose(by_name[name], platform_, "image " + name);
    if (!entry) return fail(entry.error());
    if (Status added = add_oci_image({name}, entry->target); !added) return added;
  }
  return {};
}

// From the archive, or from the store where the archive leaves out what is known to be there.
Result<std::string> ImportPlan::document(const Descriptor& blob) {
  const auto* file = index_.find_blob(blob.digest);
  if (file == nullptr) {
    auto local = read_document(backend_, blob);
    if (local || local.error().code() != Code::NotFound) return local;
    return fail(Code::InvalidArgument, "the archive lacks the blob " + blob.digest);
  }
  auto bytes = index_.read(file->first, cancel_);
  if (!bytes) return bytes;
  if (static_cast<int64_t>(bytes->size()) != blob.size || sha256_digest(*bytes) != blob.digest) {
    return fail(Code::DataLoss,
                "the archive's blob " + blob.digest + " does not match its digest and size");
  }
  return bytes;
}

Status ImportPlan::add_oci_image(std::vector<std::string> names, const Descriptor& target) {
  PlannedImage image{std::move(names), {}, {}};
  image.layout.target = image.layout.manifest = target;
  auto bytes = document(target);
  if (!bytes) return fail(bytes.error());
  if (!media::is_index(target.media_type) && !media::is_manifest(target.media_type)) {
    image.layout.target.media_type = image.layout.manifest.media_type = sniff_media_type(*bytes);
  }
  for (int depth = 0; media::is_index(image.layout.manifest.media_type); ++depth) {
    if (depth == 2) return fail(Code::InvalidArgument, "indexes within indexes within indexes");
    const std::string what = "index " + image.layout.manifest.digest;
    const auto entries = parse_index(*bytes, what);
    if (!entries) return fail(entries.error());
    const auto entry = choose(*entries, platform_, what);
    if (!entry) return fail(entry.error());
    image.layout.index_size += image.layout.manifest.size;
    Status kept =
        keep(image, {"index", image.layout.manifest, std::move(*bytes), index_labels(*entries)});
    if (!kept) return kept;
    image.layout.manifest = entry->target;
    bytes = document(image.layout.manifest);
    if (!bytes) return fail(bytes.error());
  }
  auto manifest = parse_manifest(*bytes, "manifest " + image.layout.manifest.digest);
  if (!manifest) return fail(manifest.error());
  image.layout.content = std::move(*manifest);
  for (const Descriptor& layer : image.layout.content.layers) {
    const auto* file = index_.find_blob(layer.digest);
    if (file == nullptr && !backend_.stat_blob(layer.digest)) {
      return fail(Code::InvalidArgument, "the archive lacks the layer " + layer.digest);
    }
    if (file != nullptr) layers_[file->first] = layer;
  }
  return finish(std::move(image), std::move(*bytes));
}

// Config, chains and labels: the same for both kinds of archive.
Status ImportPlan::finish(PlannedImage image, std::string manifest_bytes) {
  const Descriptor& blob = image.layout.content.config;
  const auto ready =
      std::find_if(image.documents.begin(), image.documents.end(),
                   [](const PlannedDocument& each) { return each.kind == "config"; });
  std::string config;
  if (ready != image.documents.end()) {
    config = ready->bytes;
    image.documents.erase(ready);
  } else {
    auto bytes = document(blob);
    if (!bytes) return fail(bytes.error());
    config = std::move(*bytes);
  }
  if (Status added = add_rootfs(image.layout, config); !added) return added;
  StringMap manifest = manifest_labels(image.layout.content);
  StringMap of_config;
  (image.layout.is_artifact() ? manifest : of_config)
      .merge(config_labels(snapshotter_, image.layout.top_chain()));
  Status kept = keep(
      image, {"manifest", image.layout.manifest, std::move(manifest_bytes), std::move(manifest)});
  if (kept) kept = keep(image, {"config", blob, std::move(config), std::move(of_config)});
  if (!kept) return kept;
  images_.push_back(std::move(image));
  return {};
}

Status ImportPlan::docker(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array() || json.empty()) {
    return fail(Code::InvalidArgument, "manifest.json is not a list of images");
  }
  for (const Json& item : json) {
    if (Status added = docker_image(item); !added) return fail(added.error(), "manifest.json");
  }
  return {};
}

Result<std::vector<std::string>> ImportPlan::docker_names(const Json& item) const {
  std::vector<std::string> names;
  const auto tags = item.find("RepoTags");
  if (tags != item.end() && tags->is_array()) {
    for (const Json& tag : *tags) {
      const auto reference = parse_reference(tag.is_string() ? tag.get<std::string>() : "");
      if (!reference) return fail(reference.error(), "RepoTags");
      names.push_back(reference->name());
    }
  }
  if (!names.empty()) return names;
  // Several images without a name: pump, pump-2, …
  const std::string number = images_.empty() ? "" : "-" + std::to_string(images_.size() + 1);
  const auto reference = parse_reference(stem_ + number);
  if (!reference) return fail(reference.error());
  return std::vector<std::string>{reference->name()};
}

Result<Descriptor> ImportPlan::docker_layer(const Json& name) {
  if (!name.is_string()) return fail(Code::InvalidArgument, "a layer is not a file name");
  const auto* file = index_.find(name.get<std::string>());
  if (file == nullptr) {
    return fail(Code::InvalidArgument,
                "the archive lacks the layer " + printable(name.get<std::string>()));
  }
  std::string_view type = media::kDockerLayer;
  if (file->second.magic.starts_with("\x1f\x8b")) type = media::kDockerLayerGzip;
  if (file->second.magic == "\x28\xb5\x2f\xfd") type = media::kOciLayerZstd;
  Descriptor layer{std::string(type), file->second.digest, file->second.size};
  layers_[file->first] = layer;
  return layer;
}

Status ImportPlan::docker_image(const Json& item) {
  if (!item.is_object() || !item.contains("Config") || !item["Config"].is_string() ||
      !item.contains("Layers") || !item["Layers"].is_array()) {
    return fail(Code::InvalidArgument, "an image lacks Config or Layers");
  }
  auto names = docker_names(item);
  if (!names) return fail(names.error());
  names_ += names->size();
  if (names_ > kMaxNames) return fail(Code::InvalidArgument, "it names too many images");
  PlannedImage image{std::move(*names), {}, {}};
  auto config = index_.read(item["Config"].get<std::string>(), cancel_);
  if (!config) return fail(config.error(), "config");
  Manifest& content = image.layout.content;
  content.config = {std::string(media::kDockerConfig), sha256_digest(*config),
                    static_cast<int64_t>(config->size())};
  image.documents.push_back({"config", content.config, std::move(*config), {}});

  const auto json_of = [](const Descriptor& blob) {
    return Json{{"mediaType", blob.media_type}, {"digest", blob.digest}, {"size", blob.size}};
  };
  Json manifest{{"schemaVersion", 2},
                {"mediaType", media::kDockerManifest},
                {"config", json_of(content.config)},
                {"layers", Json::array()}};
  if (item["Layers"].size() > kMaxLayers) return fail(Code::InvalidArgument, "too many layers");
  for (const Json& name : item["Layers"]) {
    auto layer = docker_layer(name);
    if (!layer) return fail(layer.error());
    manifest["layers"].push_back(json_of(*layer));
    content.layers.push_back(std::move(*layer));
  }
  std::string bytes = manifest.dump();
  image.layout.target =
      image.layout.manifest = {std::string(media::kDockerManifest), sha256_digest(bytes),
                               static_cast<int64_t>(bytes.size())};
  return finish(std::move(image), std::move(bytes));
}

std::string image_stem(const std::string& path) {
  std::string stem = path;
  while (stem.size() > 1 && stem.ends_with('/')) stem.pop_back();
  stem.erase(0, stem.rfind('/') + 1);
  bool again = true;
  while (again) {
    again = false;
    for (const std::string_view ending :
         {".tar", ".gz", ".tgz", ".zst", ".zstd", ".oci", ".docker"}) {
      if (!stem.ends_with(ending) || stem.size() == ending.size()) continue;
      stem.resize(stem.size() - ending.size());
      again = true;
    }
  }
  std::string name;
  for (char c : stem) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool separator = c == '.' || c == '_' || c == '-';
    const bool joins =
        !name.empty() && (name.back() == '.' || name.back() == '_' || name.back() == '-');
    if (plain)
      name += c;
    else if (!name.empty() && !joins)
      name += separator ? c : '-';
  }
  while (!name.empty() && (name.back() == '.' || name.back() == '_' || name.back() == '-'))
    name.pop_back();
  name.resize(std::min<size_t>(name.size(), 100));
  return is_valid_repository(name) && !(name.size() == 64) ? name : "image";
}

}  // namespace wherry::runtime

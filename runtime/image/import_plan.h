#pragma once
// What an archive holds: its images, their documents, and which of its files are layers. Private to
// the importer.

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/archive_index.h"
#include "runtime/image/store.h"

namespace wherry::runtime {

// A document on its way into the store.
struct PlannedDocument {
  std::string kind;
  Descriptor blob;
  std::string bytes;
  StringMap labels;
};

struct PlannedImage {
  std::vector<std::string> names;
  ImageLayout layout;
  std::vector<PlannedDocument> documents;
};

// "/x/Pump.tar.gz" -> "pump": a valid repository name, whatever the file is called.
std::string image_stem(const std::string& path);

// Finds out which images an archive holds and which of its files are their layers.
class ImportPlan {
 public:
  ImportPlan(ImageBackend& backend, ArchiveIndex& index, const std::string& path, Platform platform,
             std::string snapshotter, const CancelToken& cancel)
      : backend_(backend),
        index_(index),
        stem_(image_stem(path)),
        platform_(std::move(platform)),
        snapshotter_(std::move(snapshotter)),
        cancel_(cancel) {}

  Status make();
  std::vector<PlannedImage>& images() { return images_; }
  // By file name.
  const std::map<std::string, Descriptor>& layers() const { return layers_; }

 private:
  Status oci(const std::string& json);
  Status docker(const std::string& json);
  Status docker_image(const nlohmann::json& item);
  Result<std::string> oci_name(const IndexEntry& entry) const;
  Result<std::vector<std::string>> docker_names(const nlohmann::json& item) const;
  Result<std::string> document(const Descriptor& blob);
  Status add_oci_image(std::vector<std::string> names, const Descriptor& target);
  Status finish(PlannedImage image, std::string manifest_bytes);
  Result<Descriptor> docker_layer(const nlohmann::json& name);
  Status keep(PlannedImage& image, PlannedDocument document);

  ImageBackend& backend_;
  ArchiveIndex& index_;
  const std::string stem_;
  const Platform platform_;
  const std::string snapshotter_;
  const CancelToken& cancel_;
  std::vector<PlannedImage> images_;
  std::map<std::string, Descriptor> layers_;
  size_t document_bytes_ = 0;
  size_t names_ = 0;
};

}  // namespace wherry::runtime

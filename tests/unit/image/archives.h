#pragma once
// Small images and archives, made on the spot.

#include <string>
#include <utility>
#include <vector>

#include "runtime/image/backend.h"

namespace wherry::image_test {

using Files = std::vector<std::pair<std::string, std::string>>;  // name, content

enum class Packing { Plain, Gzip, Zstd };

// A tar of regular files; a content that begins with "-> " makes a symbolic link, with "=> " a hard
// link.
std::string make_tar(const Files& files, Packing packing = Packing::Plain);
// A gzip or zstd stream of `bytes`.
std::string pack(const std::string& bytes, Packing packing);

struct TestLayer {
  std::string blob;     // as stored
  std::string diff_id;  // of the tar
  std::string media_type;
};
TestLayer make_layer(const std::string& file, const std::string& content,
                     Packing packing = Packing::Gzip);
// Of any bytes, also such as are no tar.
TestLayer layer_of(const std::string& tar, Packing packing = Packing::Gzip);

// An OCI image for one platform.
struct TestImage {
  std::string config, manifest;
  std::vector<TestLayer> layers;
  std::string digest() const;  // of the manifest
};
TestImage make_image(std::vector<TestLayer> layers, const std::string& architecture = "amd64",
                     const std::string& variant = "");

// {"digest":…,"size":…,"mediaType":…} for a blob.
std::string descriptor_json(const std::string& bytes, const std::string& media_type,
                            const std::string& more = "");
std::string blob_name(const std::string& bytes);  // blobs/sha256/…

// The files of an OCI layout with one entry; `annotations` is a JSON object.
Files oci_files(const TestImage& image, const std::string& annotations = "{}");
// What "docker save" writes, with plain layers.
Files docker_files(const TestImage& image, const std::string& repo_tags);

}  // namespace wherry::image_test

#include "tests/unit/image/archives.h"

#include <stdexcept>

#include <archive.h>
#include <archive_entry.h>

#include "base/digest.h"
#include "base/text.h"

namespace wherry::image_test {
namespace {

la_ssize_t append(archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

void add_filter(archive* writer, Packing packing) {
  if (packing == Packing::Gzip) archive_write_add_filter_gzip(writer);
  if (packing == Packing::Zstd) archive_write_add_filter_zstd(writer);
  archive_write_set_bytes_per_block(writer, 0);
}

void add_entry(archive* writer, const std::string& name, const std::string& content) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_perm(entry, 0644);
  const bool symbolic = content.starts_with("-> ");
  const bool hard = content.starts_with("=> ");
  const bool link = symbolic || hard;
  archive_entry_set_filetype(entry, symbolic ? AE_IFLNK : AE_IFREG);
  if (symbolic) archive_entry_set_symlink(entry, content.c_str() + 3);
  if (hard) archive_entry_set_hardlink(entry, content.c_str() + 3);
  archive_entry_set_size(entry, link ? 0 : static_cast<la_int64_t>(content.size()));
  if (archive_write_header(writer, entry) != ARCHIVE_OK) {
    throw std::runtime_error(archive_error_string(writer));
  }
  if (!link) archive_write_data(writer, content.data(), content.size());
  archive_entry_free(entry);
}

}  // namespace

std::string make_tar(const Files& files, Packing packing) {
  std::string out;
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  add_filter(writer, packing);
  archive_write_open(writer, &out, nullptr, append, nullptr);
  for (const auto& [name, content] : files) add_entry(writer, name, content);
  archive_write_close(writer);
  archive_write_free(writer);
  return out;
}

std::string pack(const std::string& bytes, Packing packing) {
  std::string out;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  add_filter(writer, packing);
  archive_write_open(writer, &out, nullptr, append, nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  return out;
}

TestLayer make_layer(const std::string& file, const std::string& content, Packing packing) {
  return layer_of(make_tar({{file, content}}), packing);
}

TestLayer layer_of(const std::string& tar, Packing packing) {
  TestLayer layer;
  layer.diff_id = sha256_digest(tar);
  layer.media_type = "application/vnd.oci.image.layer.v1.tar";
  if (packing == Packing::Gzip) layer.media_type += "+gzip";
  if (packing == Packing::Zstd) layer.media_type += "+zstd";
  layer.blob = packing == Packing::Plain ? tar : pack(tar, packing);
  return layer;
}

std::string descriptor_json(const std::string& bytes, const std::string& media_type,
                            const std::string& more) {
  return R"({"mediaType":")" + media_type + R"(","digest":")" + sha256_digest(bytes) +
         R"(","size":)" + std::to_string(bytes.size()) + more + "}";
}

std::string blob_name(const std::string& bytes) { return "blobs/sha256/" + sha256_hex(bytes); }

std::string TestImage::digest() const { return sha256_digest(manifest); }

TestImage make_image(std::vector<TestLayer> layers, const std::string& architecture,
                     const std::string& variant) {
  TestImage image;
  std::vector<std::string> diff_ids;
  std::vector<std::string> blobs;
  for (const TestLayer& layer : layers) {
    diff_ids.push_back("\"" + layer.diff_id + "\"");
    blobs.push_back(descriptor_json(layer.blob, layer.media_type));
  }
  image.config = R"({"os":"linux","architecture":")" + architecture + R"(","variant":")" + variant +
                 R"(","config":{"Cmd":["/x"]},"rootfs":{"type":"layers","diff_ids":[)" +
                 join(diff_ids, ",") + "]}}";
  image.manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      descriptor_json(image.config, "application/vnd.oci.image.config.v1+json") + R"(,"layers":[)" +
      join(blobs, ",") + "]}";
  image.layers = std::move(layers);
  return image;
}

Files oci_files(const TestImage& image, const std::string& annotations) {
  Files files{{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
              {blob_name(image.config), image.config},
              {blob_name(image.manifest), image.manifest}};
  for (const TestLayer& layer : image.layers) files.emplace_back(blob_name(layer.blob), layer.blob);
  files.emplace_back("index.json", R"({"schemaVersion":2,"manifests":[)" +
                                       descriptor_json(image.manifest,
                                                       "application/vnd.oci.image.manifest.v1+json",
                                                       R"(,"annotations":)" + annotations) +
                                       "]}");
  return files;
}

Files docker_files(const TestImage& image, const std::string& repo_tags) {
  Files files;
  std::vector<std::string> names;
  for (const TestLayer& layer : image.layers) {
    const std::string name = sha256_hex(layer.blob) + "/layer.tar";
    names.push_back("\"" + name + "\"");
    files.emplace_back(name, layer.blob);
  }
  files.emplace_back(sha256_hex(image.config) + ".json", image.config);
  files.emplace_back("manifest.json", R"([{"Config":")" + sha256_hex(image.config) +
                                          R"(.json","RepoTags":)" + repo_tags + R"(,"Layers":[)" +
                                          join(names, ",") + "]}]");
  return files;
}

}  // namespace wherry::image_test

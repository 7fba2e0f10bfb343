#include "tests/support/test_artifact.h"

#include <filesystem>
#include <stdexcept>

#include <archive.h>
#include <archive_entry.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "base/digest.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr const char* kManifest = "application/vnd.oci.image.manifest.v1+json";

json descriptor(const std::string& type, const std::string& bytes) {
  return {{"mediaType", type}, {"digest", sha256_digest(bytes)}, {"size", bytes.size()}};
}

void upload(httplib::Client& client, const std::string& repository, const std::string& bytes) {
  const auto begun = client.Post("/v2/" + repository + "/blobs/uploads/", "", "text/plain");
  if (!begun || begun->status != 202) throw std::runtime_error("the registry takes no upload");
  std::string place = begun->get_header_value("Location");
  if (const size_t host = place.find("://"); host != std::string::npos) {
    place.erase(0, place.find('/', host + 3));
  }
  place += (place.find('?') == std::string::npos ? "?" : "&");
  const auto put =
      client.Put(place + "digest=" + sha256_digest(bytes), bytes, "application/octet-stream");
  if (!put || put->status != 201) throw std::runtime_error("the registry did not take a blob");
}

}  // namespace

TestArtifact::TestArtifact(std::vector<ArtifactBlob> wanted, const std::string& type)
    : blobs(std::move(wanted)) {
  json layers = json::array();
  for (const ArtifactBlob& blob : blobs) {
    json layer = descriptor(blob.media_type, blob.bytes);
    if (!blob.title.empty()) layer["annotations"]["org.opencontainers.image.title"] = blob.title;
    if (blob.unpack) layer["annotations"]["io.deis.oras.content.unpack"] = "true";
    layers.push_back(std::move(layer));
  }
  manifest_ = json{{"schemaVersion", 2},
                   {"mediaType", kManifest},
                   {"artifactType", type},
                   {"config", descriptor("application/vnd.oci.empty.v1+json", kConfig)},
                   {"layers", std::move(layers)}}
                  .dump();
}

std::string TestArtifact::digest() const { return sha256_digest(manifest_); }

std::string TestArtifact::push(const Registry& registry, const std::string& repository,
                               const std::string& tag) const {
  httplib::Client client("http://" + registry.host());
  upload(client, repository, kConfig);
  for (const ArtifactBlob& blob : blobs) upload(client, repository, blob.bytes);
  const auto put = client.Put("/v2/" + repository + "/manifests/" + tag, manifest_, kManifest);
  if (!put || put->status != 201) {
    throw std::runtime_error("the registry did not take the manifest: " + (put ? put->body : ""));
  }
  return registry.host() + "/" + repository + ":" + tag;
}

void TestArtifact::write_layout(const std::string& path, const std::string& name) const {
  const std::string folder = path + "/blobs/sha256/";
  std::filesystem::create_directories(folder);
  write_text(folder + sha256_hex(kConfig), kConfig);
  write_text(folder + sha256_hex(manifest_), manifest_);
  for (const ArtifactBlob& blob : blobs) write_text(folder + sha256_hex(blob.bytes), blob.bytes);
  json entry = descriptor(kManifest, manifest_);
  entry["annotations"] = {{"io.containerd.image.name", name}};
  write_text(path + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  write_text(path + "/index.json",
             json{{"schemaVersion", 2}, {"manifests", json::array({entry})}}.dump());
}

std::string packed_directory(const std::string& file, const std::string& content) {
  std::string out(content.size() + 65'536, '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  archive_write_add_filter_gzip(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, file.c_str());
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  archive_write_header(writer, entry);
  archive_write_data(writer, content.data(), content.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

}  // namespace wherry::test

#include "tests/support/test_image.h"

#include <memory>
#include <stdexcept>

#include <archive.h>
#include <archive_entry.h>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/files.h"
#include "base/text.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr const char* kApplets[] = {
    "ash",      "cat",   "chmod",  "cp",   "date",  "dd",       "df",    "echo",
    "env",      "false", "free",   "grep", "head",  "hostname", "httpd", "id",
    "ifconfig", "ip",    "kill",   "ls",   "mkdir", "mount",    "mv",    "nc",
    "nslookup", "ping",  "printf", "ps",   "pwd",   "rm",       "sed",   "seq",
    "sh",       "sleep", "stat",   "sync", "tail",  "test",     "top",   "touch",
    "tr",       "true",  "uname",  "wc",   "wget",  "whoami",   "yes"};

// A tar (or, with `gzip`, a tar.gz) in memory, with every time at zero.
class Tar {
 public:
  explicit Tar(bool gzip = false) : archive_(archive_write_new(), archive_write_free) {
    archive_write_set_format_pax_restricted(archive_.get());
    if (gzip) {
      archive_write_add_filter_gzip(archive_.get());
      archive_write_set_filter_option(archive_.get(), "gzip", "timestamp", nullptr);
      archive_write_set_filter_option(archive_.get(), "gzip", "compression-level", "1");
    }
    archive_write_set_bytes_in_last_block(archive_.get(), 1);
    check(archive_write_open(archive_.get(), &bytes_, nullptr, append, nullptr));
  }

  void directory(const std::string& path, unsigned mode = 0755) {
    entry(path, AE_IFDIR, mode, 0, {});
  }
  void file(const std::string& path, const std::string& content, unsigned mode = 0644) {
    entry(path, AE_IFREG, mode, content.size(), {});
    if (archive_write_data(archive_.get(), content.data(), content.size()) < 0)
      throw std::runtime_error("write " + path + " into an archive");
  }
  void symlink(const std::string& path, const std::string& target) {
    entry(path, AE_IFLNK, 0777, 0, target);
  }
  std::string finish() {
    check(archive_write_close(archive_.get()));
    return std::move(bytes_);
  }

 private:
  static la_ssize_t append(archive*, void* to, const void* bytes, size_t count) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), count);
    return static_cast<la_ssize_t>(count);
  }
  void check(int result) {
    if (result != ARCHIVE_OK)
      throw std::runtime_error(std::string("archive: ") + archive_error_string(archive_.get()));
  }
  void entry(const std::string& path, unsigned type, unsigned mode, size_t size,
             const std::string& target) {
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> header(archive_entry_new(),
                                                                               archive_entry_free);
    archive_entry_set_pathname(header.get(), path.c_str());
    archive_entry_set_filetype(header.get(), type);
    archive_entry_set_perm(header.get(), mode);
    archive_entry_set_mtime(header.get(), 0, 0);
    archive_entry_set_size(header.get(), static_cast<la_int64_t>(size));
    if (!target.empty()) archive_entry_set_symlink(header.get(), target.c_str());
    check(archive_write_header(archive_.get(), header.get()));
  }

  std::string bytes_;
  std::unique_ptr<archive, decltype(&archive_write_free)> archive_;
};

struct Layer {
  std::string blob;     // as it is in the archive
  std::string diff_id;  // digest of the uncompressed tar
  std::string digest;
};

template <typename Fill>
Layer make_layer(bool gzip, const Fill& fill) {
  Tar plain;
  fill(plain);
  Layer layer;
  layer.blob = plain.finish();
  layer.diff_id = sha256_digest(layer.blob);
  if (gzip) {
    Tar compressed(true);
    fill(compressed);
    layer.blob = compressed.finish();
  }
  layer.digest = sha256_digest(layer.blob);
  return layer;
}

void fill_base(Tar& tar, const ImageOptions& options, const std::string& busybox) {
  for (const char* path : {"bin", "dev", "etc", "proc", "root", "sys", "usr", "var", "www"})
    tar.directory(path);
  tar.directory("tmp", 01777);
  tar.file("bin/busybox", busybox, 0755);
  for (const char* applet : kApplets) tar.symlink(std::string("bin/") + applet, "busybox");
  tar.file("etc/passwd",
           "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n"
           "nobody:x:65534:65534:nobody:/:/bin/false\n");
  tar.file("etc/group", "root:x:0:\naudio:x:29:app\napp:x:1000:\nnogroup:x:65534:\n");
  for (const auto& [path, content] : options.files) {
    const size_t start = path.find_first_not_of('/');
    tar.file(path.substr(start == std::string::npos ? 0 : start), content, 0755);
  }
}

// Bytes that do not compress, from a linear congruential generator (Knuth's MMIX constants).
std::string noise(uint64_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

// Lines as programs log them.
std::string text(uint64_t size, uint64_t seed) {
  std::string lines;
  lines.reserve(size + 100);
  for (uint64_t i = 0; lines.size() < size; ++i) {
    lines += "level=info part=" + std::to_string(seed) +
             " message=\"measured again\" count=" + std::to_string(i * i % 99991) + "\n";
  }
  lines.resize(size);
  return lines;
}

std::vector<Layer> make_layers(const ImageOptions& options) {
  const Result<std::string> busybox = read_file(options.busybox);
  if (!busybox) throw std::runtime_error(busybox.error().full());
  std::vector<Layer> layers;
  layers.push_back(make_layer(options.gzip, [&](Tar& tar) { fill_base(tar, options, *busybox); }));
  for (size_t i = 0; i < options.extra_layers.size(); ++i) {
    std::string content = noise(options.extra_layers[i], i + 1);
    if (options.half_text) content += text(options.extra_layers[i], i + 1);
    layers.push_back(make_layer(
        options.gzip, [&](Tar& tar) { tar.file("extra-" + std::to_string(i + 1), content); }));
  }
  return layers;
}

json make_config(const ImageOptions& options, const std::vector<Layer>& layers) {
  json config = {{"architecture", "amd64"}, {"os", "linux"}, {"created", "1970-01-01T00:00:00Z"}};
#if defined(__aarch64__)
  config["architecture"] = "arm64";
#endif
  if (!options.architecture.empty()) config["architecture"] = options.architecture;
  json& run = config["config"];
  run["Env"] = json::array({"PATH=/bin"});
  for (const auto& [name, value] : options.env) run["Env"].push_back(name + "=" + value);
  if (!options.entrypoint.empty()) run["Entrypoint"] = options.entrypoint;
  if (!options.cmd.empty()) run["Cmd"] = options.cmd;
  if (!options.user.empty()) run["User"] = options.user;
  if (!options.working_dir.empty()) run["WorkingDir"] = options.working_dir;
  config["rootfs"] = {{"type", "layers"}, {"diff_ids", json::array()}};
  for (const Layer& layer : layers) config["rootfs"]["diff_ids"].push_back(layer.diff_id);
  return config;
}

json descriptor(const std::string& media_type, const std::string& blob) {
  return {{"mediaType", media_type}, {"digest", sha256_digest(blob)}, {"size", blob.size()}};
}

// OCI image-spec, image-layout.md
void write_oci(Tar& tar, TestImage& image, const std::string& config, const ImageOptions& options,
               const std::vector<Layer>& layers) {
  const std::string layer_type =
      std::string("application/vnd.oci.image.layer.v1.tar") + (options.gzip ? "+gzip" : "");
  json manifest = {{"schemaVersion", 2},
                   {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                   {"config", descriptor("application/vnd.oci.image.config.v1+json", config)},
                   {"layers", json::array()}};
  tar.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  tar.directory("blobs");
  tar.directory("blobs/sha256");
  const auto add_blob = [&tar](const std::string& blob) {
    tar.file("blobs/sha256/" + sha256_hex(blob), blob);
  };
  for (const Layer& layer : layers) {
    manifest["layers"].push_back(descriptor(layer_type, layer.blob));
    add_blob(layer.blob);
  }
  add_blob(config);
  const std::string text = manifest.dump();
  add_blob(text);
  image.manifest_digest = sha256_digest(text);
  json entry = descriptor("application/vnd.oci.image.manifest.v1+json", text);
  const size_t colon = image.name.rfind(':');
  entry["annotations"] = {{"io.containerd.image.name", image.name},
                          {"org.opencontainers.image.ref.name", image.name.substr(colon + 1)}};
  tar.file("index.json", json{{"schemaVersion", 2}, {"manifests", json::array({entry})}}.dump());
}

// The layout of `docker save`: manifest.json names the config, the tags and the layers.
void write_docker(Tar& tar, const TestImage& image, const std::string& config,
                  const std::vector<Layer>& layers) {
  const std::string config_name = sha256_hex(config) + ".json";
  json entry = {
      {"Config", config_name}, {"RepoTags", json::array({image.name})}, {"Layers", json::array()}};
  for (const Layer& layer : layers) {
    const std::string folder = layer.digest.substr(layer.digest.find(':') + 1);
    tar.directory(folder);
    tar.file(folder + "/layer.tar", layer.blob);
    entry["Layers"].push_back(folder + "/layer.tar");
  }
  tar.file(config_name, config);
  tar.file("manifest.json", json::array({entry}).dump());
}

}  // namespace

TestImage make_busybox_archive(const std::string& path, const std::string& name,
                               const ImageOptions& options) {
  const std::vector<Layer> layers = make_layers(options);
  const std::string config = make_config(options, layers).dump();
  TestImage image;
  image.name = name;
  image.path = path;
  image.config_digest = sha256_digest(config);
  for (const Layer& layer : layers) {
    image.layer_digests.push_back(layer.digest);
    image.diff_ids.push_back(layer.diff_id);
  }
  Tar tar;
  if (options.format == ArchiveFormat::Oci)
    write_oci(tar, image, config, options, layers);
  else
    write_docker(tar, image, config, layers);
  write_text(path, tar.finish());
  return image;
}

}  // namespace wherry::test

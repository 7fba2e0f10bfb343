#pragma once
// Images made on the spot from the machine's static busybox: no network, same bytes every time.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wherry::test {

enum class ArchiveFormat {
  Oci,
  Docker
};  // an OCI image layout in a tar; what `docker save` writes

struct ImageOptions {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd{"/bin/sh"};
  std::map<std::string, std::string> env;  // PATH is always set
  std::string user;
  std::string working_dir;
  std::map<std::string, std::string> files;  // path -> content; mode 0755
  std::vector<uint64_t> extra_layers;        // one more layer each, of so many random-looking bytes
  bool half_text = false;  // each extra layer has as many bytes again that compress well
  bool gzip = false;       // compressed layers
  ArchiveFormat format = ArchiveFormat::Oci;
  std::string busybox = "/bin/busybox";  // a static one
  std::string architecture;              // of that, as OCI names it; empty: this machine's
};

struct TestImage {
  std::string name;             // full: registry.local/web:1
  std::string path;             // the archive
  std::string manifest_digest;  // empty for a docker archive
  std::string config_digest;
  std::vector<std::string> layer_digests;
  std::vector<std::string> diff_ids;
};

// Writes the archive to `path`. The image has /bin/busybox with a link for every common applet,
// /etc/passwd and /etc/group (root 0, nobody 65534, app 1000), /tmp and /www. Throws on failure.
TestImage make_busybox_archive(const std::string& path, const std::string& name,
                               const ImageOptions& options = {});

}  // namespace wherry::test

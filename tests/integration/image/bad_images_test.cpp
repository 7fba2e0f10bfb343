// Images that are wrong, or mean harm, offered to a real containerd: each gives its own reason,
// nothing of it stays, and nothing is written where it has no business.

#include <filesystem>
#include <fstream>
#include <sys/mount.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/digest.h"
#include "runtime/containerd/image_backend.h"
#include "runtime/image/image_service.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/wait.h"
#include "tests/unit/image/scripted_registry.h"

namespace wherry::test {
namespace {

namespace fs = std::filesystem;
using httplib::Request;
using httplib::Response;
using image_test::blob_name;
using image_test::descriptor_json;
using image_test::Files;
using image_test::layer_of;
using image_test::make_tar;
using image_test::Packing;
using image_test::TestLayer;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kNamespace = "wherry";
const std::string kManifest = "application/vnd.oci.image.manifest.v1+json";
const std::string kIndex = "application/vnd.oci.image.index.v1+json";

class BadImages : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.platform = runtime::host_platform();
    options_.retry = {std::chrono::milliseconds(5), std::chrono::milliseconds(20)};
    containerd_.start();
    client_ = std::make_unique<runtime::Client>(
        runtime::ClientOptions{containerd_.socket(), kNamespace, "overlayfs"});
    backend_ = runtime::make_containerd_backend(*client_, clock_);
    restart();
  }
  void restart() { service_ = std::make_unique<runtime::ImageService>(*backend_, options_); }

  image_test::TestImage image(std::vector<TestLayer> layers) const {
    return image_test::make_image(std::move(layers), options_.platform.architecture,
                                  options_.platform.variant);
  }

  std::string ctr(std::vector<std::string> arguments) {
    const CommandResult result = containerd_.ctr(kNamespace, std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
  // After an import at once; what a failed pull has fetched stays for the next attempt, under its
  // lease, until that expires: here it is ended.
  void expect_nothing_left() {
    std::istringstream leases(ctr({"leases", "ls", "-q"}));
    for (std::string lease; std::getline(leases, lease);) ctr({"leases", "delete", lease});
    ctr({"leases", "create", "--id", "collect"});
    ctr({"leases", "delete", "--sync", "collect"});
    EXPECT_EQ(ctr({"images", "ls", "-q"}), "");
    EXPECT_EQ(ctr({"content", "ls", "-q"}), "");
    EXPECT_THAT(ctr({"snapshots", "ls"}), Not(HasSubstr("sha256:")));
  }
  void expect_refused(const Result<runtime::Image>& pulled, Code code, const std::string& fault) {
    ASSERT_FALSE(pulled) << fault;
    EXPECT_EQ(pulled.error().code(), code) << pulled.error().full();
    EXPECT_EQ(pulled.error().reason(), "ErrImagePull");
    EXPECT_THAT(pulled.error().full(), HasSubstr(fault));
    EXPECT_EQ(ctr({"images", "ls", "-q"}), "") << fault;
  }

  Result<std::vector<runtime::Image>> import(const std::string& bytes) {
    write_text(dir_ / "pump.tar", bytes);
    return service_->import_archive(dir_ / "pump.tar", {});
  }
  Result<std::vector<runtime::Image>> import(const TestLayer& layer) {
    return import(make_tar(image_test::oci_files(image({layer}))));
  }
  void expect_refused(const Result<std::vector<runtime::Image>>& imported, Code code,
                      const std::string& fault) {
    ASSERT_FALSE(imported) << fault;
    EXPECT_EQ(imported.error().code(), code) << imported.error().full();
    EXPECT_THAT(imported.error().full(), HasSubstr(fault));
    EXPECT_EQ(ctr({"leases", "ls", "-q"}), "");
    expect_nothing_left();
  }

  const TempDir dir_;
  const SystemClock clock_;
  ContainerdDaemon containerd_;
  runtime::ImageServiceOptions options_;
  std::unique_ptr<runtime::Client> client_;
  std::unique_ptr<runtime::ImageBackend> backend_;
  std::unique_ptr<runtime::ImageService> service_;
};

// --- layers that want out

std::vector<fs::path> named(const std::string& part, const fs::path& below) {
  std::vector<fs::path> found;
  for (const auto& entry :
       fs::recursive_directory_iterator(below, fs::directory_options::skip_permission_denied)) {
    if (entry.path().filename().string().starts_with(part)) found.push_back(entry.path());
  }
  return found;
}

class Escape : public BadImages {
 protected:
  Escape() {
    fs::create_directory(dir_ / "outside");
    write_text(dir_ / "outside/secret", "untouched");
  }
  // Whatever became of the layer: outside of the snapshots' own folders there is nothing of it.
  void expect_nothing_escaped() {
    EXPECT_EQ(read_text(dir_ / "outside/secret"), "untouched");
    EXPECT_EQ(fs::hard_link_count(dir_ / "outside/secret"), 1u) << "a link into the snapshot";
    EXPECT_THAT(named("escaped", dir_.path()), ::testing::IsEmpty());
    for (const fs::path root : {"/", "/tmp", "/etc", "/run"}) {
      for (const auto& entry : fs::directory_iterator(root)) {
        EXPECT_FALSE(entry.path().filename().string().starts_with("escaped")) << entry.path();
      }
    }
    for (const fs::path& path : named("escaped", containerd_.directory())) {
      EXPECT_THAT(path.string(), ::testing::ContainsRegex("overlayfs/snapshots/[0-9]+/fs/"));
    }
  }
  const std::string up_ = "../../../../../../../../../../../..";
};

TEST_F(Escape, NamesOfALayerStayInItsSnapshot) {
  const auto imported = import(layer_of(make_tar({{up_ + "/tmp/escaped-parent", "x"},
                                                  {"a/" + up_ + "/escaped-middle", "x"},
                                                  {"/escaped-absolute", "x"},
                                                  {dir_ / "outside/escaped-absolute", "x"},
                                                  {"plain", "x"}})));
  expect_nothing_escaped();
  if (!imported) return expect_refused(imported, Code::Internal, "unpack layer 1 of 1");
  EXPECT_EQ(named("plain", containerd_.directory()).size(), 1u);
}

TEST_F(Escape, SymbolicLinksOfALayerAreFollowedWithinItsSnapshotOnly) {
  const auto imported = import(layer_of(make_tar({{"link", "-> " + (dir_ / "outside")},
                                                  {"link/escaped-absolute", "x"},
                                                  {"up", "-> " + up_ + dir_ / "outside"},
                                                  {"up/escaped-relative", "x"},
                                                  {"target", "-> " + (dir_ / "outside/secret")},
                                                  {"target", "overwritten"},
                                                  {"through", "-> " + (dir_ / "outside/secret")},
                                                  {"through/x", "overwritten"}})));
  expect_nothing_escaped();
  if (!imported) expect_refused(imported, Code::Internal, "unpack layer 1 of 1");
}

TEST_F(Escape, SymbolicLinksOfOneLayerMisleadNoLaterOne) {
  const TestLayer link = layer_of(make_tar(
      {{"link", "-> " + (dir_ / "outside")}, {"file", "-> " + (dir_ / "outside/secret")}}));
  const TestLayer through = layer_of(make_tar({{"link/escaped-later", "x"},
                                               {"link/secret", "overwritten"},
                                               {"file", "overwritten"},
                                               {"link/.wh.secret", ""}}));
  const auto imported = import(make_tar(image_test::oci_files(image({link, through}))));
  expect_nothing_escaped();
  if (!imported) expect_refused(imported, Code::Internal, "unpack layer 2 of 2");
}

TEST_F(Escape, HardLinksOfALayerReachNothingOutside) {
  for (const std::string& target : {dir_ / "outside/secret", up_ + (dir_ / "outside/secret")}) {
    const auto imported = import(layer_of(make_tar({{"stolen", "=> " + target}})));
    expect_nothing_escaped();
    expect_refused(imported, Code::Internal, "no such file or directory");
  }
}

// --- layers that are none

TEST_F(BadImages, ALayerThatIsNoTarIsRefused) {
  const std::string text(2000, 'x');
  expect_refused(import(layer_of(text, Packing::Plain)), Code::DataLoss,
                 "the layer is no tar archive");
  expect_refused(import(layer_of(text, Packing::Gzip)), Code::DataLoss,
                 "the layer is no tar archive");
  expect_refused(import(layer_of(text, Packing::Zstd)), Code::DataLoss,
                 "the layer is no tar archive");
  TestLayer lie = layer_of(text, Packing::Plain);
  lie.media_type += "+gzip";
  expect_refused(import(lie), Code::DataLoss, "the layer is no tar archive");
}

TEST_F(BadImages, AnArchiveOfSeveralImagesIsImportedWholeOrNotAtAll) {
  const auto good = image({image_test::make_layer("a", "good")});
  TestLayer wrong = image_test::make_layer("b", "bad");
  wrong.diff_id = sha256_digest("something else");
  const auto bad = image({wrong});
  Files files = image_test::oci_files(good);
  for (const auto& file : image_test::oci_files(bad)) {
    if (file.first.starts_with("blobs/")) files.push_back(file);
  }
  const auto entry = [](const std::string& manifest, const std::string& name) {
    return descriptor_json(
        manifest, kManifest,
        R"(,"annotations":{"org.opencontainers.image.ref.name":")" + name + "\"}");
  };
  for (auto& [name, content] : files) {
    if (name != "index.json") continue;
    content = R"({"schemaVersion":2,"manifests":[)" + entry(good.manifest, "r.local/good:1") + "," +
              entry(bad.manifest, "r.local/bad:1") + "]}";
  }
  expect_refused(import(make_tar(files)), Code::DataLoss, "instead of " + wrong.diff_id);
}

// --- bombs

class SmallDisk : public BadImages {
 protected:
  static constexpr size_t kDisk = 48u << 20;
  void SetUp() override {
    const std::string size = "size=" + std::to_string(kDisk);
    fs::create_directories(root());
    ASSERT_EQ(mount("tmpfs", root().c_str(), "tmpfs", 0, size.c_str()), 0);
    BadImages::SetUp();
  }
  std::string root() const { return containerd_.directory() + "/root"; }
  uintmax_t used() const {
    const fs::space_info space = fs::space(root());
    return space.capacity - space.free;
  }
};

TEST_F(SmallDisk, AGzipBombEndsWithTheDiskAndLeavesItAsItWas) {
  const TestLayer bomb = image_test::make_layer("zeros", std::string(3 * kDisk, '\0'));
  ASSERT_LT(bomb.blob.size(), 1u << 20);
  const uintmax_t before = used();
  expect_refused(import(bomb), Code::ResourceExhausted, "no space left on device");
  // Containerd takes the directory of what it has given up when it comes to it.
  EXPECT_TRUE(wait_until([&] { return used() < before + (4u << 20); })) << containerd_.log();
  const auto after = import(image_test::make_layer("a", "small"));
  EXPECT_TRUE(after) << after.error().full();
}

TEST_F(SmallDisk, AnArchiveThatIsABombIsReadThroughAndNeverWrittenDown) {
  Files files = image_test::oci_files(image({image_test::make_layer("a", "small")}));
  files.emplace_back("zeros", std::string(3 * kDisk, '\0'));
  const auto imported = import(make_tar(files, Packing::Gzip));
  EXPECT_TRUE(imported) << imported.error().full();
  EXPECT_LT(used(), 8u << 20);
}

// --- registries

class BadRegistry : public BadImages {
 protected:
  BadRegistry() : layer_(image_test::make_layer("a", "content", Packing::Plain)) {}
  std::string add(const std::string& tag) { return registry_.add(image({layer_}), "web", tag); }
  bool wants_layer(const Request& request) const {
    return request.method == "GET" && request.path.ends_with(sha256_digest(layer_.blob));
  }
  // Answers with `bytes` wherever the layer is asked for.
  void serve_as_layer(const std::string& bytes) {
    registry_.script([this, bytes](const Request& request, Response& response) {
      if (!wants_layer(request)) return false;
      response.set_content(bytes, "application/octet-stream");
      return true;
    });
  }
  void expect_pull_refused(const std::string& name, Code code, const std::string& fault) {
    expect_refused(service_->pull({name}, {}), code, fault);
    registry_.script(nullptr);
    expect_nothing_left();
  }

  const TestLayer layer_;
  image_test::ScriptedRegistry registry_;  // last: its threads use what is above
};

TEST_F(BadRegistry, WrongBytesAreNamedByWhatIsWrongWithThem) {
  const std::string name = add("1");
  std::string flipped = layer_.blob;
  flipped[100] ^= 1;
  serve_as_layer(flipped);
  expect_pull_refused(name, Code::DataLoss, "has the digest " + sha256_digest(flipped));
  serve_as_layer(layer_.blob + "more");
  expect_pull_refused(name, Code::DataLoss,
                      "is longer than the " + std::to_string(layer_.blob.size()) + " bytes");
}

TEST_F(BadRegistry, AManifestThatIsWrongAboutASizeIsRefused) {
  auto lying = image({layer_});
  const std::string size = "\"size\":" + std::to_string(layer_.blob.size());
  const size_t at = lying.manifest.rfind(size);
  lying.manifest.replace(at, size.size(), "\"size\":512");
  expect_pull_refused(registry_.add(lying, "web", "small"), Code::DataLoss, "longer than the 512");
}

TEST_F(BadRegistry, DocumentsThatAreNoImageAreRefused) {
  const auto put = [&](const std::string& tag, const std::string& bytes, const std::string& type) {
    registry_.add_manifest("web", tag, bytes, type);
    return registry_.host() + "/web:" + tag;
  };
  expect_pull_refused(put("html", "<html>log in</html>", "text/html"), Code::Unavailable,
                      "is there a proxy or a log-in page in between?");
  expect_pull_refused(put("lies", "<html>log in</html>", kManifest), Code::InvalidArgument,
                      "is not JSON");
  expect_pull_refused(
      put("other",
          R"({"manifests":[)" +
              descriptor_json("x", kManifest,
                              R"(,"platform":{"os":"linux","architecture":"s390x"})") +
              "]}",
          kIndex),
      Code::NotFound, "it has linux/s390x");
  const auto holding = [&](const std::string& config) {
    return R"({"config":)" + descriptor_json("{}", config) + R"(,"layers":[)" +
           descriptor_json("x", "application/vnd.cncf.helm.chart.content") + "]}";
  };
  expect_pull_refused(put("odd", holding("application/vnd.oci.image.config.v1+json"), kManifest),
                      Code::InvalidArgument,
                      "is not a container image: it holds \"application/vnd.cncf.helm");
  expect_pull_refused(put("helm", holding("application/vnd.cncf.helm.config.v1+json"), kManifest),
                      Code::InvalidArgument,
                      "is an OCI artifact (application/vnd.cncf.helm.config.v1+json): the blob");
}

TEST_F(BadRegistry, AManifestOf100MBIsNotRead) {
  constexpr size_t kHuge = 100u << 20;
  std::atomic<size_t> sent{0};
  const auto huge = [&](bool head) {
    return [&, head](const Request& request, Response& response) {
      if (request.method == "HEAD" && !head) return image_test::refuse(response, 405), true;
      response.set_header("Docker-Content-Digest", sha256_digest("x"));
      response.set_content_provider(
          kHuge, kManifest, [&](size_t, size_t length, httplib::DataSink& sink) {
            const std::string piece(std::min<size_t>(length, 64u << 10), ' ');
            sent += piece.size();
            return sink.write(piece.data(), piece.size());
          });
      return true;
    };
  };
  for (const bool head : {true, false}) {
    registry_.script(huge(head));
    expect_refused(service_->pull({registry_.host() + "/web:huge"}, {}), Code::InvalidArgument,
                   "larger than 4 MiB");
  }
  // What is under way in the sockets counts as well.
  EXPECT_LT(sent, 24u << 20);
}

TEST_F(BadRegistry, RedirectsLeadToNoOtherScheme) {
  const std::string name = add("1");
  for (const std::string to : {"file:///etc/passwd", "ftp://r.local/x", "gopher://r.local/x"}) {
    registry_.script([&](const Request& request, Response& response) {
      if (!wants_layer(request)) return false;
      image_test::redirect(response, to);
      return true;
    });
    expect_pull_refused(name, Code::PermissionDenied,
                        "which is not followed: only https and http are");
  }
}

TEST_F(BadRegistry, AMistakeInHostsTomlIsNamedByFileAndLine) {
  const std::string name = add("1");
  options_.hosts_dir = dir_ / "certs.d";
  fs::create_directories(options_.hosts_dir + "/" + registry_.host());
  const std::string file = options_.hosts_dir + "/" + registry_.host() + "/hosts.toml";
  write_text(file, "server = \"http://" + registry_.host() + "\"\nskip_verfy = true\n");
  restart();
  expect_pull_refused(name, Code::FailedPrecondition,
                      file + ":2: \"skip_verfy\" is not supported; did you mean \"skip_verify\"?");
}

}  // namespace
}  // namespace wherry::test

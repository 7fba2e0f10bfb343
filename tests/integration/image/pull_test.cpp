// Pulls and imports with a real registry and a real containerd.

#include <filesystem>
#include <fstream>
#include <future>
#include <malloc.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/digest.h"
#include "base/failpoint.h"
#include "base/quantity.h"
#include "base/text.h"
#include "runtime/containerd/image_backend.h"
#include "runtime/containerd/store_facts.h"
#include "runtime/image/image_service.h"
#include "runtime/image/store.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/net.h"
#include "tests/support/registry.h"
#include "tests/support/tcp_relay.h"
#include "tests/support/test_image.h"
#include "tests/support/wait.h"
#include "tests/unit/image/scripted_registry.h"

namespace wherry::test {
namespace {

using image_test::ScriptedRegistry;
using runtime::Image;
using ::testing::HasSubstr;

constexpr const char* kNamespace = "wherry";

ImageOptions with_layers(std::vector<uint64_t> sizes, bool gzip = false) {
  ImageOptions options;
  options.extra_layers = std::move(sizes);
  options.gzip = gzip;
  return options;
}

class ImageTest : public ::testing::Test {
 protected:
  ImageTest() {
    options_.platform = runtime::host_platform();
    options_.retry = {std::chrono::milliseconds(50), std::chrono::milliseconds(500)};
    containerd_.start();
    restart_agent();
  }

  // A new client and service, as a new process would have.
  void restart_agent() {
    service_.reset();
    backend_.reset();
    client_ = std::make_unique<runtime::Client>(
        runtime::ClientOptions{containerd_.socket(), kNamespace, "overlayfs"});
    backend_ = runtime::make_containerd_backend(*client_, clock_);
    service_ = std::make_unique<runtime::ImageService>(*backend_, options_);
  }

  std::string ctr(std::vector<std::string> arguments) {
    const CommandResult result = containerd_.ctr(kNamespace, std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
  // Deleting a lease with --sync waits for a whole run of the collector.
  void collect_garbage() {
    ctr({"leases", "create", "--id", "collect"});
    ctr({"leases", "delete", "--sync", "collect"});
  }

  // ctr agrees that it is whole and unpacked, and nothing holds it but its record.
  void expect_whole(const std::string& name) {
    collect_garbage();
    const std::string line = ctr({"images", "check", "name==" + name});
    EXPECT_THAT(line, HasSubstr("complete ("));
    EXPECT_THAT(line, HasSubstr("true"));
    EXPECT_EQ(ctr({"leases", "ls", "-q"}), "");
    EXPECT_THAT(ctr({"content", "active"}), ::testing::Not(HasSubstr("sha256:")));
    const auto found = service_->find(name);
    EXPECT_TRUE(found) << found.error().full();
  }
  void expect_nothing_left() {
    collect_garbage();
    EXPECT_EQ(ctr({"images", "ls", "-q"}), "");
    EXPECT_EQ(ctr({"content", "ls", "-q"}), "");
    EXPECT_EQ(ctr({"leases", "ls", "-q"}), "");
    EXPECT_THAT(ctr({"snapshots", "ls"}), ::testing::Not(HasSubstr("sha256:")));
  }

  const TempDir dir_;
  const SystemClock clock_;
  ContainerdDaemon containerd_;
  runtime::ImageServiceOptions options_;
  std::unique_ptr<runtime::Client> client_;
  std::unique_ptr<runtime::ImageBackend> backend_;
  std::unique_ptr<runtime::ImageService> service_;
};

TEST_F(ImageTest, PullsFromARealRegistryIntoARealStoreAndRemovesItAgain) {
  Registry registry;
  const auto archive = make_busybox_archive(dir_ / "web.tar", "registry.local/web:1",
                                            with_layers({300'000, 5'000'000}, true));
  const std::string name = registry.push(archive.path, "a/web:1");
  const auto pulled = service_->pull({name}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(pulled->name, name);
  expect_whole(name);
  EXPECT_THAT(ctr({"images", "ls"}), HasSubstr(pulled->digest));
  EXPECT_TRUE(service_->find(registry.host() + "/a/web@" + pulled->digest));
  const auto again = service_->pull({name}, {});
  ASSERT_TRUE(again) << again.error().full();
  ASSERT_TRUE(service_->remove(name));
  expect_nothing_left();
}

TEST_F(ImageTest, ImportsWhatDockerAndOciToolsWrite) {
  for (const ArchiveFormat format : {ArchiveFormat::Oci, ArchiveFormat::Docker}) {
    for (const bool gzip : {false, true}) {
      ImageOptions options = with_layers({}, gzip);
      options.format = format;
      const auto archive = make_busybox_archive(dir_ / "x.tar", "registry.local/x:1", options);
      const auto imported = service_->import_archive(archive.path, {});
      ASSERT_TRUE(imported) << imported.error().full();
      ASSERT_EQ(imported->size(), 1u);
      EXPECT_EQ(imported->at(0).name, "registry.local/x:1");
      expect_whole("registry.local/x:1");
      const auto again = service_->import_archive(archive.path, {});
      EXPECT_TRUE(again) << again.error().full();
      ASSERT_TRUE(service_->remove("registry.local/x:1"));
      expect_nothing_left();
    }
  }
}

TEST_F(ImageTest, AnArchiveOfSkopeoIsNamedAfterItsFile) {
  const auto archive = make_busybox_archive(dir_ / "x.tar", "registry.local/x:1");
  run_ok({"skopeo", "--insecure-policy", "copy", "--quiet", "oci-archive:" + archive.path,
          "oci-archive:" + (dir_ / "pump.tar") + ":1.2"});
  run_ok({"skopeo", "--insecure-policy", "copy", "--quiet", "oci-archive:" + archive.path,
          "oci:" + (dir_ / "layout") + ":3"});
  EXPECT_EQ(service_->import_archive(dir_ / "pump.tar", {})->at(0).name,
            "docker.io/library/pump:1.2");
  EXPECT_EQ(service_->import_archive(dir_ / "layout", {})->at(0).name,
            "docker.io/library/layout:3");
  expect_whole("docker.io/library/pump:1.2");
}

TEST_F(ImageTest, PreloadSurvivesARestartAndDoesItsWorkOnce) {
  std::filesystem::create_directory(dir_ / "preload");
  make_busybox_archive(dir_ / "preload/a.tar", "registry.local/a:1");
  write_text(dir_ / "preload/b.tar", "garbage");
  auto report = service_->preload(dir_ / "preload", {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_EQ(report->imported.size(), 1u);
  EXPECT_EQ(report->failed.size(), 1u);
  restart_agent();
  containerd_.restart();
  report = service_->preload(dir_ / "preload", {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_EQ(report->unchanged, 1u);
  EXPECT_TRUE(report->imported.empty());
  expect_whole("registry.local/a:1");
}

TEST_F(ImageTest, ADamagedBlobOnTheRegistryNeverGetsIn) {
  Registry registry;
  const auto archive = make_busybox_archive(dir_ / "web.tar", "registry.local/web:1");
  const std::string name = registry.push(archive.path, "web:1");
  const std::string hex = archive.layer_digests.at(0).substr(7);
  const std::string path = registry.storage() + "/docker/registry/v2/blobs/sha256/" +
                           hex.substr(0, 2) + "/" + hex + "/data";
  {
    std::fstream blob(path, std::ios::in | std::ios::out | std::ios::binary);
    blob.seekp(10'000);
    blob.write("damaged", 7);
  }
  const auto pulled = service_->pull({name}, {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::DataLoss) << pulled.error().full();
  ASSERT_TRUE(service_->drop_abandoned({}));
  expect_nothing_left();
}

TEST_F(ImageTest, AMissingTagOrRegistryGivesAClearReason) {
  Registry registry;
  auto pulled = service_->pull({registry.host() + "/none:1"}, {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::NotFound);
  EXPECT_EQ(pulled.error().reason(), "ErrImagePull");
  EXPECT_THAT(pulled.error().full(), HasSubstr("the registry does not have it (404"));
  registry.stop();
  pulled = service_->pull({registry.host() + "/none:1"}, {});
  EXPECT_EQ(pulled.error().code(), Code::Unavailable);
  EXPECT_THAT(pulled.error().full(), HasSubstr("cannot connect"));
  expect_nothing_left();
}

// An image with one big layer, and a registry that can be told what to do.
class BrokenLink : public ImageTest {
 protected:
  BrokenLink() {
    std::string content;
    for (int i = 0; content.size() < 6'000'000; ++i) content += sha256_hex(std::to_string(i));
    const auto layer = image_test::make_layer("big", content, image_test::Packing::Plain);
    blob_ = layer.blob;
    name_ = registry_.add(
        image_test::make_image({layer}, options_.platform.architecture, options_.platform.variant),
        "big", "1");
  }
  bool wants_blob(const httplib::Request& request) const {
    return request.method == "GET" && request.path.ends_with(sha256_digest(blob_));
  }
  std::vector<std::string> ranges() const {
    std::vector<std::string> all;
    for (const auto& each : registry_.seen()) {
      if (each.path.ends_with(sha256_digest(blob_))) all.push_back(each.range);
    }
    return all;
  }

  std::string blob_;
  std::string name_;
  ScriptedRegistry registry_;  // last: its threads use what is above
};

TEST_F(BrokenLink, TheNextAgentContinuesEvenOverARestartOfContainerd) {
  registry_.script([&](const httplib::Request& request, httplib::Response& response) {
    if (!wants_blob(request)) return false;
    image_test::cut_off(request, response, blob_, request.ranges.empty() ? 4'000'000 : 0);
    return true;
  });
  ASSERT_FALSE(service_->pull({name_}, {}));
  EXPECT_NE(ctr({"leases", "ls", "-q"}), "");
  containerd_.restart();
  collect_garbage();
  restart_agent();
  registry_.script(nullptr);
  const auto pulled = service_->pull({name_}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(ranges().back(), "bytes=4000000-");
  EXPECT_TRUE(service_->find(name_));
}

TEST_F(BrokenLink, ADamagedBeginningFromAnEarlierAgentIsThrownAway) {
  std::string wrong = blob_;
  wrong[5000] ^= 1;
  registry_.script([&](const httplib::Request& request, httplib::Response& response) {
    if (!wants_blob(request)) return false;
    image_test::cut_off(request, response, wrong, request.ranges.empty() ? 4'000'000 : 0);
    return true;
  });
  ASSERT_FALSE(service_->pull({name_}, {}));
  restart_agent();
  registry_.script(nullptr);
  const auto pulled = service_->pull({name_}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  auto asked = ranges();
  EXPECT_EQ(asked.back(), "") << "from the beginning again";
  asked.pop_back();
  EXPECT_EQ(asked.back(), "bytes=4000000-");
  EXPECT_TRUE(service_->find(name_));
}

TEST_F(BrokenLink, ContainerdKilledInTheMiddleIsMetAgain) {
  options_.retry = {std::chrono::milliseconds(300), std::chrono::seconds(3)};
  restart_agent();
  std::promise<void> halfway, resumed;
  const auto go_on = resumed.get_future().share();
  std::atomic<bool> first{true};
  registry_.script([&](const httplib::Request& request, httplib::Response& response) {
    if (!wants_blob(request) || !first.exchange(false)) return false;
    response.set_content_provider(
        blob_.size(), "application/octet-stream",
        [&, go_on](size_t offset, size_t length, httplib::DataSink& sink) {
          if (offset == 3'000'000) {
            halfway.set_value();
            go_on.wait();
          }
          const size_t end = offset < 3'000'000 ? 3'000'000 : blob_.size();
          return sink.write(blob_.data() + offset, std::min(length, end - offset));
        });
    return true;
  });
  auto pulled = std::async(std::launch::async, [&] { return service_->pull({name_}, {}); });
  halfway.get_future().wait();
  containerd_.kill();
  resumed.set_value();
  containerd_.start();
  const auto image = pulled.get();
  ASSERT_TRUE(image) << image.error().full();
  expect_whole(name_);
}

TEST_F(BrokenLink, ACancelledPullStopsAtOnceAndIsContinuedLater) {
  std::promise<void> halfway, over;
  const auto done = over.get_future().share();
  std::atomic<bool> first{true};
  registry_.script([&](const httplib::Request& request, httplib::Response& response) {
    if (!wants_blob(request) || !first.exchange(false)) return false;
    response.set_content_provider(blob_.size(), "application/octet-stream",
                                  [&, done](size_t offset, size_t, httplib::DataSink& sink) {
                                    if (offset == 0) return sink.write(blob_.data(), 3'000'000);
                                    halfway.set_value();
                                    done.wait();
                                    return false;
                                  });
    return true;
  });
  CancelToken cancel;
  auto pulled = std::async(std::launch::async, [&] { return service_->pull({name_}, cancel); });
  halfway.get_future().wait();
  // What the registry sent is not yet in the store, and a cancelled pull takes no more in.
  const auto facts = runtime::make_containerd_store_facts(*client_);
  const std::string ingest = runtime::ingest_name("layer", sha256_digest(blob_));
  ASSERT_TRUE(wait_until([&] { return facts->ingested(ingest).value_or(0) > 0; }));
  cancel.cancel();
  EXPECT_EQ(pulled.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  over.set_value();
  EXPECT_EQ(pulled.get().error().code(), Code::Cancelled);
  const auto again = service_->pull({name_}, {});
  ASSERT_TRUE(again) << again.error().full();
  EXPECT_TRUE(ranges().back().starts_with("bytes=")) << ranges().back();
  expect_whole(name_);
}

// docker-registry behind TLS with a certificate of our own authority.
class PrivateRegistry {
 public:
  explicit PrivateRegistry(const TempDir& dir) : port_(free_port()) {
    ca_ = dir / "ca.pem";
    const std::string key = dir / "key.pem";
    run_ok({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
            ca_});
    write_text(dir / "registry.yml",
               "version: 0.1\nlog: { level: info }\nstorage:\n  filesystem: { rootdirectory: " +
                   (dir / "storage") + " }\nhttp:\n  addr: 127.0.0.1:" + std::to_string(port_) +
                   "\n  tls: { certificate: " + ca_ + ", key: " + key + " }\n");
    process_ = std::make_unique<Process>(
        ProcessOptions{.argv = {"docker-registry", "serve", dir / "registry.yml"},
                       .env = {{"OTEL_TRACES_EXPORTER", "none"}},
                       .output_path = dir / "registry.log",
                       .working_dir = {}});
    if (!wait_until([&] { return accepts_tcp(port_); })) throw std::runtime_error("no registry");
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& ca() const { return ca_; }

 private:
  int port_;
  std::string ca_;
  std::unique_ptr<Process> process_;
};

TEST_F(ImageTest, ACertificateIsTrustedWhereHostsTomlSaysSo) {
  const PrivateRegistry registry(dir_);
  const auto archive = make_busybox_archive(dir_ / "web.tar", "registry.local/web:1");
  const std::string name = registry.host() + "/web:1";
  run_ok({"skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests",
          "--dest-tls-verify=false", "oci-archive:" + archive.path, "docker://" + name});
  options_.hosts_dir = dir_ / "certs.d";
  const std::string folder = options_.hosts_dir + "/" + registry.host();
  std::filesystem::create_directories(folder);
  const std::string server = "server = \"https://" + registry.host() + "\"\n";

  write_text(folder + "/hosts.toml", server);
  restart_agent();
  auto pulled = service_->pull({name}, {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::FailedPrecondition);
  EXPECT_THAT(pulled.error().full(), HasSubstr("its certificate is not trusted: self-signed"));

  write_text(folder + "/hosts.toml", server + "ca = \"/nowhere/ca.pem\"\n");
  pulled = service_->pull({name}, {});
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().full(), HasSubstr("cannot read the certificate authority"));

  write_text(folder + "/hosts.toml", "server = \"http://" + registry.host() + "\"\n");
  ASSERT_FALSE(service_->pull({name}, {}));

  write_text(folder + "/hosts.toml", server + "ca = \"" + registry.ca() + "\"\n");
  pulled = service_->pull({name}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  expect_whole(name);

  ASSERT_TRUE(service_->remove(name));
  write_text(folder + "/hosts.toml", server + "skip_verify = true\n");
  pulled = service_->pull({name}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
}

TEST_F(ImageTest, ALayerThatCrawlsIsTakenOverByWhoHasAnotherRegistry) {
  constexpr int64_t kLayer = 20'000'000;
  Registry registry;
  TcpRelay link(registry.port());
  link.slow_down(400'000);
  const auto archive =
      make_busybox_archive(dir_ / "web.tar", "registry.local/web:1", with_layers({kLayer}));
  const std::string fast = registry.push(archive.path, "a/web:1");
  const std::string slow = "127.0.0.1:" + std::to_string(link.port()) + "/a/web:1";
  const auto begin = [&](const std::string& name) {
    return std::async(std::launch::async, [this, name] { return service_->pull({name}, {}); });
  };
  auto crawling = begin(slow);
  ASSERT_TRUE(wait_until([&] { return link.passed() > 1'000'000; }));
  auto quick = begin(fast);
  const auto pulled = quick.get();
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_LT(link.passed(), kLayer / 2);
  const auto joined = crawling.get();
  ASSERT_TRUE(joined) << joined.error().full();
  EXPECT_LT(link.passed(), kLayer / 2) << "it found it in the store";
  expect_whole(fast);
  expect_whole(slow);
}

TEST_F(ImageTest, PlainHttpWhereTlsWasExpectedIsNamed) {
  Registry registry;
  options_.hosts_dir = dir_ / "certs.d";
  const std::string folder = options_.hosts_dir + "/" + registry.host();
  std::filesystem::create_directories(folder);
  write_text(folder + "/hosts.toml", "server = \"https://" + registry.host() + "\"\n");
  restart_agent();
  const auto pulled = service_->pull({registry.host() + "/web:1"}, {});
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().full(),
              HasSubstr("if it speaks plain HTTP, say so in its hosts.toml"));
}

int64_t status_kib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1));
  }
  return 0;
}

TEST_F(ImageTest, MemoryDoesNotGrowWithTheSizeOfLayers) {
  constexpr int64_t kMostKib = 12 << 10;
  Registry registry;
  const auto push = [&](const std::string& name, std::vector<uint64_t> layers) {
    const auto archive = make_busybox_archive(
        dir_ / (name + ".tar"), "registry.local/" + name + ":1", with_layers(std::move(layers)));
    return registry.push(archive.path, name + ":1");
  };
  const std::string small = push("small", {1000});
  const std::string big = push("big", {100u << 20});
  const std::string many = push("many", std::vector<uint64_t>(8, 12u << 20));
  ASSERT_TRUE(service_->pull({small}, {}));  // libraries and pools are there once
  for (const std::string& name : {big, many}) {
    malloc_trim(0);
    const int64_t before = status_kib("VmRSS");
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
    const auto pulled = service_->pull({name}, {});
    ASSERT_TRUE(pulled) << pulled.error().full();
    const int64_t growth = status_kib("VmHWM") - before;
    RecordProperty("growth_kib_" + name.substr(name.rfind('/') + 1, 4), std::to_string(growth));
    std::cout << "peak growth for " << format_bytes(pulled->size) << ": " << growth << " KiB\n";
    EXPECT_LE(growth, kMostKib);
  }
}

}  // namespace
}  // namespace wherry::test

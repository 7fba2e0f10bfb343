// Archives into the store.

#include <algorithm>
#include <filesystem>
#include <future>

#include "base/digest.h"
#include "base/failpoint.h"
#include "tests/support/wait.h"
#include "tests/unit/image/import_fixture.h"

namespace wherry::image_test {
namespace {

TEST_F(Import, AnOciLayoutIsStoredUnpackedAndFound) {
  const TestImage& image = two_layers();
  const auto imported =
      import(oci_files(image, R"({"org.opencontainers.image.ref.name":"r.local/web:1"})"));
  ASSERT_TRUE(imported) << imported.error().full();
  ASSERT_EQ(names(*imported), std::vector<std::string>{"r.local/web:1"});
  EXPECT_EQ(imported->at(0).digest, image.digest());
  EXPECT_EQ(imported->at(0).size,
            static_cast<int64_t>(image.manifest.size() + image.config.size() +
                                 image.layers[0].blob.size() + image.layers[1].blob.size()));
  EXPECT_EQ(store_.blobs.size(), 4u);
  EXPECT_EQ(store_.snapshots.size(), 2u);
  EXPECT_TRUE(store_.leases.empty());
  store_.collect();
  EXPECT_EQ(store_.blobs.size(), 4u) << "labels keep all of it alive without the lease";
  EXPECT_EQ(store_.snapshots.size(), 2u);
  EXPECT_TRUE(service_->find("r.local/web:1"));
  EXPECT_TRUE(service_->find("r.local/web@" + image.digest()));
  EXPECT_EQ(service_->find("r.local/web:2").error().code(), Code::NotFound);
}

TEST_F(Import, EveryPackingOfArchiveAndLayersWorks) {
  for (const Packing outer : {Packing::Plain, Packing::Gzip, Packing::Zstd}) {
    for (const Packing inner : {Packing::Plain, Packing::Gzip, Packing::Zstd}) {
      FakeImageBackend store;
      runtime::ImageService service(store, options_);
      const TestImage image = make_image({make_layer("a", "x", inner)});
      const auto oci = service.import_archive(put("o", make_tar(oci_files(image), outer)), {});
      EXPECT_TRUE(oci) << oci.error().full();
      const auto docker =
          service.import_archive(put("d", make_tar(docker_files(image, R"(["d:1"])"), outer)), {});
      EXPECT_TRUE(docker) << docker.error().full();
      EXPECT_TRUE(service.find("d:1"));
    }
  }
}

TEST_F(Import, NamesComeFromAnnotationsOrTheFile) {
  const TestImage& image = two_layers();
  const auto name_of = [&](const std::string& file, const std::string& annotations) {
    const auto imported = import(file, make_tar(oci_files(image, annotations)));
    return imported ? imported->at(0).name : imported.error().full();
  };
  EXPECT_EQ(name_of("Pump Server_1.2.tar.gz", "{}"), "docker.io/library/pump-server_1.2:latest");
  EXPECT_EQ(name_of("pump.tar", R"({"org.opencontainers.image.ref.name":"1.2"})"),
            "docker.io/library/pump:1.2");
  EXPECT_EQ(name_of("pump.tar", R"({"org.opencontainers.image.ref.name":"busybox:1"})"),
            "docker.io/library/busybox:1");
  EXPECT_EQ(name_of("pump.tar", R"({"org.opencontainers.image.ref.name":"pump"})"),
            "docker.io/library/pump:latest");
  EXPECT_EQ(name_of("pump.tar", R"({"org.opencontainers.image.ref.name":"2",
                                    "io.containerd.image.name":"r.local/full:2"})"),
            "r.local/full:2");
  EXPECT_EQ(name_of("...tar", "{}"), "docker.io/library/image:latest");
  EXPECT_THAT(name_of("x.tar", R"({"io.containerd.image.name":"Bad Name"})"),
              HasSubstr("is not an image reference"));
}

TEST_F(Import, AnIndexGivesThePlatformOfTheDeviceAndKeepsItsDigest) {
  const TestImage mine = make_image({make_layer("a", "mine")});
  const TestImage other = make_image({make_layer("a", "other")}, "arm64");
  const std::string type = "application/vnd.oci.image.manifest.v1+json";
  const std::string index =
      R"({"schemaVersion":2,"manifests":[)" +
      descriptor_json(other.manifest, type,
                      R"(,"platform":{"os":"linux","architecture":"arm64"})") +
      "," +
      descriptor_json(mine.manifest, type, R"(,"platform":{"os":"linux","architecture":"amd64"})") +
      "]}";
  Files files{{blob_name(index), index},
              {blob_name(mine.manifest), mine.manifest},
              {blob_name(mine.config), mine.config},
              {blob_name(mine.layers[0].blob), mine.layers[0].blob}};
  files.emplace_back("index.json",
                     R"({"manifests":[)" +
                         descriptor_json(index, "application/vnd.oci.image.index.v1+json") + "]}");
  const auto imported = import("multi.tar", make_tar(files));
  ASSERT_TRUE(imported) << imported.error().full();
  EXPECT_EQ(imported->at(0).digest, sha256_digest(index));
  store_.collect();
  EXPECT_TRUE(service_->find("multi"));
  EXPECT_TRUE(service_->find("multi@" + sha256_digest(index)));

  options_.platform = {"linux", "riscv64", ""};
  runtime::ImageService elsewhere(store_, options_);
  const auto wrong = elsewhere.import_archive(dir_ / "multi.tar", {});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().full(), HasSubstr("there is nothing for linux/riscv64"));
}

TEST_F(Import, DockerArchivesMayLinkLayersAndHoldSeveralImages) {
  const TestLayer base = make_layer("a", "base", Packing::Plain);
  const TestLayer top = make_layer("b", "top", Packing::Plain);
  const TestImage one = make_image({base}), two = make_image({base, top});
  const Files files{{"manifest.json", R"([{"Config":"1.json","RepoTags":["one:1","uno:1"],
                                           "Layers":["aaa/layer.tar"]},
                                          {"Config":"2.json","RepoTags":null,
                                           "Layers":["bbb/layer.tar","ccc/layer.tar"]}])"},
                    {"1.json", one.config},
                    {"2.json", two.config},
                    {"./aaa/layer.tar", base.blob},
                    {"bbb/layer.tar", "-> ../aaa/layer.tar"},
                    {"ccc/layer.tar", top.blob}};
  const auto imported = import("set.tar", make_tar(files));
  ASSERT_TRUE(imported) << imported.error().full();
  EXPECT_EQ(names(*imported),
            (std::vector<std::string>{"docker.io/library/one:1", "docker.io/library/uno:1",
                                      "docker.io/library/set-2:latest"}));
  store_.collect();
  EXPECT_EQ(store_.snapshots.size(), 2u) << "the base is shared";
  for (const char* name : {"one:1", "uno:1", "set-2"}) EXPECT_TRUE(service_->find(name)) << name;
  const auto again = import("set.tar", make_tar(files));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->at(0).digest, imported->at(0).digest) << "the same archive, the same digest";
}

TEST_F(Import, AnOciLayoutDirectoryWorksToo) {
  for (const auto& [name, content] : oci_files(two_layers())) {
    const std::filesystem::path path = dir_ / ("pump/" + name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  const auto imported = service_->import_archive(dir_ / "pump", {});
  ASSERT_TRUE(imported) << imported.error().full();
  EXPECT_EQ(imported->at(0).name, "docker.io/library/pump:latest");
}

TEST_F(Import, WhatIsNoImageArchiveIsRefused) {
  expect_refused({{"readme", "x"}}, Code::InvalidArgument, "neither index.json nor manifest.json");
  expect_refused({{"etc/passwd", "x"}}, Code::InvalidArgument, "docker export");
  expect_refused({{"index.json", "<html>"}}, Code::InvalidArgument, "index.json: is not JSON");
  expect_refused({{"index.json", R"({"manifests":[]})"}}, Code::InvalidArgument, "lists no image");
  expect_refused({{"manifest.json", "[]"}}, Code::InvalidArgument, "not a list of images");
  expect_refused({{"manifest.json", "[1]"}}, Code::InvalidArgument, "lacks Config or Layers");
  expect_refused({{"manifest.json", R"([{"Config":"c","Layers":[]}])"}}, Code::InvalidArgument,
                 "lacks c");
  for (const std::string& bytes : {std::string(), std::string("no tar at all"),
                                   std::string(4096, 'x'), pack("not a tar", Packing::Gzip)}) {
    const auto imported = import("bad", bytes);
    ASSERT_FALSE(imported);
    EXPECT_EQ(imported.error().code(), Code::InvalidArgument) << imported.error().full();
  }
  EXPECT_EQ(service_->import_archive(dir_ / "missing", {}).error().code(), Code::NotFound);
  EXPECT_EQ(service_->import_archive("/dev/zero", {}).error().code(), Code::InvalidArgument);
}

TEST_F(Import, WrongBytesNeverGetIn) {
  const TestImage& image = two_layers();
  const auto with = [&](const std::string& name, const std::string& content) {
    Files files = oci_files(image);
    for (auto& [each, bytes] : files) {
      if (each == name) bytes = content;
    }
    return files;
  };
  std::string flipped = image.layers[1].blob;
  flipped[flipped.size() / 2] ^= 1;
  const std::string layer = blob_name(image.layers[1].blob);
  expect_refused(with(layer, flipped), Code::DataLoss, "does not match the digest");
  expect_refused(with(layer, flipped + "x"), Code::DataLoss, "the manifest says");
  expect_refused(with(layer, ""), Code::DataLoss, "the manifest says");
  expect_refused(with(blob_name(image.manifest), image.manifest + " "), Code::DataLoss, "digest");
  std::string config = image.config;
  config[10] ^= 1;
  expect_refused(with(blob_name(image.config), config), Code::DataLoss, "digest");
}

TEST_F(Import, AMissingPieceIsNamed) {
  const TestImage& image = two_layers();
  const auto without = [&](const std::string& name) {
    Files files = oci_files(image);
    std::erase_if(files, [&](const auto& each) { return each.first == name; });
    return files;
  };
  expect_refused(without(blob_name(image.manifest)), Code::InvalidArgument, "lacks the blob");
  expect_refused(without(blob_name(image.config)), Code::InvalidArgument, "lacks the blob");
  expect_refused(without(blob_name(image.layers[0].blob)), Code::InvalidArgument,
                 "lacks the layer");
  Files docker = docker_files(image, R"(["x:1"])");
  docker.erase(docker.begin());
  expect_refused(docker, Code::InvalidArgument, "lacks the layer");
}

TEST_F(Import, LayersAndConfigMustAgree) {
  TestImage image = two_layers();
  std::swap(image.layers[0].diff_id, image.layers[1].diff_id);
  expect_refused(oci_files(make_image(image.layers)), Code::DataLoss, "diff id");
  TestImage fewer = make_image({image.layers[0]});
  Files docker = docker_files(two_layers(), R"(["x:1"])");
  for (auto& [name, content] : docker) {
    if (name.ends_with(".json") && name != "manifest.json") content = fewer.config;
  }
  expect_refused(docker, Code::InvalidArgument, "the config lists 1 layers, the manifest 2");
}

TEST_F(Import, ATruncatedArchiveIsSaidToBe) {
  // Big enough, and hard enough to compress, that a cut falls into the middle of a layer.
  std::string noise;
  for (int i = 0; i < 4000; ++i) noise += sha256_hex(std::to_string(i));
  const TestImage image = make_image({make_layer("a", noise, Packing::Plain)});
  for (const Packing packing : {Packing::Plain, Packing::Gzip, Packing::Zstd}) {
    const std::string whole = make_tar(oci_files(image), packing);
    const auto imported = import("cut.tar", whole.substr(0, whole.size() / 2));
    ASSERT_FALSE(imported);
    EXPECT_EQ(imported.error().code(), Code::DataLoss) << imported.error().full();
    EXPECT_THAT(imported.error().full(), HasSubstr("truncated or damaged"));
    expect_nothing_left();
  }
}

TEST_F(Import, OddNamesAreNeverFollowedOutOfTheArchive) {
  const std::string outside = put("outside.json", two_layers().config);
  const std::string layers = R"("Layers":["l.tar"]}])";
  const std::string layer = make_layer("a", "x", Packing::Plain).blob;
  for (const std::string& config : {std::string("../outside.json"), "/" + outside, outside}) {
    expect_refused({{"manifest.json", R"([{"Config":")" + config + R"(",)" + layers},
                    {"../outside.json", "x"},
                    {outside, "x"},
                    {"l.tar", layer}},
                   Code::InvalidArgument, "the archive lacks");
  }
  expect_refused({{"manifest.json", R"([{"Config":"c",)" + layers}, {"c", "-> " + outside}},
                 Code::InvalidArgument, "the archive lacks");
  expect_refused({{"manifest.json", R"([{"Config":"a",)" + layers}, {"a", "-> b"}, {"b", "-> a"}},
                 Code::InvalidArgument, "the archive lacks");
  expect_refused({{"index.json", "{}"}, {"./index.json", "{}"}}, Code::InvalidArgument, "twice");
}

TEST_F(Import, AFailureAtAnyStepLeavesNothingAndTheNextAttemptWorks) {
  const Files files = oci_files(two_layers());
  for (const char* point : {"image.import", "image.import-layer", "image.unpack", "image.record"}) {
    failpoints_arm(std::string(point) + "=error");
    const auto imported = import(files);
    failpoints_arm("");
    ASSERT_FALSE(imported) << point;
    expect_nothing_left();
  }
  for (const char* method : {"open_blob", "write", "commit", "unpack_layer", "put_image"}) {
    store_.fault = [&](const std::string& called, const std::string&) -> Status {
      if (called != method) return {};
      return fail(Code::ResourceExhausted, "no space left on device");
    };
    const auto imported = import(files);
    store_.fault = nullptr;
    ASSERT_FALSE(imported) << method;
    EXPECT_EQ(imported.error().code(), Code::ResourceExhausted);
    expect_nothing_left();
  }
  EXPECT_TRUE(import(files));
}

TEST_F(Import, ACancelledImportStops) {
  CancelToken cancel;
  store_.fault = [&](const std::string& called, const std::string&) -> Status {
    if (called == "write") cancel.cancel();
    return {};
  };
  const auto imported =
      service_->import_archive(put("x", make_tar(oci_files(two_layers()))), cancel);
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().code(), Code::Cancelled);
  store_.fault = nullptr;
  expect_nothing_left();
}

TEST_F(Import, WhatAPullIsFetchingIsLeftAlone) {
  const TestImage& image = two_layers();
  const std::string& layer = image.layers[0].blob;
  const std::string ref = "layer-" + sha256_digest(layer);
  const auto writer =
      store_.open_blob(ref, {"", sha256_digest(layer), static_cast<int64_t>(layer.size())}, "");
  ASSERT_TRUE((*writer)->write(layer.substr(0, 10)));
  const auto imported = import(oci_files(image));
  EXPECT_TRUE(imported) << imported.error().full();
  EXPECT_EQ(store_.ingests[ref], layer.substr(0, 10));
  EXPECT_TRUE((*writer)->commit({})) << "the import was quicker";
}

TEST_F(Import, ALayerThatTwoImportsHaveIsWaitedForUntilTheCancel) {
  std::promise<void> arrived, over;
  const auto go_on = over.get_future().share();
  std::atomic<bool> first{true};
  store_.fault = [&](const std::string& called, const std::string&) -> Status {
    if (called != "write" || !first.exchange(false)) return {};
    arrived.set_value();
    go_on.wait();
    return {};
  };
  const std::string path = put("x", make_tar(oci_files(two_layers())));
  auto slow = std::async(std::launch::async, [&] { return service_->import_archive(path, {}); });
  arrived.get_future().wait();
  CancelToken cancel;
  auto other =
      std::async(std::launch::async, [&] { return service_->import_archive(path, cancel); });
  auto third = std::async(std::launch::async, [&] { return service_->import_archive(path, {}); });
  EXPECT_TRUE(test::wait_until([&] {
    const std::lock_guard lock(store_.mutex);
    return store_.calls["create_lease"] == 3;
  }));
  cancel.cancel();
  EXPECT_EQ(other.get().error().code(), Code::Cancelled);
  over.set_value();
  EXPECT_TRUE(slow.get());
  EXPECT_TRUE(third.get());
}

TEST_F(Import, ALongImportMovesOnToAFreshLease) {
  FakeClock clock;
  runtime::PullLeases leases(store_, clock);
  runtime::Importer importer(store_, "overlayfs", options_.platform, leases);
  store_.fault = [&](const std::string& called, const std::string&) -> Status {
    if (called == "commit" && clock.wall() < WallTime(std::chrono::hours(24 * 365 * 80))) {
      clock.set_wall(WallTime(std::chrono::hours(24 * 365 * 90)));  // the network came: it is late
    }
    return {};
  };
  const auto imported = importer.import(put("x", make_tar(oci_files(two_layers()))), {}, {});
  EXPECT_TRUE(imported) << imported.error().full();
  EXPECT_EQ(store_.calls["create_lease"], 2);
  EXPECT_TRUE(store_.leases.empty());
}

TEST_F(Import, AllNamesAreRecordedOrNone) {
  ASSERT_TRUE(import(docker_files(two_layers(), R"(["a:1"])")));
  const auto before = store_.records.begin()->second.target.digest;
  store_.fault = [&](const std::string& called, const std::string& what) -> Status {
    if (called != "put_image" || !what.ends_with("/c:1")) return {};
    return fail(Code::ResourceExhausted, "no space left on device");
  };
  const TestImage other = make_image({make_layer("c", "other")});
  EXPECT_FALSE(import(docker_files(other, R"(["a:1","b:1","c:1"])")));
  ASSERT_EQ(store_.records.size(), 1u);
  EXPECT_EQ(store_.records["docker.io/library/a:1"].target.digest, before);
}

TEST_F(Import, ADamagedDocumentIsReplaced) {
  const TestImage& image = two_layers();
  ASSERT_TRUE(import(oci_files(image)));
  for (const std::string& bytes : {image.manifest, image.config}) {
    store_.blobs[sha256_digest(bytes)].bytes[5] ^= 1;
  }
  runtime::ImageService fresh(store_, options_);
  EXPECT_EQ(fresh.find("x").error().code(), Code::DataLoss);
  ASSERT_TRUE(import(oci_files(image)));
  EXPECT_EQ(store_.calls["unpack_layer"], 2) << "what hangs on it is still there";
  EXPECT_TRUE(fresh.find("x"));
  store_.collect();
  EXPECT_TRUE(fresh.find("x"));
}

TEST_F(Import, LayersThatCameWithAnotherImageStayThoughThatIsRemovedMeanwhile) {
  ASSERT_TRUE(import(oci_files(two_layers())));
  const std::string base = store_.records.begin()->first;
  store_.calls.clear();
  store_.fault = [&](const std::string& method, const std::string&) -> Status {
    if (method != "unpack_layer") return {};
    {
      const std::lock_guard lock(store_.mutex);
      store_.records.erase(base);
    }
    store_.collect();
    return {};
  };
  const TestImage more = make_image({two_layers().layers[0], make_layer("d", "new")});
  const auto imported = import(docker_files(more, R"(["more:1"])"));
  ASSERT_TRUE(imported) << imported.error().full();
  EXPECT_EQ(store_.calls["unpack_layer"], 1) << "only its own";
}

TEST_F(Import, FindWantsAllOfIt) {
  const TestImage& image = two_layers();
  ASSERT_TRUE(import("web.tar", make_tar(oci_files(image))));
  ASSERT_TRUE(service_->find("web"));
  EXPECT_EQ(service_->find("No Image").error().reason(), "InvalidImageName");
  const int before = store_.calls["read_blob"];
  ASSERT_TRUE(service_->find("web"));
  EXPECT_EQ(store_.calls["read_blob"], before) << "known images are not read again";

  const auto snapshots = store_.snapshots;
  store_.snapshots.clear();
  EXPECT_EQ(service_->find("web").error().code(), Code::NotFound);
  store_.snapshots = snapshots;
  EXPECT_TRUE(service_->find("web"));
  store_.blobs.erase(sha256_digest(image.config));
  EXPECT_EQ(service_->find("web").error().code(), Code::NotFound);

  runtime::ImageService fresh(store_, options_);
  store_.blobs.erase(sha256_digest(image.layers[0].blob));
  EXPECT_EQ(fresh.find("web").error().code(), Code::NotFound);
  ASSERT_TRUE(fresh.list());
  EXPECT_EQ(fresh.list()->size(), 1u) << "listed all the same";
}

TEST_F(Import, AnImageOnTheDeviceIsUnpackedAgainWithoutTheNetwork) {
  const TestImage& image = two_layers();
  ASSERT_TRUE(
      import("web.tar",
             make_tar(oci_files(image, R"({"io.containerd.image.name":"localhost:1/web:1"})"))));
  for (const std::string& reference :
       {std::string("localhost:1/web:1"), "localhost:1/web@" + image.digest()}) {
    store_.snapshots.clear();
    ASSERT_FALSE(service_->find(reference));
    const auto pulled = service_->pull({reference}, {});
    ASSERT_TRUE(pulled) << pulled.error().full();
    EXPECT_TRUE(service_->find(reference));
    EXPECT_TRUE(store_.leases.empty());
  }
}

TEST_F(Import, RemoveLeavesNothing) {
  ASSERT_TRUE(import("web.tar", make_tar(oci_files(two_layers()))));
  ASSERT_TRUE(service_->remove("web"));
  EXPECT_TRUE(service_->remove("web")) << "again is no error";
  expect_nothing_left();
}

}  // namespace
}  // namespace wherry::image_test

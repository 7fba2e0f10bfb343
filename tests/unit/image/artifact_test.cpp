// Which blobs of an OCI artifact become which files.

#include "runtime/image/artifact.h"

#include "base/text.h"
#include "runtime/image/manifest.h"
#include "tests/unit/image/import_fixture.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

using runtime::Descriptor;
using runtime::parse_manifest;

constexpr const char* kEmpty = "application/vnd.oci.empty.v1+json";
constexpr const char* kModel = "application/vnd.example.model.v1";
constexpr const char* kFile = "application/octet-stream";
constexpr const char* kTar = "application/vnd.oci.image.layer.v1.tar";

std::string titled(const std::string& title, const std::string& more = "") {
  return R"(,"annotations":{"org.opencontainers.image.title":")" + title + "\"" + more + "}";
}
const std::string kUnpack = R"(,"io.deis.oras.content.unpack":"true")";

std::string artifact(const std::vector<std::string>& blobs, const std::string& config_type = kEmpty,
                     const std::string& type = kModel) {
  return R"({"schemaVersion":2,"mediaType":")" + kManifestType + R"(","artifactType":")" + type +
         R"(","config":)" + descriptor_json("{}", config_type) + R"(,"layers":[)" +
         join(blobs, ",") + "]}";
}

std::vector<std::string> files_of(const std::string& json) {
  const auto manifest = parse_manifest(json, "m");
  if (!manifest) return {manifest.error().full()};
  std::vector<std::string> files;
  for (const Descriptor& blob : manifest->layers) {
    files.push_back(blob.file.empty() ? "unpack " + blob.media_type : blob.file);
  }
  return files;
}

TEST(ArtifactPath, IsCleanedAndStaysInside) {
  const auto path = [](std::string_view title) {
    const auto made = runtime::artifact_path(title);
    return made ? *made : made.error().message();
  };
  EXPECT_EQ(path("weights.bin"), "weights.bin");
  EXPECT_EQ(path("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(path("..a/b.."), "..a/b..");
  EXPECT_EQ(path("größe \"x\".bin"), "größe \"x\".bin");
  for (const char* bad : {"..", "a/../../etc/passwd", "../x", "a/.."}) {
    EXPECT_THAT(path(bad), HasSubstr("goes up")) << bad;
  }
  EXPECT_THAT(path("/etc/passwd"), HasSubstr("is an absolute path"));
  for (const char* nothing : {"", ".", "./", "././/"}) {
    EXPECT_THAT(path(nothing), HasSubstr("names nothing")) << nothing;
  }
  EXPECT_THAT(path("a\nb"), HasSubstr("control characters"));
  EXPECT_THAT(path(std::string_view("a\0b", 3)), HasSubstr("control characters"));
  EXPECT_THAT(path("\xff"), HasSubstr("no UTF-8"));
  EXPECT_THAT(path(std::string(256, 'n')), HasSubstr("longer than 255"));
  EXPECT_THAT(path(std::string(1025, '/')), HasSubstr("longer than 1024"));
}

TEST(ArtifactPath, TarIsToldByTheEndOfTheMediaType) {
  EXPECT_EQ(runtime::tar_type(kTar), kTar);
  EXPECT_EQ(runtime::tar_type("application/x-tar"), kTar);
  EXPECT_EQ(runtime::tar_type("application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
            std::string(kTar) + "+gzip");
  EXPECT_EQ(runtime::tar_type("application/vnd.docker.image.rootfs.diff.tar.gzip"),
            std::string(kTar) + "+gzip");
  EXPECT_EQ(runtime::tar_type("application/x.tar+zstd"), std::string(kTar) + "+zstd");
  for (const char* none :
       {"", "application/gzip", "application/guitar", "application/vnd.x.tar+gzip+encrypted",
        "application/octet-stream", "targzip", "application/x.targzip"}) {
    EXPECT_EQ(runtime::tar_type(none), "") << none;
  }
}

TEST(Artifact, ItsBlobsBecomeFilesAndDirectories) {
  EXPECT_THAT(files_of(artifact(
                  {descriptor_json("w", kFile, titled("a/weights")),
                   descriptor_json("t", kTar, titled("hi.txt")),
                   descriptor_json("d", std::string(kTar) + "+gzip", titled("d", kUnpack)),
                   descriptor_json("u", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
                   descriptor_json("{}", kEmpty)})),
              ::testing::ElementsAre("a/weights", "hi.txt", "unpack " + std::string(kTar) + "+gzip",
                                     "unpack " + std::string(kTar) + "+gzip"));
  const auto told = parse_manifest(artifact({}), "m");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->artifact, kModel);
  const auto by_config = parse_manifest(artifact({}, "application/vnd.acme.config", ""), "m");
  ASSERT_TRUE(by_config);
  EXPECT_EQ(by_config->artifact, "application/vnd.acme.config");
}

TEST(Artifact, AnImageIsNone) {
  const std::string image = "application/vnd.oci.image.config.v1+json";
  const auto runs = parse_manifest(artifact({descriptor_json("t", kTar)}, image), "m");
  ASSERT_TRUE(runs) << runs.error().full();
  EXPECT_EQ(runs->artifact, "") << "whatever type it gives itself, it can run";
  const auto files =
      parse_manifest(artifact({descriptor_json("t", kFile, titled("t"))}, image), "m");
  ASSERT_TRUE(files) << files.error().full();
  EXPECT_EQ(files->artifact, kModel);
  const auto neither = parse_manifest(artifact({descriptor_json("t", kFile)}, image, ""), "m");
  ASSERT_FALSE(neither);
  EXPECT_THAT(neither.error().full(), HasSubstr("is not a container image: it holds"));
  // Old registries gave configs odd types; docker's manifests are images all the same.
  std::string old = artifact({descriptor_json("t", kTar)}, kFile, "");
  old.replace(old.find(kManifestType), kManifestType.size(), runtime::media::kDockerManifest);
  const auto docker = parse_manifest(old, "m");
  ASSERT_TRUE(docker) << docker.error().full();
  EXPECT_EQ(docker->artifact, "");
}

TEST(Artifact, WhatCannotBecomeFilesIsRefused) {
  const auto refusal = [](const std::vector<std::string>& blobs) {
    return join(files_of(artifact(blobs)), "|");
  };
  const auto file = [](const std::string& bytes, const std::string& title) {
    return descriptor_json(bytes, kFile, titled(title));
  };
  EXPECT_THAT(
      refusal({file("x", "../up")}),
      HasSubstr("m: is an OCI artifact (" + std::string(kModel) + "): the title \"../up\""));
  EXPECT_THAT(refusal({file("x", "a"), file("y", "./a")}),
              HasSubstr("two of its blobs are called"));
  EXPECT_THAT(refusal({file("x", "a/b/c"), file("y", "a/b")}),
              HasSubstr("its blob \"a/b\" stands where \"a/b/c\" needs a directory"));
  EXPECT_THAT(refusal({descriptor_json("x", kFile)}), HasSubstr("has no annotation"));
  EXPECT_THAT(refusal({descriptor_json("x", kFile, titled("d", kUnpack))}),
              HasSubstr("marked to be unpacked"));
}

TEST(Artifact, SnapshotsAreNamedByWhatIsInThem) {
  const std::vector<Descriptor> one{{"t", "sha256:1", 1, "a"}, {"t", "sha256:2", 1, "b"}};
  const auto chains = runtime::artifact_chains(one);
  EXPECT_EQ(chains, runtime::artifact_chains(one));
  EXPECT_NE(chains[0], chains[1]);
  auto renamed = one;
  renamed[0].file = "c";
  EXPECT_NE(runtime::artifact_chains(renamed)[1], chains[1]);
  auto other = one;
  other[1].digest = "sha256:3";
  EXPECT_EQ(runtime::artifact_chains(other)[0], chains[0]);
  EXPECT_NE(runtime::artifact_chains(other)[1], chains[1]);
}

// In a store, from a registry.
class ArtifactPull : public Pull {
 protected:
  std::string add(const std::string& weights) {
    const std::string tar = make_tar({{"in/tar", "packed"}});
    registry_.add_blob("{}");
    registry_.add_blob(weights);
    registry_.add_blob(tar);
    manifest_ = artifact(
        {descriptor_json(weights, kFile, titled("model/weights")), descriptor_json(tar, kTar)});
    registry_.add_manifest("model", "1", manifest_, kManifestType);
    return registry_.host() + "/model:1";
  }
  std::string manifest_;
};

TEST_F(ArtifactPull, ItsSnapshotsHangOnItsManifest) {
  const std::string weights = noise(100'000, "w");
  const auto pulled = pull(add(weights));
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(pulled->digest, sha256_digest(manifest_));
  EXPECT_GT(pulled->size, static_cast<int64_t>(weights.size()));
  ASSERT_EQ(store_.files.size(), 1u);
  EXPECT_EQ(store_.files.begin()->second, std::pair(std::string("model/weights"), weights));
  EXPECT_EQ(store_.snapshots.size(), 2u);
  // Another artifact shares the empty config, and must not take away what keeps this one.
  const std::string first = manifest_;
  registry_.add_blob("{}");
  ASSERT_TRUE(pull(add("other"))) << "the tag has moved";
  EXPECT_EQ(store_.snapshots.size(), 4u);
  store_.collect();
  EXPECT_EQ(store_.snapshots.size(), 4u) << "the earlier one stays under its digest";
  EXPECT_TRUE(service_->find("127.0.0.1/any@" + sha256_digest(first)));
  restart();
  EXPECT_TRUE(service_->find(registry_.host() + "/model:1")) << "as another agent finds it";
}

TEST_F(ArtifactPull, IsContinuedAndVerifiedLikeAnyBlob) {
  const std::string weights = noise(600'000, "w");
  const std::string name = add(weights);
  std::atomic<int> cuts{0};
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, weights) || cuts++ > 0) return false;
    cut_off(request, response, weights, 300'000);
    return true;
  });
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(registry_.count("GET", sha256_digest(weights)), 2);
  EXPECT_NE(registry_.seen().back().range + registry_.seen()[registry_.seen().size() - 2].range,
            "");
}

TEST_F(ArtifactPull, WrongBytesLeaveNothing) {
  const std::string weights = noise(1000, "w");
  const std::string name = add(weights);
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, weights)) return false;
    send_from_start(response, noise(1000, "other").substr(0, weights.size()));
    return true;
  });
  expect_failure(name, Code::DataLoss, "");
  expect_nothing_left();
}

// Out of an archive.
class ArtifactImport : public Import {
 protected:
  static Files layout(const std::string& weights, const std::string& title) {
    const std::string manifest = artifact({descriptor_json(weights, kFile, titled(title))});
    return {{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
            {blob_name("{}"), "{}"},
            {blob_name(manifest), manifest},
            {blob_name(weights), weights},
            {"index.json", R"({"schemaVersion":2,"manifests":[)" +
                               descriptor_json(manifest, kManifestType) + "]}"}};
  }
};

TEST_F(ArtifactImport, IsTakenFromALayout) {
  const auto imported = import("pump.tar", make_tar(layout("weights", "model/weights")));
  ASSERT_TRUE(imported) << imported.error().full();
  ASSERT_EQ(imported->size(), 1u);
  EXPECT_EQ(imported->front().name, "docker.io/library/pump:latest");
  ASSERT_EQ(store_.files.size(), 1u);
  EXPECT_EQ(store_.files.begin()->second,
            std::pair(std::string("model/weights"), std::string("weights")));
  store_.collect();
  EXPECT_EQ(store_.snapshots.size(), 1u) << "it hangs on the manifest";
  EXPECT_TRUE(service_->find("pump"));
}

TEST_F(ArtifactImport, IsRefusedWhole) {
  expect_refused(layout("weights", "../../etc/passwd"), Code::InvalidArgument, "goes up");
  Files damaged = layout("weights", "model/weights");
  damaged[3].second = "weightZ";
  expect_refused(damaged, Code::DataLoss, "does not match the digest");
}

}  // namespace
}  // namespace wherry::image_test

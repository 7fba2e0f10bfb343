// Platforms, indexes, manifests, configs.

#include <gtest/gtest.h>

#include "base/digest.h"
#include "runtime/image/manifest.h"
#include "runtime/image/platform.h"

namespace wherry::runtime {
namespace {

std::string digest(char c) { return "sha256:" + std::string(64, c); }

std::string entry(char c, const std::string& more) {
  return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"digest":")" +
         digest(c) + "\"" + more + "}";
}

std::string platform(const std::string& os, const std::string& arch, const std::string& variant) {
  return R"(,"platform":{"os":")" + os + R"(","architecture":")" + arch + R"(","variant":")" +
         variant + R"("})";
}

std::string index_of(const std::string& entries) {
  return R"({"schemaVersion":2,"manifests":[)" + entries + "]}";
}

TEST(Platforms, FitAsTheHardwareDoes) {
  const Platform arm7{"linux", "arm", "v7"}, arm6{"linux", "arm", "v6"};
  const Platform arm64{"linux", "arm64", "v8"}, amd64{"linux", "amd64", ""};
  EXPECT_EQ(fitness(arm7, {"linux", "arm", "v7"}), 0);
  EXPECT_EQ(fitness(arm7, {"linux", "arm", ""}), 0);
  EXPECT_EQ(fitness(arm7, {"linux", "arm", "7"}), 0);
  EXPECT_EQ(fitness(arm7, {"linux", "armhf", ""}), 0);
  EXPECT_EQ(fitness(arm7, {"linux", "arm", "v6"}), 1);
  EXPECT_EQ(fitness(arm6, {"linux", "arm", "v7"}), std::nullopt);
  EXPECT_EQ(fitness(arm7, {"linux", "arm64", ""}), std::nullopt);
  EXPECT_EQ(fitness(arm64, {"linux", "aarch64", ""}), 0);
  EXPECT_LT(*fitness(arm64, {"linux", "arm64", ""}), *fitness(arm64, {"linux", "arm", "v7"}));
  EXPECT_EQ(fitness(amd64, {"linux", "x86_64", ""}), 0);
  EXPECT_EQ(fitness(amd64, {"linux", "amd64", "v3"}), std::nullopt) << "may use what is not there";
  EXPECT_TRUE(fitness(amd64, {"linux", "386", ""}));
  EXPECT_EQ(fitness(amd64, {"windows", "amd64", ""}), std::nullopt);
  EXPECT_EQ(fitness(amd64, {"linux", "arm64", ""}), std::nullopt);
  EXPECT_EQ(fitness(host_platform(), host_platform()), 0);
  EXPECT_EQ(to_string(normalize({"linux", "arm64", "v8"})), "linux/arm64");
  EXPECT_EQ(to_string(normalize({"linux", "arm", ""})), "linux/arm/v7");
}

TEST(Index, TheBestFitIsChosen) {
  const std::string json =
      index_of(entry('a', platform("linux", "arm", "v6")) + "," +
               entry('b', platform("unknown", "unknown", "")) + "," +
               entry('c', platform("linux", "arm", "v7")) + "," +
               entry('d', platform("linux", "amd64", "")) + "," + entry('e', ""));
  const auto entries = parse_index(json, "index");
  ASSERT_TRUE(entries) << entries.error().full();
  EXPECT_EQ(choose(*entries, {"linux", "arm", "v7"}, "i")->target.digest, digest('c'));
  EXPECT_EQ(choose(*entries, {"linux", "arm", "v6"}, "i")->target.digest, digest('a'));
  EXPECT_EQ(choose(*entries, {"linux", "amd64", ""}, "i")->target.digest, digest('d'));
  EXPECT_EQ(choose(*entries, {"linux", "riscv64", ""}, "i")->target.digest, digest('e'));
}

TEST(Index, SaysWhatThereIsWhenNothingFits) {
  const auto entries = parse_index(index_of(entry('a', platform("linux", "arm", "v7")) + "," +
                                            entry('b', platform("windows", "amd64", ""))),
                                   "index");
  const auto chosen = choose(*entries, {"linux", "amd64", ""}, "image x");
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code(), Code::NotFound);
  EXPECT_EQ(chosen.error().message(),
            "image x: there is nothing for linux/amd64; it has linux/arm/v7, windows/amd64");
}

TEST(Index, TellsOfManyPlatformsBriefly) {
  std::string entries;
  for (int i = 0; i < 500; ++i) {
    entries += (i > 0 ? "," : "") + entry('a', platform("linux", std::string(500, 'x'), ""));
  }
  const auto chosen = choose(*parse_index(index_of(entries), "i"), {"linux", "amd64", ""}, "i");
  ASSERT_FALSE(chosen);
  EXPECT_LT(chosen.error().message().size(), 2000u);
}

TEST(Documents, BadOnesAreRefusedWithTheirFault) {
  const std::string config = R"("config":{"digest":")" + digest('a') + R"(","size":1})";
  const std::vector<std::pair<std::string, std::string>> manifests{
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "not a JSON object"},
      {"{}", "no config"},
      {R"({"schemaVersion":1,"fsLayers":[]})", "schema 1"},
      {"{" + config + "}", "layers"},
      {"{" + config + R"(,"layers":{}})", "layers"},
      {"{" + config + R"(,"layers":[1]})", "descriptor"},
      {"{" + config + R"(,"layers":[],"manifests":[]})", "at once"},
      {"{" + config + R"(,"layers":[{"digest":"md5:1","size":1}]})", "digest"},
      {"{" + config + R"(,"layers":[{"digest":"../../x","size":1}]})", "digest"},
      {"{" + config + R"(,"layers":[{"digest":")" + digest('b') + R"("}]})", "size"},
      {"{" + config + R"(,"layers":[{"digest":")" + digest('b') + R"(","size":-1}]})", "size"},
      {"{" + config + R"(,"layers":[{"digest":")" + digest('b') + R"(","size":1125899906842625}]})",
       "size"},
      {"{" + config + R"(,"layers":[{"digest":")" + digest('b') + R"(","size":1e3}]})", "size"},
      {"{" + config + R"(,"layers":[{"digest":")" + digest('b') +
           R"(","size":18446744073709551615}]})",
       "size"},
      {"{" + config + R"(,"layers":[{"mediaType":"application/x-helm","digest":")" + digest('b') +
           R"(","size":1}]})",
       "application/x-helm"},
      {std::string(5 << 20, ' '), "4 MiB"},
  };
  for (const auto& [json, fault] : manifests) {
    const auto parsed = parse_manifest(json, "manifest x");
    ASSERT_FALSE(parsed) << json.substr(0, 200);
    EXPECT_EQ(parsed.error().code(), Code::InvalidArgument);
    EXPECT_NE(parsed.error().message().find(fault), std::string::npos) << parsed.error().message();
    EXPECT_TRUE(parsed.error().message().starts_with("manifest x: "));
  }
  EXPECT_FALSE(parse_index("{" + config + R"(,"manifests":[]})", "index"));
  EXPECT_FALSE(parse_index(R"({"manifests":{}})", "index"));
  EXPECT_FALSE(parse_rootfs("{}", "config"));
  EXPECT_FALSE(parse_rootfs(R"({"rootfs":{"diff_ids":["x"]}})", "config"));
}

TEST(Documents, TheShapeTellsTheTypeWhereNothingElseDoes) {
  EXPECT_EQ(sniff_media_type(R"({"manifests":[]})"), media::kOciIndex);
  EXPECT_EQ(sniff_media_type(R"({"config":{},"layers":[]})"), media::kOciManifest);
  EXPECT_EQ(sniff_media_type(R"({"mediaType":")" + std::string(media::kDockerManifest) +
                             R"(","config":{},"layers":[]})"),
            media::kDockerManifest);
  EXPECT_EQ(sniff_media_type(R"({"manifests":[],"layers":[]})"), "");
  EXPECT_EQ(sniff_media_type(R"({"mediaType":"text/html","layers":[]})"), "");
  EXPECT_EQ(sniff_media_type("<html>"), "");
}

TEST(Documents, ChainIdsFollowTheSpecification) {
  const std::vector<std::string> chains = chain_ids({digest('a'), digest('b'), digest('c')});
  ASSERT_EQ(chains.size(), 3u);
  EXPECT_EQ(chains[0], digest('a'));
  EXPECT_EQ(chains[1], sha256_digest(digest('a') + " " + digest('b')));
  EXPECT_EQ(chains[2], sha256_digest(chains[1] + " " + digest('c')));
  EXPECT_TRUE(chain_ids({}).empty());
}

TEST(Documents, LabelsNameTheChildrenAsContainerdDoes) {
  const auto entries = parse_index(index_of(entry('a', "") + "," + entry('b', "")), "index");
  EXPECT_EQ(index_labels(*entries), (StringMap{{"containerd.io/gc.ref.content.m.0", digest('a')},
                                               {"containerd.io/gc.ref.content.m.1", digest('b')}}));
  const Manifest manifest{{"", digest('c'), 1}, {{"", digest('d'), 1}, {"", digest('e'), 1}}};
  EXPECT_EQ(manifest_labels(manifest),
            (StringMap{{"containerd.io/gc.ref.content.config", digest('c')},
                       {"containerd.io/gc.ref.content.l.0", digest('d')},
                       {"containerd.io/gc.ref.content.l.1", digest('e')}}));
  EXPECT_EQ(config_labels("overlayfs", digest('f')),
            (StringMap{{"containerd.io/gc.ref.snapshot.overlayfs", digest('f')}}));
  EXPECT_TRUE(config_labels("overlayfs", "").empty());
}

}  // namespace
}  // namespace wherry::runtime

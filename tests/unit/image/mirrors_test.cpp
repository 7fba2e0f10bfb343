// Mirrors: which are asked for what, and what one that is wrong or away may cost.

#include <filesystem>

#include "tests/support/temp_dir.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

// r.local is `registry_`, and `mirror_` is asked before it.
class Mirrors : public Pull {
 protected:
  Mirrors() {
    std::filesystem::create_directories(dir_ / "r.local");
    options_.hosts_dir = dir_.path();
    set_mirror("");
    registry_.add(three_layers(), "web", "1");
    mirror_.add(three_layers(), "web", "1");
  }
  void set_mirror(const std::string& settings, const std::string& server = {}) {
    test::write_text(dir_ / "r.local/hosts.toml",
                     "server = \"http://" + (server.empty() ? registry_.host() : server) +
                         "\"\n[host.\"http://" + mirror_.host() + "\"]\n" + settings);
    restart();
  }
  void expect_pulled(const std::string& reference = "r.local/web:1") {
    const auto pulled = pull(reference);
    EXPECT_TRUE(pulled) << pulled.error().full();
    EXPECT_TRUE(!pulled || pulled->digest == three_layers().digest());
  }
  // The mirror sends them in place of `right`.
  void mirror_sends(const std::string& right, const std::string& bytes) {
    mirror_.script([right, bytes](const Request& request, Response& response) {
      if (request.method == "HEAD" || !wants(request, right)) return false;
      return response.set_content(bytes, kManifestType), true;
    });
  }

  const test::TempDir dir_;
  ScriptedRegistry mirror_;
};

TEST_F(Mirrors, ADigestIsAskedForWhereOnlyPullIsAllowed) {
  set_mirror("capabilities = [\"pull\"]\n", "127.0.0.1:1");
  expect_pulled("r.local/web@" + three_layers().digest());
  store_.records.clear();
  expect_failure("r.local/web:1", Code::Unavailable, "127.0.0.1:1: cannot connect");
  EXPECT_EQ(mirror_.count("HEAD", "manifests/1"), 0) << "what a tag means it may not say";
  set_mirror("capabilities = [\"resolve\"]\n");
  expect_pulled("r.local/web@" + three_layers().digest());
}

TEST_F(Mirrors, WrongBytesOfAMirrorAreHadElsewhere) {
  const TestImage& image = three_layers();
  for (const std::string& right :
       {image.manifest, image.config, big_blob(), image.layers[2].blob}) {
    std::string wrong = right;
    wrong[wrong.size() / 2] ^= 1;
    for (const std::string& bytes :
         {wrong, right + "x", right.substr(1), std::string("<html>log in</html>")}) {
      mirror_sends(right, bytes);
      expect_pulled();
      EXPECT_TRUE(store_.ingests.empty());
      ASSERT_TRUE(service_->remove("r.local/web:1"));
      store_.collect();
      ASSERT_TRUE(store_.blobs.empty());
    }
  }
}

TEST_F(Mirrors, WrongBytesOfALayerAreAskedForOnceThough) {
  std::string wrong = big_blob();
  wrong[1000] ^= 1;
  mirror_sends(big_blob(), wrong);
  expect_pulled();
  EXPECT_EQ(mirror_.count("GET", sha256_digest(big_blob())), 1);
  EXPECT_EQ(registry_.count("GET", sha256_digest(big_blob())), 1);
}

TEST_F(Mirrors, AMirrorThatTakesSomethingElseForTheImageIsNotBelieved) {
  mirror_.add_manifest("web", "1", "{}", kManifestType);
  expect_pulled();
  mirror_.add_manifest("web", "1", std::string(5 << 20, ' '), kManifestType);
  store_.records.clear();
  expect_pulled();
  // It says which one it is, and has not got it.
  mirror_.script([](const Request& request, Response& response) {
    if (request.method != "HEAD") return refuse(response, 404), true;
    response.set_header("Docker-Content-Digest", sha256_digest("x"));
    return response.set_content("x", kManifestType), true;
  });
  store_.records.clear();
  expect_pulled();
}

TEST_F(Mirrors, WhatTheRegistryItselfSaysIsTheLastWord) {
  mirror_.script([](const Request&, Response& response) { return refuse(response, 404), true; });
  registry_.add_manifest("web", "bad", "{}", kManifestType);
  expect_failure("r.local/web:bad", Code::InvalidArgument, "has no config");
  EXPECT_EQ(registry_.count("GET", "/manifests/"), 1);
}

TEST_F(Mirrors, OneThatIsAwayIsAskedLastForAWhile) {
  mirror_.script([](const Request&, Response& response) { return refuse(response, 502), true; });
  expect_pulled();
  EXPECT_EQ(mirror_.seen().size(), 1u);
  registry_.script([](const Request&, Response& response) { return refuse(response, 404), true; });
  mirror_.script(nullptr);
  store_.records.clear();
  store_.blobs.clear();
  store_.snapshots.clear();
  expect_pulled();
  registry_.script(nullptr);
  const size_t before = registry_.seen().size();
  store_.records.clear();
  expect_pulled();
  EXPECT_EQ(registry_.seen().size(), before) << "it answered, so it is the first again";
}

TEST_F(Mirrors, AFullDiskIsNoReasonToAskAnother) {
  store_.fault = [](const std::string& method, const std::string& what) -> Status {
    if (method != "write" || what != sha256_digest(big_blob())) return {};
    return fail(Code::ResourceExhausted, "no space left on device");
  };
  expect_failure("r.local/web:1", Code::ResourceExhausted, "no space left on device");
  EXPECT_EQ(registry_.count("GET", sha256_digest(big_blob())), 0);
}

}  // namespace
}  // namespace wherry::image_test

// What is laid ready on the device.

#include <filesystem>

#include "base/digest.h"
#include "tests/unit/image/import_fixture.h"

namespace wherry::image_test {
namespace {

class Preload : public Import {
 protected:
  Preload() { std::filesystem::create_directory(dir_ / "p"); }
  runtime::PreloadReport preload() {
    auto report = service_->preload(dir_ / "p", {});
    EXPECT_TRUE(report) << report.error().full();
    return report ? *report : runtime::PreloadReport{};
  }
};

TEST_F(Preload, ImportsOnceAndABadFileDoesNotKeepTheOthersBack) {
  put("p/a.tar", make_tar(oci_files(two_layers())));
  put("p/b.tar", "garbage");
  put("p/c.tar", make_tar(docker_files(make_image({make_layer("c", "c")}), R"(["c:1"])")));
  put("p/.hidden.tar", "garbage");
  auto report = preload();
  EXPECT_EQ(names(report.imported),
            (std::vector<std::string>{"docker.io/library/a:latest", "docker.io/library/c:1"}));
  ASSERT_EQ(report.failed.size(), 1u);
  EXPECT_EQ(report.failed[0].path, dir_ / "p/b.tar");

  store_.calls.clear();
  report = preload();
  EXPECT_TRUE(report.imported.empty());
  EXPECT_EQ(report.unchanged, 2u);
  EXPECT_EQ(store_.calls["put_image"], 0);

  put("p/a.tar", make_tar(oci_files(make_image({make_layer("a", "changed")}))));
  std::filesystem::last_write_time(
      dir_ / "p/a.tar", std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(preload().imported.size(), 1u);
  ASSERT_TRUE(service_->remove("c:1"));
  EXPECT_EQ(names(preload().imported), std::vector<std::string>{"docker.io/library/c:1"});
}

TEST_F(Preload, ADirectoryThatIsBeingCopiedIsNoFailureYet) {
  std::filesystem::create_directories(dir_ / "p/pump/blobs/sha256");
  EXPECT_TRUE(preload().unsettled) << "it may become a layout";
  const auto files = oci_files(two_layers());
  for (const auto& [name, bytes] : files) {
    if (name == "index.json") put("p/pump/" + name, bytes);
  }
  auto report = preload();
  EXPECT_TRUE(report.unsettled);
  EXPECT_TRUE(report.failed.empty()) << report.failed[0].error.full();
  for (const auto& [name, bytes] : files) put("p/pump/" + name, bytes);
  report = preload();
  EXPECT_EQ(names(report.imported), std::vector<std::string>{"docker.io/library/pump:latest"});
  EXPECT_FALSE(report.unsettled);
}

TEST_F(Preload, ALinkStandsForWhatItLeadsTo) {
  put("elsewhere.tar", make_tar(docker_files(two_layers(), R"(["linked:1"])")));
  std::filesystem::create_symlink(dir_ / "elsewhere.tar", dir_ / "p/link.tar");
  EXPECT_EQ(names(preload().imported), std::vector<std::string>{"docker.io/library/linked:1"});
  EXPECT_EQ(preload().unchanged, 1u);
}

// A device that was updated by a second archive beside the first must not go back and forth.
TEST_F(Preload, OfTwoArchivesOfOneNameTheLaterHoldsAndStays) {
  const TestImage one = make_image({make_layer("a", "one")});
  const TestImage two = make_image({make_layer("a", "two")});
  put("p/app-v1.tar", make_tar(docker_files(one, R"(["app:1"])")));
  put("p/app-v2.tar", make_tar(docker_files(two, R"(["app:1"])")));
  EXPECT_EQ(preload().imported.size(), 2u);
  const auto digest = [&] { return service_->find("app:1")->digest; };
  const std::string latest = digest();
  for (int i = 0; i < 3; ++i) {
    put("p/README.txt", "nothing to import");
    const auto report = preload();
    EXPECT_TRUE(report.imported.empty());
    EXPECT_EQ(report.unchanged, 2u);
    EXPECT_EQ(digest(), latest);
  }
  put("p/app-v1.tar", make_tar(docker_files(make_image({make_layer("a", "3")}), R"(["app:1"])")));
  std::filesystem::last_write_time(
      dir_ / "p/app-v1.tar",
      std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(preload().imported.size(), 1u) << "a changed file is news";
  EXPECT_NE(digest(), latest);
  EXPECT_TRUE(preload().imported.empty());
}

TEST_F(Preload, WhatANameMeantStaysUnderItsDigest) {
  put("p/app.tar", make_tar(docker_files(make_image({make_layer("a", "one")}), R"(["app:1"])")));
  ASSERT_EQ(preload().imported.size(), 1u);
  const std::string first = service_->find("app:1")->digest;
  ASSERT_TRUE(import("hand.tar",
                     make_tar(docker_files(make_image({make_layer("a", "two")}), R"(["app:1"])"))));
  const auto now = service_->find("app:1");
  ASSERT_TRUE(now);
  EXPECT_NE(now->digest, first);
  EXPECT_FALSE(now->preloaded) << "another image has the name";
  EXPECT_TRUE(now->imported);
  const auto old = service_->find("app@" + first);
  ASSERT_TRUE(old) << old.error().full();
  EXPECT_TRUE(old->preloaded);
  EXPECT_EQ(old->name, "docker.io/library/app@" + first);
  EXPECT_TRUE(preload().imported.empty()) << "what was put there by hand stays";
  EXPECT_EQ(service_->find("app:1")->digest, now->digest);
}

// Neither the network nor anybody's hand is needed.
TEST_F(Preload, WhatAPowerCutTookIsImportedAgain) {
  const TestImage& image = two_layers();
  put("p/a.tar", make_tar(oci_files(image)));
  put("p/b.tar", make_tar(oci_files(make_image({make_layer("b", "b")}))));
  ASSERT_EQ(preload().imported.size(), 2u);
  const auto restart = [&] {
    service_ = std::make_unique<runtime::ImageService>(store_, options_);
  };
  restart();
  EXPECT_EQ(preload().unchanged, 2u);
  store_.snapshots.clear();
  restart();
  EXPECT_EQ(preload().unchanged, 2u) << "snapshots are made again from what is there";
  store_.snapshots.clear();
  for (const auto& layer : image.layers) store_.lost.insert(sha256_digest(layer.blob));
  restart();
  const auto report = preload();
  EXPECT_EQ(report.unchanged, 1u);
  EXPECT_TRUE(report.failed.empty()) << report.failed[0].error.full();
  EXPECT_EQ(names(report.imported), std::vector<std::string>{"docker.io/library/a:latest"});
  EXPECT_TRUE(service_->find("a"));
  EXPECT_TRUE(service_->find("b"));
}

TEST_F(Preload, AMissingDirectoryIsNothingToDo) {
  const auto report = service_->preload(dir_ / "nowhere", {});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->imported.empty() && report->failed.empty());
}

TEST_F(Preload, AFailureThatMayPassIsToldEachTimeAndTheOthersAreImported) {
  const std::string layer = sha256_digest(two_layers().layers[0].blob);
  put("p/a.tar", make_tar(oci_files(two_layers())));
  put("p/b.tar", make_tar(oci_files(make_image({make_layer("b", "b")}))));
  store_.fault = [&](const std::string& method, const std::string& what) -> Status {
    if (method != "open_blob" || what != layer) return {};
    return fail(Code::Unavailable, "the ingest is locked");
  };
  auto report = preload();
  EXPECT_EQ(names(report.imported), std::vector<std::string>{"docker.io/library/b:latest"});
  ASSERT_EQ(report.failed.size(), 1u);
  EXPECT_EQ(report.failed[0].path, dir_ / "p/a.tar");
  EXPECT_EQ(preload().failed.size(), 1u);
  store_.fault = nullptr;
  report = preload();
  EXPECT_EQ(names(report.imported), std::vector<std::string>{"docker.io/library/a:latest"});
}

TEST_F(Preload, StopsWhereContainerdIsNotThere) {
  put("p/a.tar", make_tar(oci_files(two_layers())));
  put("p/b.tar", make_tar(oci_files(make_image({make_layer("b", "b")}))));
  store_.fault = [](const std::string&, const std::string&) -> Status {
    return fail(Code::Unavailable, "containerd is not reachable");
  };
  EXPECT_EQ(service_->preload(dir_ / "p", {}).error().code(), Code::Unavailable);
  bool gone = false;
  store_.fault = [&](const std::string& method, const std::string&) -> Status {
    gone = gone || method == "create_lease";
    return gone ? fail(Code::Unavailable, "containerd is not reachable") : Status();
  };
  const auto report = preload();
  ASSERT_EQ(report.failed.size(), 1u) << "the second is not tried";
  EXPECT_EQ(report.failed[0].path, dir_ / "p/a.tar");
}

}  // namespace
}  // namespace wherry::image_test

// What people see of images, and images without a network: the tests run in a network namespace
// that has no route to anywhere.

#include <filesystem>
#include <unistd.h>

#include "tests/support/registry.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class ImagesTest : public SystemTest {
 protected:
  json pod(const std::string& name, const std::string& image, const std::string& policy) {
    json made = simple_pod(name, image, {"/bin/sh", "-c", "sleep 1000000"});
    made["spec"]["containers"][0]["imagePullPolicy"] = policy;
    return made;
  }
  TestImage make(const std::string& path, const std::string& name, bool gzip = false) {
    ImageOptions options;
    options.gzip = gzip;
    options.files = {{"/name", name}};
    return make_busybox_archive(path, name, options);
  }
  json events() { return agent_->get("/v1/events?limit=1000").json()["events"]; }
  size_t events_with(const std::string& reason) {
    size_t found = 0;
    for (const json& event : events()) found += event["reason"] == reason ? 1 : 0;
    return found;
  }
  json image(const std::string& name) {
    const json answer = agent_->get("/v1/images").json();
    for (const json& each : answer["images"]) {
      if (each["name"] == name) return each;
    }
    return {};
  }
};

TEST_F(ImagesTest, WhatIsLaidReadyWhileTheAgentRunsRunsWithNoNetwork) {
  publish(1, {pod("tagged", "field.local/tagged:1", "IfNotPresent")});
  const TestImage tagged =
      make(agent_->preload_dir() + "/tagged.tar", "field.local/tagged:1");  // written in place
  const TestImage pinned = make(files_ / "pinned.tar", "field.local/pinned:1", true);
  const TestImage moved = make(files_ / "layout.tar", "field.local/layout:1");
  std::filesystem::create_directory(files_ / "layout");
  ASSERT_EQ(run_command({"tar", "-xf", files_ / "layout.tar", "-C", files_ / "layout"}).exit_code,
            0);
  ASSERT_EQ(run_command({"gzip", files_ / "pinned.tar"}).exit_code, 0);
  ASSERT_EQ(run_command({"mv", files_ / "pinned.tar.gz", agent_->preload_dir()}).exit_code, 0);
  ASSERT_EQ(run_command({"mv", files_ / "layout", agent_->preload_dir()}).exit_code, 0);
  running("tagged");
  publish(2, {pod("tagged", "field.local/tagged:1", "IfNotPresent"),
              pod("pinned", "field.local/pinned@" + pinned.manifest_digest, "Always"),
              pod("never", "field.local/layout:1", "Never")});
  running("pinned");
  running("never");
  EXPECT_EQ(events_with("PreloadFailed"), 0u);
}

TEST_F(ImagesTest, ABrokenArchiveIsToldOnce) {
  write_text(agent_->preload_dir() + "/broken.tar", "this is no archive");
  ASSERT_TRUE(wait_until([&] { return events_with("PreloadFailed") == 1; }));
  make(agent_->preload_dir() + "/good.tar", "field.local/good:1");
  ASSERT_TRUE(wait_until([&] { return !image("field.local/good:1").is_null(); }));
  write_text(agent_->preload_dir() + "/other.tar", "nor is this");
  ASSERT_TRUE(wait_until([&] { return events_with("PreloadFailed") == 2; }));
  EXPECT_EQ(count(agent_->log(), "broken.tar is not imported"), 1u);
}

TEST_F(ImagesTest, ALayoutDirectoryIsImportedByTheTool) {
  const TestImage made = make(files_ / "image.tar", "field.local/layout:1");
  std::filesystem::create_directory(files_ / "layout");
  ASSERT_EQ(run_command({"tar", "-xf", files_ / "image.tar", "-C", files_ / "layout"}).exit_code,
            0);
  const CommandResult imported = agent_->cli({"images", "import", files_ / "layout"});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_EQ(image("field.local/layout:1").value("digest", ""), made.manifest_digest);
  publish(1, {pod("never", "field.local/layout:1", "Never")});
  running("never");
}

TEST_F(ImagesTest, APullIsShownAndAPresentDigestIsNeverPulledAgain) {
  Registry registry;
  registry.start();
  const TestImage made = make(files_ / "image.tar", "web:1");
  const std::string reference = registry.push(made.path, "web:1");
  const CommandResult pulled = agent_->cli({"images", "pull", reference});
  ASSERT_EQ(pulled.exit_code, 0) << pulled.err;
  EXPECT_EQ(pulled.out.find("pulling " + reference + "\n"), 0u) << pulled.out;
  EXPECT_NE(pulled.out.find("pulled " + reference + " ("), std::string::npos) << pulled.out;
  EXPECT_EQ(image(reference).value("digest", ""), made.manifest_digest);
  EXPECT_EQ(agent_->cli({"images", "pull", registry.host() + "/nope:1"}).exit_code, 4);
  const size_t asked = count(registry.log(), "/v2/web/");
  EXPECT_GT(asked, 0u);
  const std::string pinned = registry.host() + "/web@" + made.manifest_digest;
  publish(1, {pod("pinned", pinned, "Always"), pod("tagged", reference, "IfNotPresent")});
  running("pinned");
  running("tagged");
  EXPECT_EQ(count(registry.log(), "/v2/web/"), asked);
  publish(2, {pod("always", reference, "Always")});
  running("always");
  EXPECT_GT(count(registry.log(), "/v2/web/"), asked) << "a tag is asked for again";
}

TEST_F(ImagesTest, OtherReferencesOfTheSameImageLeaveItRunning) {
  Registry registry;
  const std::string name = registry.host() + "/web";
  const TestImage made = make(files_ / "image.tar", "web:1");
  registry.push(made.path, "web:1");
  registry.push(made.path, "web:latest");
  registry.push(make(files_ / "other.tar", "web:2").path, "web:2");
  int64_t revision = 0;
  const auto applied = [&](const std::string& reference, const std::string& policy) {
    publish(++revision, {pod("web", reference, policy)});
    wait_upstream([&](const json& reported) {
      const json document = document_in(reported);
      return document.is_object() && document["revision"] == revision &&
             document["state"] == "Applied" && in_phase(reported, "web", "Running");
    });
    return pid_of("web");
  };
  const int before = applied(name + ":1", "IfNotPresent");
  ASSERT_GT(before, 0);
  EXPECT_EQ(applied(name + "@" + made.manifest_digest, "IfNotPresent"), before);
  EXPECT_EQ(applied(name + ":latest", "Always"), before) << "pulled to find out";
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_phase("web", "Running"));
  EXPECT_EQ(applied(name, "Always"), before) << "in a later life, and in its short form";
  EXPECT_EQ(pid_of("web"), before);
  EXPECT_NE(applied(name + ":2", "IfNotPresent"), before) << "this one is another";
}

// Content and snapshots lie on a filesystem that is too small for the image beside what fills it.
class SmallDisk : public ImagesTest {
 protected:
  ContainerdOptions containerd_options() override {
    ContainerdOptions options;
    options.disk_bytes = 120 << 20;
    return options;
  }
  void configure(WherryOptions& options) override {
    options.sets.push_back("storage.reserve=10Mi");
  }
};

TEST_F(SmallDisk, AnImageThatDoesNotFitIsRefusedWithNumbersAndComesWhenThereIsRoom) {
  Registry registry;
  ImageOptions options;
  options.extra_layers = {30'000'000};
  const std::string reference =
      registry.push(make_busybox_archive(files_ / "big.tar", "big:1", options).path, "big:1");
  const std::string ballast = containerd_->root() + "/ballast";
  write_text(ballast, std::string(60 << 20, 'x'));
  publish(1, {sleeper("steady"), pod("big", reference, "IfNotPresent")});
  const json refused = wait_upstream([](const json& reported) {
    const json big = workload_in(reported, "big");
    return big.is_object() && big.value("reason", "") == "InsufficientStorage";
  });
  const std::string message = workload_in(refused, "big").value("message", "");
  EXPECT_NE(message.find("needs about 57."), std::string::npos) << message;
  EXPECT_NE(message.find("(storage.reserve)"), std::string::npos) << message;
  running("steady");
  EXPECT_EQ(count(registry.log(), "GET /v2/big/blobs/"), 1u) << "only its configuration";
  ASSERT_EQ(unlink(ballast.c_str()), 0);
  EXPECT_TRUE(agent_->wait_phase("big", "Running")) << agent_->workload("big").dump(1);
}

}  // namespace
}  // namespace wherry::test

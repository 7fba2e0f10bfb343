// OCI artifacts as volumes: a model and a data set from a real registry and from what is laid
// ready, in a real container.

#include <filesystem>
#include <fstream>

#include "tests/support/registry.h"
#include "tests/support/system_fixture.h"
#include "tests/support/test_artifact.h"

namespace wherry::test {
namespace {

using nlohmann::json;

const std::string kTar = "application/vnd.oci.image.layer.v1.tar";

class ArtifactTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    const std::string hosts = files_ / "certs.d";
    const std::string folder = hosts + "/" + registry_.host();
    std::filesystem::create_directories(folder);
    write_text(folder + "/hosts.toml", "[host.\"http://" + registry_.host() + "\"]\n");
    options.sets.push_back("images.hosts_dir=" + hosts);
  }
  json reader(const std::string& name, const std::string& reference) {
    json pod = sleeper(name);
    pod["spec"]["volumes"] = {{{"name", "v"}, {"image", {{"reference", reference}}}}};
    pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "v"}, {"mountPath", "/v"}}};
    return pod;
  }
  std::string read(const std::string& workload, const std::string& path) {
    std::ifstream file("/proc/" + std::to_string(pid_of(workload)) + "/root/v/" + path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string in_container(const std::string& workload, const std::string& script) {
    const CommandResult result = run_command({"nsenter", "-t", std::to_string(pid_of(workload)),
                                              "-m", "-r", "-w", "/bin/sh", "-c", script});
    return result.out + result.err;
  }
  json image(const std::string& name) {
    const json answer = agent_->get("/v1/images").json();
    for (const json& each : answer["images"]) {
      if (each["name"] == name) return each;
    }
    return {};
  }
  TestArtifact model(const std::string& weights) {
    return TestArtifact(
        {{weights, "model/weights.bin"},
         {"a label a line", "./labels.txt", kTar},  // the type ORAS gives to any file
         {packed_directory("data/one", "first"), "data", kTar + "+gzip", true},
         {packed_directory("loose", "second"), "", kTar + "+gzip"}});
  }

  Registry registry_;
};

TEST_F(ArtifactTest, BecomesFilesOfAVolume) {
  const std::string weights(3'500'000, 'w');
  const TestArtifact artifact = model(weights);
  const std::string name = artifact.push(registry_, "models/pump", "1");
  publish(1, {reader("web", name)});
  running("web");
  EXPECT_EQ(read("web", "model/weights.bin"), weights);
  EXPECT_EQ(read("web", "labels.txt"), "a label a line");
  EXPECT_EQ(read("web", "data/one"), "first");
  EXPECT_EQ(read("web", "loose"), "second");
  EXPECT_EQ(in_container("web", "ls -A /v | wc -l; stat -c '%a %u' /v/model /v/model/weights.bin"),
            "4\n755 0\n644 0\n");
  EXPECT_NE(in_container("web", "echo x > /v/labels.txt").find("Read-only"), std::string::npos);

  const json listed = image(name);
  EXPECT_EQ(listed["digest"], artifact.digest());
  EXPECT_GT(listed["sizeBytes"], weights.size());
  EXPECT_TRUE(wait_until([&] { return image(name)["users"].dump() == "[\"web\"]"; }))
      << image(name).dump();
  EXPECT_EQ(agent_->cli({"images", "prune"}).exit_code, 0);
  EXPECT_EQ(image(name)["digest"], artifact.digest()) << "what is used stays";
  EXPECT_NE(agent_->cli({"images"}).out.find("models/pump"), std::string::npos);
}

TEST_F(ArtifactTest, OutlivesTheAgentAndTheRegistryAndGoesWhenNobodyNeedsIt) {
  const TestArtifact artifact = model("0123456789");
  const std::string name = artifact.push(registry_, "models/pump", "1");
  const std::string room = agent_->options().containerd_namespace;
  const auto stored = [&] {
    return containerd_->ctr(room, {"content", "ls", "-q"}).out +
           containerd_->ctr(room, {"snapshots", "ls"}).out +
           containerd_->ctr(room, {"leases", "ls"}).out;
  };
  const std::string before = stored();
  publish(1, {reader("web", name)});
  running("web");
  const int pid = pid_of("web");
  registry_.stop();
  agent_->kill();
  agent_->start();
  running("web");
  EXPECT_EQ(pid_of("web"), pid);
  publish(2, {reader("web", name), reader("other", name)});
  running("other");
  EXPECT_EQ(read("other", "model/weights.bin"), "0123456789");

  publish(3, {});
  ASSERT_TRUE(wait_until([&] { return tasks().empty(); }));
  ASSERT_TRUE(wait_until([&] {
    (void)agent_->cli({"images", "prune"});
    return image(name).is_null();
  })) << image(name).dump();
  EXPECT_TRUE(wait_until([&] { return stored() == before; })) << stored();
}

TEST_F(ArtifactTest, IsLaidReadyAsALayoutAndRunsWithNoNetwork) {
  const TestArtifact artifact = model("laid ready");
  artifact.write_layout(files_ / "layout", "field.local/model:1");
  std::filesystem::rename(files_ / "layout", agent_->preload_dir() + "/model");
  // The list is of now, what keeps an image is of the reconciler's last look.
  ASSERT_TRUE(wait_until([&] {
    const json listed = image("field.local/model:1");
    return !listed.is_null() && listed["kept"] == "preloaded";
  })) << image("field.local/model:1").dump();
  publish(1, {reader("web", "field.local/model@" + artifact.digest())});
  running("web");
  EXPECT_EQ(read("web", "model/weights.bin"), "laid ready");
  EXPECT_EQ(read("web", "data/one"), "first");
}

TEST_F(ArtifactTest, HasMoreFilesThanAMountTakesByTheirFullPaths) {
  std::vector<ArtifactBlob> blobs;
  for (int i = 0; i < 120; ++i) blobs.push_back({"file " + std::to_string(i), std::to_string(i)});
  const TestArtifact artifact(std::move(blobs));
  publish(1, {reader("web", artifact.push(registry_, "data/many", "1"))});
  running("web");
  for (const int i : {0, 60, 119}) {
    EXPECT_EQ(read("web", std::to_string(i)), "file " + std::to_string(i));
  }
}

TEST_F(ArtifactTest, UnderAnotherReferenceItStaysMounted) {
  const TestArtifact artifact = model("the same");
  const std::string name = artifact.push(registry_, "models/pump", "1");
  publish(1, {reader("web", name)});
  running("web");
  const int before = pid_of("web");
  publish(2, {reader("web", registry_.host() + "/models/pump@" + artifact.digest())});
  wait_upstream([](const json& reported) {
    const json document = document_in(reported);
    return document.is_object() && document["revision"] == 2 && document["state"] == "Applied";
  });
  EXPECT_EQ(pid_of("web"), before);
}

TEST_F(ArtifactTest, IsRefusedAsTheImageOfAContainer) {
  const std::string name = model("x").push(registry_, "models/pump", "1");
  json pod = sleeper("web");
  pod["spec"]["containers"][0]["image"] = name;
  publish(1, {pod});
  ASSERT_TRUE(agent_->wait_phase("web", "BackOff"));
  const std::string told = agent_->workload("web").dump();
  EXPECT_NE(
      told.find("is an OCI artifact (application/vnd.example.model.v1), which holds files and "
                "nothing to run; mount it as a volume"),
      std::string::npos)
      << told;
}

TEST_F(ArtifactTest, ThatWritesOutsideIsRefused) {
  const auto message = [&](const std::string& workload) {
    EXPECT_TRUE(agent_->wait_phase(workload, "BackOff"));
    return agent_->workload(workload).value("message", "");
  };
  const auto push = [&](const std::string& tag, std::vector<ArtifactBlob> blobs) {
    return TestArtifact(std::move(blobs)).push(registry_, "bad", tag);
  };
  publish(1, {reader("up", push("up", {{"x", "../up"}})),
              reader("twice", push("twice", {{"x", "same"}, {"y", "./same"}})),
              reader("nameless", push("nameless", {ArtifactBlob{"x"}}))});
  EXPECT_NE(message("up").find("the title \"../up\""), std::string::npos) << message("up");
  EXPECT_NE(message("twice").find("two of its blobs are called \"same\""), std::string::npos);
  EXPECT_NE(message("nameless").find("has no annotation org.opencontainers.image.title"),
            std::string::npos);
}

}  // namespace
}  // namespace wherry::test

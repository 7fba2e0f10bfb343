// Volumes and security on a real containerd: what a container sees, and what is left afterwards.

#include <fstream>
#include <signal.h>

#include "base/files.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class VolumeTest : public SystemTest {
 protected:
  static json config_map(const std::string& name, const json& data) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}}},
            {"data", data}};
  }
  static json secret(const std::string& name, const json& data) {
    return {{"apiVersion", "v1"},
            {"kind", "Secret"},
            {"metadata", {{"name", name}}},
            {"stringData", data}};
  }
  static json claim(const std::string& name) {
    return {{"apiVersion", "v1"},
            {"kind", "PersistentVolumeClaim"},
            {"metadata", {{"name", name}}},
            {"spec",
             {{"accessModes", {"ReadWriteOnce"}},
              {"resources", {{"requests", {{"storage", "1Mi"}}}}}}}};
  }
  // A sleeper with one volume at /v.
  json reader(const std::string& name, const json& source, const json& mount = json::object()) {
    json pod = sleeper(name);
    json volume = source;
    volume["name"] = "v";
    pod["spec"]["volumes"] = {volume};
    json at = {{"name", "v"}, {"mountPath", "/v"}};
    at.update(mount);
    pod["spec"]["containers"][0]["volumeMounts"] = {at};
    return pod;
  }
  void import_model(const std::string& weights) {
    ImageOptions options;
    options.files = {{"model/weights", weights}};
    import_image("registry.local/model:1", options);
  }
  // A path as the workload's first process sees it.
  std::string inside(const std::string& workload, const std::string& path) {
    return "/proc/" + std::to_string(pid_of(workload)) + "/root" + path;
  }
  std::string read(const std::string& workload, const std::string& path) {
    std::ifstream file(inside(workload, path));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string in_container(const std::string& workload, const std::string& script) {
    const CommandResult result = run_command({"nsenter", "-t", std::to_string(pid_of(workload)),
                                              "-m", "-r", "-w", "/bin/sh", "-c", script});
    return result.out + result.err;
  }
  static std::string mounts_below(const std::string& directory) {
    std::ifstream file("/proc/self/mountinfo");
    std::string found;
    for (std::string line; std::getline(file, line);) {
      if (line.find(directory) != std::string::npos) found += line + "\n";
    }
    return found;
  }
};

TEST_F(VolumeTest, ConfigMapsAndSecretsChangeUnderARunningContainer) {
  const json conf = {{"configMap", {{"name", "conf"}}}};
  const json keys = {{"secret", {{"secretName", "keys"}, {"defaultMode", 256}}}};
  publish(1, {config_map("conf", {{"a", "one"}, {"old", "x"}}), secret("keys", {{"k", "first"}}),
              reader("conf", conf), reader("keys", keys)});
  running("conf");
  running("keys");
  const auto before = tasks();
  EXPECT_EQ(read("conf", "/v/a"), "one");
  EXPECT_EQ(read("keys", "/v/k"), "first");
  EXPECT_NE(mounts_below(agent_->run_dir() + "/pods/keys/volumes/v").find("tmpfs"),
            std::string::npos);

  publish(2, {config_map("conf", {{"a", "two"}, {"b", "new"}}), secret("keys", {{"k", "second"}}),
              reader("conf", conf), reader("keys", keys)});
  EXPECT_TRUE(wait_until([&] { return read("conf", "/v/a") == "two"; }));
  EXPECT_TRUE(wait_until([&] { return read("keys", "/v/k") == "second"; }));
  EXPECT_EQ(read("conf", "/v/b"), "new");
  EXPECT_EQ(read("conf", "/v/old"), "");
  EXPECT_EQ(tasks(), before) << "nothing was restarted";
  EXPECT_NE(in_container("conf", "echo x > /v/a").find("Read-only"), std::string::npos);

  // What changed while the agent was away is brought in when it is back.
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  publish(3, {config_map("conf", {{"a", "three"}}), secret("keys", {{"k", "second"}}),
              reader("conf", conf), reader("keys", keys)});
  EXPECT_TRUE(wait_until([&] { return read("conf", "/v/a") == "three"; }));
  EXPECT_EQ(tasks(), before);
}

TEST_F(VolumeTest, AFileMountedBySubPathIsReplacedWithItsWorkload) {
  const json conf = {{"configMap", {{"name", "conf"}}}};
  const json part = {{"mountPath", "/etc/app.conf"}, {"subPath", "a"}};
  publish(1, {config_map("conf", {{"a", "one"}}), reader("conf", conf, part)});
  running("conf");
  const int before = pid_of("conf");
  EXPECT_EQ(read("conf", "/etc/app.conf"), "one");
  publish(2, {config_map("conf", {{"a", "two"}}), reader("conf", conf, part)});
  EXPECT_TRUE(wait_until([&] {
    const int now = pid_of("conf");
    return now != 0 && now != before && read("conf", "/etc/app.conf") == "two";
  }));
}

TEST_F(VolumeTest, AClaimKeepsItsDataWithoutItsPodAndWithoutItself) {
  const json source = {{"persistentVolumeClaim", {{"claimName", "store"}}}};
  publish(1, {claim("store"), reader("web", source)});
  running("web");
  in_container("web", "echo kept > /v/file");
  EXPECT_EQ(read("web", "/v/file"), "kept\n");
  publish(2, {});
  EXPECT_TRUE(wait_until([&] { return agent_->reported()["workloads"].empty(); }));
  publish(3, {claim("store"), reader("other", source)});
  running("other");
  EXPECT_EQ(read("other", "/v/file"), "kept\n");
}

TEST_F(VolumeTest, ALinkInAVolumeLeadsNowhereElse) {
  const json source = {{"persistentVolumeClaim", {{"claimName", "store"}}}};
  publish(1, {claim("store"), reader("evil", source)});
  running("evil");
  in_container("evil", "ln -s / /v/host; ln -s ../../../../../.. /v/up; mkdir /v/good");
  publish(2,
          {claim("store"), reader("a", source, {{"subPath", "host/etc"}}),
           reader("b", source, {{"subPath", "up"}}), reader("c", source, {{"subPath", "good"}})});
  running("c");
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(agent_->wait_phase(name, "BackOff")) << name;
    const std::string said = agent_->workload(name).dump();
    EXPECT_NE(said.find("leads out of the volume"), std::string::npos) << said;
  }
}

TEST_F(VolumeTest, EverythingIsGoneAfterAKillAtAnyStep) {
  const Leftovers before = leftovers();
  import_model("0123");
  json pod = sleeper("all");
  pod["spec"]["volumes"] = {{{"name", "c"}, {"configMap", {{"name", "conf"}}}},
                            {{"name", "s"}, {"secret", {{"secretName", "keys"}}}},
                            {{"name", "i"}, {"image", {{"reference", "registry.local/model:1"}}}},
                            {{"name", "e"}, {"emptyDir", json::object()}}};
  pod["spec"]["containers"][0]["volumeMounts"] = {
      {{"name", "c"}, {"mountPath", "/c"}},
      {{"name", "s"}, {"mountPath", "/s"}},
      {{"name", "i"}, {"mountPath", "/i"}},
      {{"name", "e"}, {"mountPath", "/e"}, {"subPath", "a/b"}}};
  const json conf = config_map("conf", {{"a", "one"}});
  const json keys = secret("keys", {{"k", "v"}});
  int64_t revision = 0;
  for (const char* step : {"volume.files.written", "volume.files.swapped", "volume.image.snapshot",
                           "volume.image.mounted", "volume.subpath.found", "volume.subpath.bound",
                           "volume.prepare.volumes"}) {
    agent_->stop();
    agent_->options().env["WHERRY_FAILPOINTS"] = std::string(step) + "=kill";
    agent_->start();
    publish(++revision, {conf, keys, pod});
    EXPECT_TRUE(wait_until([&] { return !agent_->running(); })) << step << " was never reached";
    agent_->options().env.erase("WHERRY_FAILPOINTS");
    agent_->start();
    running("all");
    EXPECT_EQ(read("all", "/c/a") + read("all", "/s/k"), "onev") << step;
    EXPECT_EQ(read("all", "/i/model/weights"), "0123") << step;
    publish(++revision, {});
    EXPECT_TRUE(wait_until([&] { return agent_->reported()["workloads"].empty(); })) << step;
    expect_back_to(before);
    EXPECT_EQ(mounts_below(agent_->run_dir() + "/pods/"), "") << step;
  }
}

TEST_F(VolumeTest, AnImageIsAReadOnlyVolumeAndStaysWhileItIsUsed) {
  import_model("0123456789");
  publish(1, {reader("web", {{"image", {{"reference", "registry.local/model:1"}}}})});
  running("web");
  EXPECT_EQ(read("web", "/v/model/weights"), "0123456789");
  EXPECT_NE(in_container("web", "echo x > /v/model/weights").find("Read-only"), std::string::npos);
  const auto used = [&] {
    const json answer = agent_->get("/v1/images").json();
    for (const json& image : answer["images"]) {
      if (image.value("name", "") != "registry.local/model:1") continue;
      return image["users"].dump();
    }
    return std::string("(not listed)");
  };
  EXPECT_TRUE(wait_until([&] { return used() == "[\"web\"]"; })) << used();
  EXPECT_EQ(agent_->cli({"images", "prune"}).exit_code, 0);
  const int before = pid_of("web");
  ASSERT_GT(before, 0);
  ::kill(before, SIGKILL);
  EXPECT_TRUE(wait_until([&] {
    const int now = pid_of("web");
    return now != 0 && now != before;
  }));
  running("web");
  EXPECT_EQ(read("web", "/v/model/weights"), "0123456789");
}

TEST_F(VolumeTest, TheDefaultSeccompProfileForbidsWhatAContainerNeedsNot) {
  json pod = sleeper("web", false);
  pod["spec"]["securityContext"] = {
      {"seccompProfile", {{"type", "RuntimeDefault"}}},
      {"fsGroup", 4711},
      {"sysctls", {{{"name", "net.ipv4.tcp_fin_timeout"}, {"value", "17"}}}}};
  pod["spec"]["containers"][0]["securityContext"] = {{"runAsUser", 1000}};
  pod["spec"]["containers"][0]["command"] = {
      "/bin/sh", "-c",
      "id -G; cat /proc/sys/net/ipv4/tcp_fin_timeout; grep Seccomp: /proc/self/status; "
      "unshare -r true && echo UNSHARED; touch /v/mine && ls -ln /v; exec sleep 1000000"};
  pod["spec"]["volumes"] = {{{"name", "v"}, {"emptyDir", json::object()}}};
  pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "v"}, {"mountPath", "/v"}}};
  publish(1, {pod});
  running("web");
  std::string log;
  EXPECT_TRUE(wait_until([&] {
    log = agent_->get("/v1/workloads/web/logs").body;
    return log.find("mine") != std::string::npos;
  })) << log;
  EXPECT_NE(log.find("4711"), std::string::npos) << log;
  EXPECT_NE(log.find("17\n"), std::string::npos) << log;
  EXPECT_NE(log.find("Seccomp:\t2"), std::string::npos) << log;
  EXPECT_EQ(log.find("UNSHARED"), std::string::npos) << log;
}

TEST_F(VolumeTest, ALoadedSeccompProfileIsTheOneThatHolds) {
  ASSERT_TRUE(make_directories(agent_->state_dir() + "/seccomp/team"));
  write_text(agent_->state_dir() + "/seccomp/team/no-mkdir.json",
             R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],)"
             R"("action":"SCMP_ACT_ERRNO"}]})");
  json pod = sleeper("web");
  pod["spec"]["containers"][0]["securityContext"] = {
      {"seccompProfile", {{"type", "Localhost"}, {"localhostProfile", "team/no-mkdir.json"}}}};
  pod["spec"]["containers"][0]["command"] = {
      "/bin/sh", "-c",
      "touch /tmp-file && echo TOUCHED; mkdir /dir || echo REFUSED; exec sleep 1000000"};
  json missing = pod;
  missing["metadata"]["name"] = "missing";
  missing["spec"]["containers"][0]["securityContext"]["seccompProfile"]["localhostProfile"] =
      "team/none.json";
  publish(1, {pod, missing});
  running("web");
  std::string log;
  EXPECT_TRUE(wait_until([&] {
    log = agent_->get("/v1/workloads/web/logs").body;
    return log.find("REFUSED") != std::string::npos;
  })) << log;
  EXPECT_NE(log.find("TOUCHED"), std::string::npos) << log;
  EXPECT_TRUE(wait_until([&] {
    return agent_->workload("missing").dump().find("team/none.json") != std::string::npos;
  })) << agent_->workload("missing").dump(1);
}

// What the host mounts below a volume later comes in, what the container mounts does not get out.
TEST_F(VolumeTest, MountsOfTheHostComeInWhereTheyAreAskedFor) {
  std::vector<json> items;
  for (const char* name : {"shared", "private"}) {
    json pod = sleeper(name);
    pod["spec"]["volumes"] = {{{"name", "v"}, {"hostPath", {{"path", files_.path()}}}}};
    pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "v"}, {"mountPath", "/v"}}};
    if (name == std::string("shared")) {
      pod["spec"]["containers"][0]["volumeMounts"][0]["mountPropagation"] = "HostToContainer";
    }
    items.push_back(pod);
  }
  ASSERT_TRUE(make_directories(files_ / "disk"));
  publish(1, items);
  running("shared");
  running("private");
  run_ok({"mount", "-t", "tmpfs", "late", files_ / "disk"});
  write_text(files_ / "disk/file", "there");
  EXPECT_EQ(read("shared", "/v/disk/file"), "there");
  EXPECT_NE(read("private", "/v/disk/file"), "there");
  run_ok({"umount", files_ / "disk"});
}

class RuntimeClassTest : public VolumeTest {
 protected:
  void configure(WherryOptions& options) override {
    options.sets.push_back(
        "containerd.runtime_classes={plain: io.containerd.runc.v2, gone: "
        "io.containerd.no-such-shim.v1}");
  }
};

TEST_F(RuntimeClassTest, ChoosesTheShim) {
  json plain = sleeper("plain");
  plain["spec"]["runtimeClassName"] = "plain";
  json gone = sleeper("gone");
  gone["spec"]["runtimeClassName"] = "gone";
  publish(1, {plain, gone});
  running("plain");
  EXPECT_TRUE(agent_->wait_phase("gone", "BackOff"));
  EXPECT_NE(agent_->workload("gone").dump().find("no-such-shim"), std::string::npos)
      << agent_->workload("gone").dump();
  json unknown = sleeper("x");
  unknown["spec"]["runtimeClassName"] = "kata";
  publish(2, {unknown});
  const json reported = wait_upstream(
      [](const json& state) { return state.dump().find("no runtime class") != std::string::npos; });
  EXPECT_NE(reported.dump().find("kata"), std::string::npos);
}

}  // namespace
}  // namespace wherry::test

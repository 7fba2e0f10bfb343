// The harness must be trusted before what it judges.

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/text.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/process.h"
#include "tests/support/registry.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_image.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {
namespace {

TEST(ProcessTest, CapturesOutputApartAndTheExitCode) {
  const CommandResult result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
}

TEST(ProcessTest, MissingProgramIsAnErrorNotAnExitCode) {
  EXPECT_THROW(run_command({"/no/such/program"}), std::runtime_error);
}

TEST(ProcessTest, TimeoutKills) {
  const CommandResult result = run_command({"sleep", "1000"}, Millis{20});
  EXPECT_EQ(result.exit_code, 124);
}

TEST(ProcessTest, TerminateFallsBackToKill) {
  ProcessOptions options;
  options.argv = {"sh", "-c", "trap '' TERM; echo ready; while :; do read x; done < /dev/zero"};
  Process process(std::move(options));
  ASSERT_TRUE(wait_until([&] { return process.out() == "ready\n"; }));
  EXPECT_EQ(process.terminate(Millis{50}), 128 + SIGKILL);
}

TEST(TestImageTest, IsTheSameEveryTime) {
  const TempDir dir;
  ImageOptions options;
  options.extra_layers = {1000};
  options.gzip = true;
  const TestImage first = make_busybox_archive(dir / "a.tar", "registry.local/a:1", options);
  const TestImage second = make_busybox_archive(dir / "b.tar", "registry.local/a:1", options);
  EXPECT_EQ(first.manifest_digest, second.manifest_digest);
  EXPECT_EQ(sha256_digest(read_text(dir / "a.tar")), sha256_digest(read_text(dir / "b.tar")));
  EXPECT_NE(first.layer_digests, first.diff_ids);
}

std::vector<std::string> sorted_tasks(ContainerdDaemon& containerd, const std::string& ns) {
  auto names = split(std::string(trim(containerd.ctr(ns, {"tasks", "ls", "-q"}).out)), '\n');
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ContainerdDaemonTest, RunsAnImportedImageAndCleansUpAfterwards) {
  std::string directory;
  pid_t container = 0;
  const std::string ns = "t" + random_hex(8);
  {
    ContainerdDaemon containerd;
    directory = containerd.directory();
    const TempDir dir;
    for (const ArchiveFormat format : {ArchiveFormat::Oci, ArchiveFormat::Docker}) {
      ImageOptions options;
      options.format = format;
      options.cmd = {"/bin/sleep", "1000"};
      const std::string name =
          format == ArchiveFormat::Oci ? "registry.local/oci:1" : "registry.local/docker:1";
      make_busybox_archive(dir / "image.tar", name, options);
      const CommandResult imported = containerd.ctr(ns, {"images", "import", dir / "image.tar"});
      ASSERT_EQ(imported.exit_code, 0) << imported.err;
      const std::string id = format == ArchiveFormat::Oci ? "oci" : "docker";
      const CommandResult ran =
          containerd.ctr(ns, {"run", "-d", "--cgroup", "/" + ns + "/pod/" + id, name, id});
      ASSERT_EQ(ran.exit_code, 0) << ran.err << containerd.log();
    }
    EXPECT_EQ(sorted_tasks(containerd, ns), (std::vector<std::string>{"docker", "oci"}));
    const CommandResult pids = containerd.ctr(ns, {"tasks", "ps", "oci"});
    container = std::stoi(pids.out.substr(pids.out.find('\n') + 1));
    containerd.kill();
    EXPECT_EQ(::kill(container, 0), 0) << "containers outlive their daemon";
    containerd.start();
    EXPECT_EQ(sorted_tasks(containerd, ns), (std::vector<std::string>{"docker", "oci"}));
  }
  EXPECT_TRUE(wait_until([&] { return ::kill(container, 0) != 0; }));
  EXPECT_NE(access(("/run/containerd/runc/" + ns).c_str(), F_OK), 0);
  EXPECT_EQ(read_text("/proc/self/mountinfo").find(directory + "/"), std::string::npos);
  for (const std::string hierarchy : {"", "memory/", "systemd/", "unified/"}) {
    EXPECT_NE(access(("/sys/fs/cgroup/" + hierarchy + ns).c_str(), F_OK), 0) << hierarchy;
  }
  struct stat info {};
  EXPECT_NE(stat(directory.c_str(), &info), 0) << directory << " is still there";
}

TEST(ContainerdDaemonTest, NothingIsLeftOfAKilledTest) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const ContainerdDaemon containerd;
    const std::string told = std::to_string(containerd.pid()) + " " + containerd.directory();
    if (write(ends[1], told.data(), told.size()) > 0) ::kill(getpid(), SIGKILL);
    _exit(1);
  }
  close(ends[1]);
  char buffer[256] = {};
  ASSERT_GT(read(ends[0], buffer, sizeof buffer - 1), 0);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  const std::vector<std::string> told = split(buffer, ' ');
  const pid_t daemon = std::stoi(told.at(0));
  EXPECT_TRUE(wait_until([&] { return ::kill(daemon, 0) != 0; }));
  EXPECT_TRUE(wait_until([&] { return access(told.at(1).c_str(), F_OK) != 0; })) << told.at(1);
}

TEST(MosquittoBrokerTest, KeepsItsPortAndRetainedMessagesOverARestart) {
  MosquittoBroker broker({.persistence = true});
  {
    MqttClient client(broker.port());
    client.publish_retained("a/b", "kept");
  }
  broker.restart();
  MqttClient client(broker.port());
  client.subscribe("a/#");
  const auto message = client.wait_for([](const MqttMessage& m) { return m.topic == "a/b"; });
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, "kept");
  EXPECT_TRUE(message->retained);
}

TEST(MosquittoBrokerTest, PasswordIsRequiredWhereSet) {
  MosquittoBroker broker({.username = "me", .password = "secret"});
  EXPECT_THROW(MqttClient client(broker.port()), std::runtime_error);
  MqttClient client(broker.port(), {.username = "me", .password = "secret"});
  client.publish("a", "b");
}

TEST(RegistryTest, KeepsTheManifestDigest) {
  Registry registry;
  const TempDir dir;
  const TestImage image = make_busybox_archive(dir / "i.tar", "registry.local/web:1", {});
  const std::string reference = registry.push(dir / "i.tar", "web:1");
  const std::string inspected = run_ok(
      {"skopeo", "--insecure-policy", "inspect", "--tls-verify=false", "docker://" + reference});
  EXPECT_EQ(nlohmann::json::parse(inspected)["Digest"], image.manifest_digest);
}

}  // namespace
}  // namespace wherry::test

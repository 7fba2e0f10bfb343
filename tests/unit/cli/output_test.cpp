// What each command prints, on a clock that stands still, from a real server.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <nlohmann/json.hpp>

#include "agent/cli/cli.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

// A FILE in memory.
class Capture {
 public:
  Capture() : file_(open_memstream(&data_, &size_)) {}
  ~Capture() {
    std::fclose(file_);
    std::free(data_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {data_, size_};
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

struct Ran {
  int exit_code;
  std::string out, err;
};

class CliOutputTest : public ApiTest {
 protected:
  CliOutputTest() { start(); }
  Ran run(std::vector<std::string> args, size_t width = 0) {
    Capture out, err;
    args.insert(args.begin(), {"--socket", socket()});
    const int code = cli::run(args, {out.file(), err.file(), width, clock});
    return {code, out.text(), err.text()};
  }
};

TEST_F(CliOutputTest, List) {
  const Ran ran = run({"list"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(
      ran.out,
      "NAME   PHASE    READY  RESTARTS  AGE    IP         SOURCE          REASON\n"
      "queue  Pending  0/0    0         3m12s  -          manifests       WaitingForDependency\n"
      "web    Running  1/2    3         3m12s  10.89.0.7  devices/pump-7  OOMKilled\n");
  EXPECT_EQ(run({"list"}, 80).out,
            "NAME   PHASE    READY  RESTARTS  AGE    IP         SOURCE          REASON\n"
            "queue  Pending  0/0    0         3m12s  -          manifests       WaitingForDe…\n"
            "web    Running  1/2    3         3m12s  10.89.0.7  devices/pump-7  OOMKilled\n");
}

TEST_F(CliOutputTest, ListOfNothing) {
  set_state({});
  EXPECT_EQ(run({"list"}).out, "No workloads.\n");
  EXPECT_EQ(run({"list", "-o", "json"}).out, "{\n  \"workloads\": []\n}\n");
  EXPECT_EQ(run({"list", "-o", "yaml"}).out, "workloads: []\n");
}

TEST_F(CliOutputTest, Get) {
  events = {
      {1, clock.wall() - std::chrono::minutes(4), "queue", "", "Normal", "Waiting", "for web", 0},
      {2, clock.wall() - std::chrono::minutes(3), "web", "web", "Warning", "OOMKilled",
       "killed for memory", 42}};
  const Ran ran = run({"get", "web"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "Name:    web\n"
            "Phase:   Running for 3m12s\n"
            "Ready:   no\n"
            "IP:      10.89.0.7\n"
            "Source:  devices/pump-7, revision 42\n"
            "\n"
            "Container web\n"
            "  State:      running since 2026-09-21T14:10:08.000Z (3m12s ago)\n"
            "  Reason:     OOMKilled\n"
            "  Ready:      yes\n"
            "  Restarts:   3\n"
            "  Last exit:  code 137 at 2026-09-21T14:10:07.000Z (3m13s ago)\n"
            "  Image:      registry.local/web:1\n"
            "  Digest:     sha256:2\n"
            "\n"
            "Container side\n"
            "  State:     waiting\n"
            "  Reason:    ErrImagePull\n"
            "  Ready:     no\n"
            "  Restarts:  0\n"
            "  Image:     registry.local/side:1\n"
            "\n"
            "Last events\n"
            "NUMBER  AGE  TYPE     WORKLOAD  REASON     MESSAGE\n"
            "2       3m   Warning  web/web   OOMKilled  killed for memory\n");
}

TEST_F(CliOutputTest, GetSaysWhy) {
  EXPECT_EQ(run({"get", "queue"}).out,
            "Name:     queue\n"
            "Phase:    Pending for 3m12s\n"
            "Ready:    no\n"
            "Reason:   WaitingForDependency\n"
            "Message:  waits for web\n"
            "Source:   manifests\n");
}

TEST_F(CliOutputTest, GetAsData) {
  const Ran json = run({"get", "web", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out),
            nlohmann::json::parse(to_json(sample_state().workloads[1])));
  const Ran yaml = run({"get", "queue", "-o", "yaml"});
  EXPECT_EQ(yaml.out,
            "name: queue\n"
            "source: manifests\n"
            "revision: 0\n"
            "phase: Pending\n"
            "ready: false\n"
            "reason: WaitingForDependency\n"
            "message: \"waits for web\"\n"
            "ip: \"\"\n"
            "since: \"2026-09-21T14:10:08.000Z\"\n"
            "containers: []\n");
}

TEST_F(CliOutputTest, Status) {
  const Ran ran = run({"status"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "Device:      pump-7\n"
            "Machine:     arm64, 4 cpus, 4.0 GiB\n"
            "System:      Debian GNU/Linux 12, kernel 6.1.0\n"
            "Agent:       1.0.0\n"
            "Groups:      line-1\n"
            "Labels:      site=north\n"
            "Broker:      not connected for 3m12s: NotAuthorized, the broker refused the password\n"
            "Containerd:  1.6.20, reachable for 3m12s\n"
            "Workloads:   2 (1 Pending, 1 Running)\n"
            "\n"
            "DOCUMENT        REVISION  STATE    ERRORS  WARNINGS\n"
            "devices/pump-7  42        Applied  0       1\n"
            "\n"
            "devices/pump-7 revision 42:\n"
            "  warning: spec.items[0].spec.tolerations: has no meaning on one device\n"
            "\n"
            "devices/pump-7 revision 43 was rejected:\n"
            "  error: spec.items[0].spec: unknown field\n"
            "\n"
            "CONDITION        STATUS  SINCE  REASON         MESSAGE\n"
            "ContainerdReady  True    3m12s  -              -\n"
            "BrokerConnected  False   3m12s  NotAuthorized  the broker refused the password\n"
            "StoreReady       True    3m12s  -              -\n");
  EXPECT_EQ(nlohmann::json::parse(run({"status", "-o", "json"}).out),
            nlohmann::json::parse(to_reported_json(sample_state())));
}

TEST_F(CliOutputTest, WhatCannotBeReadHasNoRevision) {
  StateView state = sample_state();
  state.desired.front().rejected->revision = 0;
  set_state(state);
  const std::string text = run({"status"}).out;
  EXPECT_NE(text.find("\ndevices/pump-7: a document that cannot be read was rejected:\n"),
            std::string::npos)
      << text;
}

TEST_F(CliOutputTest, StatusOfAnAgentThatJustStarted) {
  set_state({});
  EXPECT_EQ(run({"status"}).out,
            "Broker:      not known yet\n"
            "Containerd:  not known yet\n"
            "Workloads:   none\n"
            "\n"
            "No documents yet: nothing is meant to run.\n");
}

TEST_F(CliOutputTest, HostileTextStaysText) {
  StateView state = sample_state();
  state.workloads[0].message = "\x1b]0;owned\x07\nName: root";
  set_state(state);
  const std::string out = run({"get", "queue"}).out;
  EXPECT_EQ(out.find('\x1b'), std::string::npos);
  EXPECT_NE(out.find("Message:  "), std::string::npos);
  EXPECT_EQ(out.find("\nName: root"), std::string::npos);
}

TEST_F(CliOutputTest, Logs) {
  for (const char* line : {"one\n", "two\n"}) logs.append("web", line);
  EXPECT_EQ(run({"logs", "web"}).out, "one\ntwo\n");
  EXPECT_EQ(run({"logs", "--tail", "1", "web"}).out, "two\n");
  EXPECT_EQ(run({"logs", "--pattern", "tw", "web"}).out, "two\n");
  EXPECT_EQ(run({"logs", "--until", "10m", "web"}).exit_code, 0);
  EXPECT_EQ(run({"logs", "--until", "10m", "-f", "web"}).exit_code, 2);
  EXPECT_EQ(run({"logs", "web", "-c", "side", "--since", "1h", "--timestamps"}).exit_code, 0);
  const runtime::LogQuery query = logs.last_query();
  EXPECT_EQ(query.container, "side");
  EXPECT_TRUE(query.timestamps);
  EXPECT_EQ(query.since, clock.wall() - std::chrono::hours(1));
}

TEST_F(CliOutputTest, Events) {
  EXPECT_EQ(run({"events"}).out, "No events.\n");
  for (int64_t i = 1; i <= 2500; ++i) {
    events.push_back(
        {i, clock.wall(), i == 2400 ? "web" : "queue", "", "Normal", "Started", "", 0});
  }
  const auto all = nlohmann::json::parse(run({"events", "-o", "json"}).out);
  ASSERT_EQ(all["events"].size(), 2500u);
  EXPECT_EQ(all["events"][2499]["number"], 2500);
  EXPECT_EQ(run({"events", "web"}).out,
            "NUMBER  AGE  TYPE    WORKLOAD  REASON   MESSAGE\n"
            "2400    0s   Normal  web       Started  -\n");
  EXPECT_EQ(
      nlohmann::json::parse(run({"events", "--after", "2498", "-o", "json"}).out)["events"].size(),
      2u);
}

TEST_F(CliOutputTest, EventsAreFollowedUntilTheDaemonStops) {
  add_event({1, clock.wall(), "web", "web", "Normal", "Started", "attempt 1", 42});
  add_event({2, clock.wall(), "queue", "", "Normal", "Started", "not asked for", 42});
  add_event({3, clock.wall(), "web", "web", "Warning", "BackOff", "again in 10s", 42});
  std::thread later([this] {
    ASSERT_TRUE(wait_until([this] { return events_read >= 3; }));
    server->stop();
  });
  const auto followed = run({"events", "web", "-f"});
  later.join();
  EXPECT_EQ(followed.exit_code, 3);
  EXPECT_EQ(followed.err.find("wherry: the daemon has stopped"), 0u) << followed.err;
  EXPECT_EQ(followed.out,
            to_rfc3339(clock.wall()) +
                "  Normal   web/web               Started               attempt 1\n" +
                to_rfc3339(clock.wall()) +
                "  Warning  web/web               BackOff               again in 10s\n");
}

TEST_F(CliOutputTest, Images) {
  EXPECT_EQ(run({"images"}).out, "No images.\n");
  write_text(dir / "image.tar", "archive1 and more");
  const Ran imported = run({"images", "import", dir / "image.tar"});
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_EQ(imported.out.find("imported example/archive1 (17 B, sha256:"), 0u) << imported.out;
  EXPECT_EQ(images.imported_bytes(), 17);
  EXPECT_TRUE(images.imported_path().ends_with("/image.tar")) << images.imported_path();
  const std::string table = run({"images"}).out;
  EXPECT_EQ(table, run({"images", "list"}).out);
  EXPECT_EQ(
      table.find("NAME              SIZE  DIGEST        LAST USED  KEPT\nexample/archive1  17 B  "),
      0u)
      << table;
  EXPECT_EQ(nlohmann::json::parse(run({"images", "-o", "json"}).out)["images"][0]["sizeBytes"], 17);
  EXPECT_EQ(nlohmann::json::parse(run({"images", "list", "-o", "json"}).out)["images"].size(), 1u);
}

TEST_F(CliOutputTest, ImagesOnTheirWay) {
  StateView state = sample_state();
  const PullView pull{"registry.local/big:1", 50 << 20, 200 << 20, 1 << 20};
  state.workloads.at(0).pulls = {pull};
  state.workloads.at(1).pulls = {pull, {"registry.local/new:1"}};
  set_state(state);
  EXPECT_EQ(run({"images"}).out,
            "No images.\n\n"
            "PULLING               PROGRESS\n"
            "registry.local/big:1  25 % of 200.0 MiB, 1.0 MiB/s\n"
            "registry.local/new:1  -\n");
  const auto pulls = nlohmann::json::parse(run({"images", "-o", "json"}).out).at("pulls");
  ASSERT_EQ(pulls.size(), 2u);
  EXPECT_EQ(pulls[0].at("percent"), 25);
}

TEST_F(CliOutputTest, Version) {
  const std::string text = run({"version"}).out;
  EXPECT_NE(text.find("wherryd:     1.0.0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("containerd:  1.6.20\n"), std::string::npos) << text;
  server->stop();
  const Ran alone = run({"version", "-o", "json"});
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(alone.out)["daemon"], nullptr);
}

}  // namespace
}  // namespace wherry::test

// The built program: exit codes, one line of error, streams.
#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/support/process.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

constexpr const char* kGood = R"(apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 1 }
spec:
  items:
  - apiVersion: v1
    kind: Pod
    metadata: { name: web }
    spec:
      containers:
      - { name: web, image: web:1 }
)";
constexpr const char* kBad = R"(apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 1 }
spec:
  items:
  - apiVersion: v1
    kind: Pod
    metadata: { name: web }
    spec:
      containers:
      - { name: web, imgae: web:1 }
)";

class ProgramTest : public ApiTest {
 protected:
  ProgramTest() { start(); }
  CommandResult wherry(std::vector<std::string> args) const {
    args.insert(args.begin(), {WHERRY_PROGRAM, "--socket", options.socket});
    return run_command(std::move(args));
  }
  ProcessOptions follow_web() const {
    ProcessOptions follow;
    follow.argv = {WHERRY_PROGRAM, "--socket", options.socket, "logs", "-f", "web"};
    return follow;
  }
  ProcessOptions pull_web() const {
    ProcessOptions pull;
    pull.argv = {WHERRY_PROGRAM, "--socket", options.socket, "images", "pull", "web:1"};
    return pull;
  }
  // The contract's form of an error.
  static void expect_one_line(const CommandResult& result) {
    EXPECT_EQ(result.err.find("wherry: "), 0u) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
};

TEST_F(ProgramTest, Done) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"status"},
                                             {"list"},
                                             {"get", "web"},
                                             {"events"},
                                             {"images"},
                                             {"version"},
                                             {"--help"},
                                             {"logs", "--help"},
                                             {"--version"},
                                             {"list", "-o", "yaml"},
                                             {"logs", "queue"}}) {
    const CommandResult result = wherry(args);
    EXPECT_EQ(result.exit_code, 0) << args[0] << result.err;
    EXPECT_EQ(result.err, "") << args[0];
  }
}

TEST_F(ProgramTest, OwnersOfWorkloadsAreShown) {
  StateView state = sample_state();
  ControllerView job;
  job.kind = "Job";
  job.name = "backup-1";
  job.source = "devices/d";
  job.owner = "CronJob/backup";
  job.phase = "Failed";
  job.reason = "BackoffLimitExceeded";
  job.message = "it failed 3 times";
  job.wanted = 2;
  job.succeeded = 1;
  job.failed = 3;
  ControllerView cron;
  cron.kind = "CronJob";
  cron.name = "backup";
  cron.phase = "Scheduled";
  cron.schedule = "@daily";
  cron.next = WallTime(std::chrono::seconds(1'800'000'000));
  ControllerView web;
  web.kind = "Deployment";
  web.name = "web";
  web.phase = "Progressing";
  web.wanted = 3;
  web.ready = 2;
  state.controllers = {cron, web, job};
  ServiceView front{"front", "devices/d", 1, "10.90.0.7", {}, {"web-0", "web-1"}, "", ""};
  front.ports = {{"", "TCP", 80, 30080}, {"dns", "UDP", 53, 0}};
  state.services = {front, {"names", "devices/d", 1, "", {}, {}, "NoReadyPods", "none"}};
  set_state(state);
  const std::string list = wherry({"list"}).out;
  EXPECT_THAT(list, testing::ContainsRegex("Job/backup-1 +Failed +1/2 .*BackoffLimitExceeded"));
  EXPECT_THAT(list, testing::ContainsRegex("CronJob/backup +Scheduled +0 active"));
  EXPECT_THAT(list, testing::ContainsRegex("Deployment/web +Progressing +2/3"));
  EXPECT_THAT(list, testing::ContainsRegex(
                        "front +10.90.0.7 +80:30080/TCP,53/UDP +web-0,web-1 +devices/d"));
  EXPECT_THAT(list, testing::ContainsRegex("names +None .*NoReadyPods"));
  const std::string one = wherry({"get", "job/backup-1"}).out;
  EXPECT_THAT(one, testing::HasSubstr("CronJob/backup"));
  EXPECT_THAT(one, testing::HasSubstr("it failed 3 times"));
  EXPECT_THAT(wherry({"get", "CronJob/backup"}).out, testing::HasSubstr("2027-01-15T08:00:00"));
  EXPECT_THAT(wherry({"get", "Job/backup-1", "-o", "json"}).out,
              testing::HasSubstr("\"owner\": \"CronJob/backup\""));
  EXPECT_EQ(wherry({"get", "Job/nope"}).exit_code, 4);
  expect_one_line(wherry({"get", "Job/nope"}));
}

TEST_F(ProgramTest, NotReachableIs3) {
  server->stop();
  for (const char* command : {"status", "list", "images", "events"}) {
    const CommandResult result = wherry({command});
    EXPECT_EQ(result.exit_code, 3) << command;
    expect_one_line(result);
    EXPECT_NE(result.err.find("systemctl start wherryd"), std::string::npos) << result.err;
  }
  EXPECT_EQ(wherry({"logs", "web"}).exit_code, 3);
  write_text(dir / "a.tar", "x");
  EXPECT_EQ(wherry({"images", "import", dir / "a.tar"}).exit_code, 3);
  EXPECT_EQ(run_command({WHERRY_PROGRAM, "--socket", std::string(200, 'x'), "list"}).exit_code, 1);
}

TEST_F(ProgramTest, NotFoundIs4) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"get", "nope"}, {"logs", "nope"}, {"logs", "web", "-c", "nope"}}) {
    const CommandResult result = wherry(args);
    EXPECT_EQ(result.exit_code, 4) << args[0];
    expect_one_line(result);
  }
}

TEST_F(ProgramTest, UsageIs2) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{},
                                             {"lst"},
                                             {"get"},
                                             {"get", "a", "b"},
                                             {"list", "--bogus"},
                                             {"list", "-o", "xml"},
                                             {"logs", "web", "--tail", "x"},
                                             {"logs", "web", "--tail", "-1"},
                                             {"logs", "web", "--since", "yesterday"},
                                             {"validate"},
                                             {"images", "import"},
                                             {"images", "bogus"},
                                             {"list", "get", "web"},
                                             {"images", "pull"},
                                             {"stop"},
                                             {"exec", "web"},
                                             {"exec", "web", "--timeout", "x", "--", "ls"},
                                             {"images", "pull", "a", "b"},
                                             {"images", "pull", ""},
                                             {"events", "--after", "x"}}) {
    const CommandResult result = wherry(args);
    EXPECT_EQ(result.exit_code, 2) << (args.empty() ? "" : args[0]) << result.err;
    expect_one_line(result);
  }
  EXPECT_NE(wherry({"lst"}).err.find("did you mean \"list\"?"), std::string::npos);
}

TEST_F(ProgramTest, WhatIsNotInThisVersionSaysSo) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"why", "web"},
                                             {"apply", "-f", "x"},
                                             {"plan", "-f", "x"},
                                             {"check"},
                                             {"sign", "-f", "x", "--key", "k", "--kid", "i"},
                                             {"support-bundle"}}) {
    const CommandResult result = wherry(args);
    EXPECT_EQ(result.exit_code, 2) << args[0];
    expect_one_line(result);
    EXPECT_NE(result.err.find("\"wherry " + args[0] + "\" is not available in this version"),
              std::string::npos)
        << result.err;
  }
}

TEST_F(ProgramTest, MetricsArePrintedAsTheyAre) {
  const CommandResult result = wherry({"metrics"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "wherry_build_info 1\n");
}

TEST_F(ProgramTest, WorkloadsAreOrderedAbout) {
  for (const char* order : {"restart", "stop", "start"}) {
    const CommandResult result = wherry({order, "web"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out.find("web "), 0u) << result.out;
    EXPECT_EQ(wherry({order, "web", "-o", "json"}).out, "{\n  \"workload\": \"web\"\n}\n");
  }
  EXPECT_EQ(orders.size(), 6u);
  order_answer = fail(Code::NotFound, "there is no workload \"nope\" on this device");
  EXPECT_EQ(wherry({"stop", "nope"}).exit_code, 4);
}

TEST_F(ProgramTest, ExecPrintsWhatTheProgramPrints) {
  const CommandResult good = wherry({"exec", "web", "--", "ls", "-l", "--all"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, "ls -l --all\n");
  EXPECT_EQ(good.err, "to stderr\n");
  const CommandResult bad = wherry({"exec", "web", "-c", "web", "--timeout", "5s", "--", "false"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.err.find("exit code 1"), std::string::npos) << bad.err;
  EXPECT_EQ(execs.asked.timeout, std::chrono::seconds(5));
  EXPECT_EQ(wherry({"exec", "nope", "--", "ls"}).exit_code, 4);
  const CommandResult json = wherry({"exec", "web", "-o", "json", "--", "false"});
  EXPECT_EQ(json.exit_code, 1);
  EXPECT_NE(json.out.find("\"exitCode\": 1"), std::string::npos) << json.out;
}

TEST_F(ProgramTest, FailedIs1) {
  images.fail_with(Error(Code::Unavailable, "containerd is not reachable"));
  const CommandResult list = wherry({"images"});
  EXPECT_EQ(list.exit_code, 1);
  EXPECT_EQ(list.err, "wherry: containerd is not reachable\n");
  expect_one_line(wherry({"images", "import", dir / "missing.tar"}));
  EXPECT_EQ(wherry({"images", "import", dir / "missing.tar"}).exit_code, 1);
  const CommandResult no_layout = wherry({"images", "import", dir.path()});
  EXPECT_EQ(no_layout.exit_code, 1);
  EXPECT_NE(no_layout.err.find("no OCI image layout: it has no oci-layout"), std::string::npos);
}

TEST_F(ProgramTest, WhatCannotBeWrittenIsAFailure) {
  for (const char* command : {"status", "images", "version", "list -o json"}) {
    const CommandResult result = run_command({"sh", "-c",
                                              std::string(WHERRY_PROGRAM) + " --socket " +
                                                  options.socket + " " + command + " > /dev/full"});
    EXPECT_EQ(result.exit_code, 1) << command;
    EXPECT_EQ(result.err, "wherry: the output cannot be written: No space left on device\n");
  }
}

TEST_F(ProgramTest, AnEmptyOrTooLargeArchive) {
  write_text(dir / "empty.tar", "");
  const CommandResult empty = wherry({"images", "import", dir / "empty.tar"});
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_NE(empty.err.find("archive"), std::string::npos) << empty.err;
  write_text(dir / "large.tar", std::string(3u << 20, 'x'));
  const CommandResult large = wherry({"images", "import", dir / "large.tar"});
  EXPECT_EQ(large.exit_code, 1);
  EXPECT_NE(large.err.find("larger than"), std::string::npos) << large.err;
}

TEST_F(ProgramTest, ImportFromAPipe) {
  write_text(dir / "image.tar", "from-a-pipe-" + std::string(200'000, 'y'));
  std::string command = std::string("cat ") + (dir / "image.tar") + " | " + WHERRY_PROGRAM +
                        " --socket " + options.socket + " images import -";
  const CommandResult result = run_command({"sh", "-c", command});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(images.imported_bytes(), 200'012);
}

// What arrives is what tar reads, byte by byte.
TEST_F(ProgramTest, ALayoutDirectoryIsSentAsAnArchive) {
  const std::string blob(300'001, 'b');
  const std::string name = "blobs/sha256/" + std::string(64, 'a');
  for (const char* made : {"layout", "layout/blobs", "layout/blobs/sha256", "out"}) {
    std::filesystem::create_directory(dir / made);
  }
  write_text(dir / "layout/oci-layout", "{}");
  write_text(dir / "layout/index.json", "[]");
  write_text(dir / "layout/stray", "not part of it");
  write_text(dir / ("layout/" + name), blob);
  images.keep_imports(dir / "got.tar");
  const CommandResult result = wherry({"images", "import", dir / "layout/"});
  EXPECT_TRUE(images.imported_path().ends_with("/layout")) << images.imported_path();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const CommandResult list = run_command({"tar", "-tf", dir / "got.tar"});
  EXPECT_EQ(list.out, "oci-layout\nindex.json\n" + name + "\n") << list.err;
  EXPECT_EQ(list.err, "");
  ASSERT_EQ(run_command({"tar", "-xf", dir / "got.tar", "-C", dir / "out"}).exit_code, 0);
  EXPECT_EQ(read_text(dir / ("out/" + name)), blob);
  EXPECT_EQ(read_text(dir / "out/index.json"), "[]");
}

TEST_F(ProgramTest, PullTellsProgressLineByLineWhereThereIsNoTerminal) {
  images.tell({50 << 20, 200 << 20, 10 << 20});
  Process puller(pull_web());
  ASSERT_TRUE(wait_until([&] { return puller.out().find(" 25 %") != std::string::npos; }))
      << puller.out();
  EXPECT_EQ(puller.out().find("pulling web:1\n 25 % "), 0u) << puller.out();
  EXPECT_NE(puller.out().find("50.0 MiB of 200.0 MiB"), std::string::npos) << puller.out();
  images.end_pulls(runtime::Image{"docker.io/library/web:1", "sha256:0123456789abcdef", 200 << 20});
  EXPECT_EQ(puller.wait(), 0);
  EXPECT_NE(puller.out().find("pulled docker.io/library/web:1 (200.0 MiB, sha256:0123456789ab)\n"),
            std::string::npos)
      << puller.out();
  EXPECT_EQ(puller.out().find('\x1b'), std::string::npos);
  const CommandResult json = wherry({"images", "pull", "web:1", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out).at("digest"), "sha256:0123456789abcdef") << json.out;
}

TEST_F(ProgramTest, APullThatFailsSaysWhyAndAnInterruptedOneIsCancelled) {
  {
    Process puller(pull_web());
    ASSERT_TRUE(wait_until([&] { return images.pulling() == 1; }));
    puller.signal(SIGINT);
    EXPECT_TRUE(puller.wait().has_value());
    EXPECT_TRUE(wait_until([&] { return images.cancelled() == 1; }));
  }
  images.end_pulls(fail(Code::NotFound, "the registry does not have it"));
  const CommandResult missing = wherry({"images", "pull", "nope:1"});
  EXPECT_EQ(missing.exit_code, 4);
  EXPECT_EQ(missing.err, "wherry: the registry does not have it\n");
  images.tell({1, 2, 0});
  EXPECT_EQ(wherry({"images", "pull", "nope:1"}).exit_code, 4) << "also when it had begun";
  images.end_pulls(fail(Code::InvalidArgument, "Nope is no image's name", "InvalidImageName"));
  const CommandResult bad = wherry({"images", "pull", "Nope"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_EQ(bad.err, "wherry: Nope is no image's name\n");
}

TEST_F(ProgramTest, ImagesSayWhyTheyAreKept) {
  images.end_pulls(runtime::Image{"x", "sha256:1", 1});
  write_text(dir / "image.tar", "from-tar");
  ASSERT_EQ(wherry({"images", "import", dir / "image.tar"}).exit_code, 0);
  const auto listed = images.list();
  StateView state = sample_state();
  state.images = {
      {listed->at(0).name, listed->at(0).digest, 8, {"queue", "web"}, state.at, Kept::Running}};
  set_state(state);
  const CommandResult table = wherry({"images"});
  EXPECT_NE(table.out.find("KEPT\n"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("  running: queue, web\n"), std::string::npos) << table.out;
  const auto json = nlohmann::json::parse(wherry({"images", "-o", "json"}).out).at("images").at(0);
  EXPECT_EQ(json.at("kept"), "running");
  EXPECT_EQ(json.at("users"), (std::vector<std::string>{"queue", "web"}));
  EXPECT_EQ(json.at("lastUsed"), to_rfc3339(state.at));
}

TEST_F(ProgramTest, Prune) {
  EXPECT_EQ(wherry({"images", "prune"}).out, "Nothing to remove: every image is needed.\n");
  images.prune_with(runtime::PruneReport{{{"registry.local/old:1", "sha256:1", 5}}, 5 << 20, {}});
  EXPECT_EQ(wherry({"images", "prune"}).out, "removed registry.local/old:1\n5.0 MiB freed\n");
  images.prune_with(fail(Code::Unavailable, "containerd is not reachable"));
  const CommandResult away = wherry({"images", "prune"});
  EXPECT_EQ(away.exit_code, 1);
  EXPECT_EQ(away.err, "wherry: containerd is not reachable\n");
}

TEST_F(ProgramTest, FollowPrintsAtOnceAndEndsWithTheDaemon) {
  logs.append("web", "old\n");
  Process follower(follow_web());
  ASSERT_TRUE(wait_until([&] { return follower.out() == "old\n"; }));
  logs.append("web", "new\n");
  ASSERT_TRUE(wait_until([&] { return follower.out() == "old\nnew\n"; }));
  server->stop();
  EXPECT_EQ(follower.wait(), 0);
}

TEST_F(ProgramTest, AnInterruptedFollowLeavesNothingBehind) {
  logs.append("web", "x\n");
  Process follower(follow_web());
  ASSERT_TRUE(wait_until([&] { return logs.followers() == 1; }));
  follower.signal(SIGINT);
  EXPECT_TRUE(follower.wait().has_value());
  EXPECT_TRUE(wait_until([&] { return logs.followers() == 0; }));
}

TEST_F(ProgramTest, Validate) {
  server->stop();  // it needs none
  write_text(dir / "good.yaml", kGood);
  write_text(dir / "bad.yaml", kBad);
  const CommandResult good = wherry({"validate", "-f", dir / "good.yaml"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, (dir / "good.yaml") + ": valid, 1 workload: web\n");
  const CommandResult bad = wherry({"validate", "-f", dir / "good.yaml", "-f", dir / "bad.yaml"});
  EXPECT_EQ(bad.exit_code, 5);
  EXPECT_EQ(bad.err.find((dir / "bad.yaml") + ":11:"), 0u) << bad.err;
  EXPECT_NE(bad.err.find("spec.items[0].spec.containers[0]"), std::string::npos) << bad.err;
  EXPECT_NE(bad.err.find("image"), std::string::npos) << bad.err;
  const CommandResult json = wherry({"validate", "-o", "json", "-f", dir / "bad.yaml"});
  EXPECT_EQ(json.exit_code, 5);
  const auto result = nlohmann::json::parse(json.out);
  EXPECT_EQ(result["valid"], false);
  EXPECT_EQ(result.at("documents").at(0).at("errors").at(0).at("line"), 11);
  const CommandResult missing = wherry({"validate", "-f", dir / "nope.yaml"});
  EXPECT_EQ(missing.exit_code, 1);
  expect_one_line(missing);
}

// A document that is fine alone, and the one that completes it.
constexpr const char* kNeedsConfig = R"(apiVersion: v1
kind: Pod
metadata: { name: web, annotations: { wherry/depends-on: "queue" } }
spec:
  nodeSelector: { kubernetes.io/arch: arm64 }
  containers:
  - { name: web, image: web:1, envFrom: [{ configMapRef: { name: settings } }] }
)";
constexpr const char* kConfig = R"(apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { A: b }
---
apiVersion: v1
kind: Pod
metadata: { name: queue }
spec:
  nodeSelector: { site: north }
  containers: [{ name: queue, image: queue:1 }]
)";

TEST_F(ProgramTest, ValidateDocumentsTogether) {
  write_text(dir / "web.yaml", kNeedsConfig);
  write_text(dir / "config.yaml", kConfig);
  const CommandResult alone = wherry({"validate", "-f", dir / "web.yaml"});
  EXPECT_EQ(alone.exit_code, 5);
  EXPECT_NE(alone.err.find((dir / "web.yaml") + ":7:"), std::string::npos) << alone.err;
  EXPECT_NE(alone.err.find("\"settings\""), std::string::npos) << alone.err;
  EXPECT_NE(alone.err.find("depends on \"queue\""), std::string::npos) << alone.err;
  const CommandResult both =
      wherry({"validate", "-f", dir / "web.yaml", "-f", dir / "config.yaml"});
  EXPECT_EQ(both.exit_code, 0) << both.err;
  EXPECT_NE(both.out.find("valid, 2 workloads: queue, web; 1 ConfigMap: settings\n"),
            std::string::npos)
      << both.out;
  const CommandResult json = wherry({"validate", "-f", dir / "web.yaml", "-o", "json"});
  const auto result = nlohmann::json::parse(json.out);
  EXPECT_EQ(result.at("documents").at(0).at("valid"), false);
  EXPECT_EQ(result.at("documents")
                .at(0)
                .at("errors")
                .at(0)
                .at("path")
                .get<std::string>()
                .find(dir.path()),
            std::string::npos);
}

constexpr const char* kKinds = R"(apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec: { template: { spec: { restartPolicy: Never, containers: [{ name: a, image: a:1 }] } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: more }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
)";

TEST_F(ProgramTest, ValidateNamesWhatIsNoPodToo) {
  write_text(dir / "kinds.yaml", kKinds);
  const CommandResult table = wherry({"validate", "-f", dir / "kinds.yaml"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_EQ(table.out, (dir / "kinds.yaml") +
                           ": valid, 1 CronJob: nightly; 2 PersistentVolumeClaims: data, more\n");
  const auto json =
      nlohmann::json::parse(wherry({"validate", "-o", "json", "-f", dir / "kinds.yaml"}).out);
  const auto& objects = json.at("documents").at(0).at("objects");
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects.at(0), (nlohmann::json{{"kind", "CronJob"}, {"name", "nightly"}}));
}

TEST_F(ProgramTest, ValidateNamesServices) {
  write_text(dir / "service.yaml",
             "apiVersion: v1\nkind: Service\nmetadata: { name: site }\n"
             "spec: { selector: { app: site }, ports: [{ port: 80 }] }\n");
  const CommandResult table = wherry({"validate", "-f", dir / "service.yaml"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_EQ(table.out, (dir / "service.yaml") + ": valid, 1 Service: site\n");
}

TEST_F(ProgramTest, ValidateNothing) {
  write_text(dir / "empty.yaml", "");
  EXPECT_EQ(wherry({"validate", "-f", dir / "empty.yaml"}).out,
            (dir / "empty.yaml") + ": valid, no workloads\n");
  write_text(dir / "large.yaml", std::string(2u << 20, '#'));
  const CommandResult large = wherry({"validate", "-f", dir / "large.yaml"});
  EXPECT_EQ(large.exit_code, 5);
  EXPECT_NE(large.err.find("larger than 1 MiB"), std::string::npos) << large.err;
}

TEST_F(ProgramTest, ValidateStandardInput) {
  write_text(dir / "bad.yaml", kBad);
  const std::string command =
      std::string(WHERRY_PROGRAM) + " validate -f - < " + (dir / "bad.yaml");
  const CommandResult result = run_command({"sh", "-c", command});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_EQ(result.err.find("<stdin>:11:"), 0u) << result.err;
}

}  // namespace
}  // namespace wherry::test

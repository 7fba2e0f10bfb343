// The built program: exit codes, one line of error, streams.
#include <csignal>
#include <filesystem>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/program_fixture.h"

namespace wherry::test {
namespace {

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
  EXPECT_THAT(wherry({"get", "Service/front"}).out, testing::HasSubstr("80:30080/TCP,53/UDP"));
  EXPECT_THAT(wherry({"get", "service/names", "-o", "json"}).out,
              testing::HasSubstr("NoReadyPods"));
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
  EXPECT_EQ(run_command({WHERRY_PROGRAM, "--socket", std::string(200, 'x'), "list"}).exit_code, 2);
}

TEST_F(ProgramTest, VersionSaysOfTheDaemonWhatOtherCommandsSay) {
  const auto reason_of_list = [](const CommandResult& list) {
    return list.err.substr(std::string("wherry: ").size());
  };
  // Root may use any socket, unless it has given up to override modes.
  ASSERT_EQ(chmod(options.socket.c_str(), 0), 0);
  const auto barred = [this](const char* command) {
    return run_command({"setpriv", "--bounding-set=-all", "--inh-caps=-all", WHERRY_PROGRAM,
                        "--socket", options.socket, command});
  };
  const CommandResult list = barred("list");
  ASSERT_THAT(list.err, testing::HasSubstr("you may not use " + options.socket));
  EXPECT_THAT(barred("version").out, testing::HasSubstr("wherryd:  " + reason_of_list(list)));
  server->stop();
  EXPECT_THAT(wherry({"version"}).out, testing::HasSubstr(reason_of_list(wherry({"list"}))));
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
                                             {"--foo"},
                                             {"--verson"},
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
                                             {"check", "now"},
                                             {"support-bundle", "--log"},
                                             {"exec", "web"},
                                             {"exec", "web", "--timeout", "x", "--", "ls"},
                                             {"images", "pull", "a", "b"},
                                             {"images", "pull", ""},
                                             {"get", "WEB"},
                                             {"restart", "WEB"},
                                             {"logs", "WEB"},
                                             {"exec", "web", "--timeout", "0s", "--", "ls"},
                                             {"exec", "web", "--timeout", "11m", "--", "ls"},
                                             {"exec", "web", "ls", "-l"},
                                             {"plan", "-f", "x", "--source", "rubbish"},
                                             {"metrics", "-o", "json"},
                                             {"-o", "json", "list"},
                                             {"--socket", "", "list"},
                                             {"support-bundle", "-f", dir.path()},
                                             {"events", "--after", "x"}}) {
    const CommandResult result = wherry(args);
    EXPECT_EQ(result.exit_code, 2) << (args.empty() ? "" : args[0]) << result.err;
    expect_one_line(result);
  }
}

TEST_F(ProgramTest, WhatIsWrongWithTheArgumentsIsSaid) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"lst"}, "unknown command \"lst\"; did you mean \"list\"?"},
      {{"--verson"}, "not expected: --verson; did you mean \"--version\"?"},
      {{"--foo"}, "not expected: --foo; see wherry --help"},
      {{"get", "--bogus"}, "not expected: --bogus; see wherry get --help"},
      {{}, "A subcommand is required; see wherry --help"},
      {{"xyzzy"}, "unknown command \"xyzzy\"; see wherry --help"},
      {{"images", "imprt", "x"}, "not expected: imprt x; did you mean \"import\"?"},
      {{"get", "a", "b", "c"}, "not expected: b c; see wherry get --help"},
      {{"logs", "web", "--tial", "3"}, "not expected: --tial 3; did you mean \"--tail\"?"},
      {{"logs", "web", "-o", "json"}, "not expected: -o json; wherry logs has one form of output"},
      {{"-o", "json", "list"}, "-o comes behind the command: wherry list -o json"},
      {{"exec", "web", "ls", "-l"},
       "put -- before the program and all that belongs to it: "
       "wherry exec W -- CMD -l"},
      {{"images", "import"}, "archive is required; see wherry images import --help"},
      {{"--socket", "", "list"}, "\"\" cannot be a socket's path"},
      {{"support-bundle", "-f", dir.path()}, "is a directory: name a file in it, as "}};
  for (const auto& [args, said] : cases) {
    EXPECT_THAT(wherry(args).err, testing::HasSubstr(said)) << said;
  }
  EXPECT_FALSE(std::filesystem::exists(dir.path() + ".part"));
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
  EXPECT_EQ(orders().size(), 6u);
  answer_orders(fail(Code::NotFound, "there is no workload \"nope\" on this device"));
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
  EXPECT_EQ(execs.asked().timeout, std::chrono::seconds(5));
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

TEST_F(ProgramTest, NobodyThereToTakeTheOutputIsAFailure) {
  const std::string program = std::string(WHERRY_PROGRAM) + " --socket " + options.socket;
  const CommandResult closed = run_command({"sh", "-c", program + " list >&-"});
  EXPECT_EQ(closed.exit_code, 1);
  EXPECT_EQ(closed.err, "wherry: the output cannot be written: Bad file descriptor\n");
  const CommandResult full = run_command({"sh", "-c", program + " --help >/dev/full"});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_EQ(full.err, "wherry: the output cannot be written: No space left on device\n");
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
  EXPECT_EQ(wherry({"images", "pull", "\xff"}).err, bad.err) << "it is for the agent to say";
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

TEST_F(ProgramTest, FollowPrintsAtOnceAndSaysThatTheDaemonEnded) {
  logs.append("web", "old\n");
  Process follower(follow_web());
  ASSERT_TRUE(wait_until([&] { return follower.out() == "old\n"; }));
  logs.append("web", "new\n");
  ASSERT_TRUE(wait_until([&] { return follower.out() == "old\nnew\n"; }));
  add_event({1, clock.wall(), "web", "web", "Warning", "OOMKilled", "killed for memory", 42});
  ProcessOptions listen = follow_web();
  listen.argv = {WHERRY_PROGRAM, "--socket", options.socket, "events", "-f"};
  Process listener(listen);
  ASSERT_TRUE(wait_until([&] { return listener.out().find("OOMKilled") != std::string::npos; }));
  ProcessOptions run = follow_web();
  run.argv = {WHERRY_PROGRAM, "--socket", options.socket, "exec", "web", "--", "wait"};
  Process runner(run);
  ASSERT_TRUE(wait_until([&] { return execs.asked().argv == std::vector<std::string>{"wait"}; }));
  server->stop();
  for (Process* each : {&follower, &listener}) {
    EXPECT_EQ(each->wait(), 3);
    EXPECT_THAT(each->err(), testing::HasSubstr("wherry: the daemon has stopped"));
  }
  EXPECT_EQ(runner.wait(), 1);
  EXPECT_THAT(runner.err(), testing::HasSubstr("wherry: the agent is stopping"));
}

TEST_F(ProgramTest, AnInterruptedFollowLeavesNothingBehind) {
  logs.append("web", "x\n");
  Process follower(follow_web());
  ASSERT_TRUE(wait_until([&] { return logs.followers() == 1; }));
  follower.signal(SIGINT);
  EXPECT_TRUE(follower.wait().has_value());
  EXPECT_TRUE(wait_until([&] { return logs.followers() == 0; }));
}

}  // namespace
}  // namespace wherry::test

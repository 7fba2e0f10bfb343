// Probes, hooks and last words on a real container stack.

#include <gmock/gmock.h>

#include "tests/integration/health/health_fixture.h"

namespace wherry::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ProbesTest : public HealthTest {};

TEST_F(ProbesTest, LivenessRestartsByExec) {
  publish(1,
          {pod("web",
               {container("main", std::string("echo run >> /out/log; touch /tmp/ok; ") + kForever,
                          {{"livenessProbe",
                            exec({"/bin/sh", "-c", "test -e /tmp/ok && test ! -e /out/bad"},
                                 {{"failureThreshold", 1}})}})}),
           sleeper("neighbour")});
  running("web");
  running("neighbour");
  const int neighbour = pid_of("neighbour");
  touch("bad");
  const json again =
      until("web", [&](const json& now) { return container_of(now, "main")["restarts"] >= 1; });
  EXPECT_TRUE(has_event("LivenessProbeFailed"));
  EXPECT_TRUE(wait_until([&] { return lines().size() >= 2; }));
  std::remove(file("bad").c_str());
  running("web");
  EXPECT_EQ(pid_of("neighbour"), neighbour);
}

TEST_F(ProbesTest, ReadinessByHttpHoldsADependentBack) {
  const json server = pod(
      "server",
      {container("main", "mkdir /www2; exec httpd -f -p 8080 -h /out",
                 {{"ports", {{{"name", "web"}, {"containerPort", 8080}}}},
                  {"readinessProbe",
                   {{"httpGet", {{"path", "/ready"}, {"port", "web"}}}, {"periodSeconds", 1}}}})},
      {{"hostNetwork", false}});
  json client = pod("client", {container("main", kForever)});
  client["metadata"]["annotations"]["wherry/depends-on"] = "server";
  publish(1, {server, client});
  const json waits = until_reason("server", "ContainersNotReady");
  EXPECT_EQ(waits["phase"], "Running");
  EXPECT_EQ(waits["ready"], false);
  EXPECT_EQ(container_of(waits, "main")["ready"], false);
  until("server", [](const json& now) {
    return now["message"].get<std::string>().find("HTTP status 404") != std::string::npos;
  });
  EXPECT_EQ(agent_->workload("client")["reason"], "DependencyNotReady");
  EXPECT_THAT(agent_->cli({"list"}).out, HasSubstr("0/1"));
  touch("ready");
  running("client");
  running("server");
  const int client_pid = pid_of("client", "main");
  std::remove(file("ready").c_str());
  until_reason("server", "ContainersNotReady");
  EXPECT_EQ(pid_of("client", "main"), client_pid) << "what runs goes on";
  EXPECT_EQ(container_of(agent_->workload("server"), "main")["restarts"], 0);
  touch("ready");
  running("server");
  new_life();
  running("server");
  EXPECT_EQ(pid_of("client", "main"), client_pid);
}

TEST_F(ProbesTest, AStartupProbeByTcpComesFirstAndEndsWhatNeverStarts) {
  const json startup = {{"tcpSocket", {{"port", 9080}}}, {"periodSeconds", 1}};
  json never = startup;
  never["tcpSocket"]["port"] = 9081;
  never["failureThreshold"] = 1;
  publish(1,
          {pod("slow",
               {container("main",
                          "until [ -e /out/go ]; do sleep 0.05; done; "
                          "exec httpd -f -p 9080 -h /out",
                          {{"startupProbe", startup},
                           {"livenessProbe", exec({"false"}, {{"failureThreshold", 100000}})}})}),
           pod("never", {container("main", kForever, {{"startupProbe", never}})})});
  until("never", [&](const json& now) { return container_of(now, "main")["restarts"] >= 1; });
  EXPECT_TRUE(has_event("StartupProbeFailed"));
  EXPECT_EQ(agent_->workload("slow")["ready"], false);
  EXPECT_EQ(container_of(agent_->workload("slow"), "main")["restarts"], 0);
  touch("go");
  running("slow");
}

TEST_F(ProbesTest, AHangingProbeIsBoundedAndDelaysNobody) {
  std::vector<json> items;
  for (int i = 0; i < 8; ++i) {
    items.push_back(
        pod("hang-" + std::to_string(i),
            {container("main", kForever, {{"readinessProbe", exec({"sleep", "100000"})}})}));
  }
  items.push_back(pod("good", {container("main", kForever, {{"readinessProbe", exec({"true"})}})}));
  publish(1, items);
  running("good");
  const json hangs = until("hang-0", [](const json& now) {
    return now["message"].get<std::string>().find("not done within 1s") != std::string::npos;
  });
  EXPECT_EQ(hangs["ready"], false);
  EXPECT_EQ(container_of(hangs, "main")["state"], "running");
  items.push_back(sleeper("late"));
  publish(2, items);
  running("late");
}

class HooksTest : public HealthTest {};

TEST_F(HooksTest, PostStartRunsAndItsFailureEndsTheContainer) {
  const auto with_hook = [&](const std::string& name, const std::string& script) {
    return pod(
        name,
        {container("main", kForever,
                   {{"lifecycle",
                     {{"postStart", {{"exec", {{"command", {"/bin/sh", "-c", script}}}}}}}}})});
  };
  publish(1, {with_hook("good", "echo started >> /out/log"), with_hook("bad", "echo no; exit 3")});
  running("good");
  EXPECT_THAT(lines(), ElementsAre("started"));
  until("bad", [&](const json& now) { return container_of(now, "main")["restarts"] >= 1; });
  EXPECT_TRUE(has_event("FailedPostStartHook"));
  EXPECT_TRUE(has_event("PostStartHookError"));
}

TEST_F(HooksTest, PreStopComesBeforeSigterm) {
  publish(1,
          {pod("web",
               {container(
                   "main",
                   "trap 'echo term >> /out/log; exit 0' TERM; touch /out/up; "
                   "while :; do sleep 0.05; done",
                   {{"lifecycle",
                     {{"preStop",
                       {{"exec", {{"command", {"/bin/sh", "-c", "echo hook >> /out/log"}}}}}}}}})},
               {{"terminationGracePeriodSeconds", 30}})});
  running("web");
  ASSERT_TRUE(wait_until([&] { return access(file("up").c_str(), F_OK) == 0; }));
  publish(2, {});
  ASSERT_TRUE(wait_until([&] { return agent_->workload("web").is_null(); }));
  EXPECT_THAT(lines(), ElementsAre("hook", "term"));
}

TEST_F(HooksTest, APreStopThatNeverEndsIsBounded) {
  publish(1, {pod("web",
                  {container("main",
                             "trap 'echo term >> /out/log; exit 0' TERM; touch /out/up; "
                             "while :; do sleep 0.05; done",
                             {{"lifecycle",
                               {{"preStop", {{"exec", {{"command", {"sleep", "100000"}}}}}}}}})}),
              sleeper("neighbour")});
  running("web");
  running("neighbour");
  ASSERT_TRUE(wait_until([&] { return access(file("up").c_str(), F_OK) == 0; }));
  const int neighbour = pid_of("neighbour");
  publish(2, {sleeper("neighbour")});
  ASSERT_TRUE(wait_until([&] { return agent_->workload("web").is_null(); }));
  EXPECT_THAT(lines(), ElementsAre("term")) << "two seconds are left to SIGTERM";
  EXPECT_TRUE(has_event("FailedPreStopHook"));
  EXPECT_EQ(pid_of("neighbour"), neighbour);
}

TEST_F(HooksTest, LastWordsAreReported) {
  publish(1,
          {pod("said", {container("main", "echo disk full > /dev/termination-log; exit 3")},
               {{"restartPolicy", "Never"}}),
           pod("logged",
               {container("main", "echo one; echo two >&2; exit 4",
                          {{"terminationMessagePolicy", "FallbackToLogsOnError"}})},
               {{"restartPolicy", "Never"}}),
           pod("silent", {container("main", "echo one; exit 5")}, {{"restartPolicy", "Never"}})});
  const json said = until("said", [](const json& now) { return now["phase"] == "Failed"; });
  EXPECT_EQ(container_of(said, "main")["message"], "disk full\n");
  EXPECT_THAT(said["message"].get<std::string>(), HasSubstr("disk full"));
  EXPECT_THAT(agent_->cli({"get", "said"}).out, HasSubstr("disk full"));
  const json logged = until("logged", [&](const json& now) {
    return container_of(now, "main").value("message", "").find("two") != std::string::npos;
  });
  EXPECT_THAT(container_of(logged, "main")["message"].get<std::string>(), HasSubstr("one\n"));
  const json silent = until("silent", [](const json& now) { return now["phase"] == "Failed"; });
  EXPECT_FALSE(container_of(silent, "main").contains("message"));
  new_life();
  EXPECT_EQ(container_of(until("said", [](const json& now) { return now["phase"] == "Failed"; }),
                         "main")["message"],
            "disk full\n");
}

}  // namespace
}  // namespace wherry::test

// Init containers, sidecars and deadlines on a real container stack.

#include <gmock/gmock.h>

#include "tests/integration/health/health_fixture.h"

namespace wherry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InitTest : public HealthTest {};

TEST_F(InitTest, RunOneAfterAnotherAndOnceOnly) {
  const auto says = [&](const std::string& name) {
    return container(name, "echo " + name + " >> /out/log");
  };
  json made = pod("web", {container("main", std::string("echo main >> /out/log; ") + kForever)},
                  {{"initContainers", {says("one"), says("two")}}});
  publish(1, {made});
  running("web");
  EXPECT_TRUE(wait_until([&] { return lines().size() >= 3; }));
  EXPECT_THAT(lines(), ElementsAre("one", "two", "main"));
  const json now = agent_->workload("web");
  EXPECT_EQ(container_of(now, "one")["role"], "init");
  EXPECT_EQ(container_of(now, "one")["state"], "exited");
  EXPECT_EQ(container_of(now, "one")["reason"], "Completed");
  EXPECT_THAT(agent_->cli({"list"}).out, HasSubstr("1/1"));
  const auto before = tasks();
  new_life();
  publish(2, {made, sleeper("later")});
  running("later");
  running("web");
  EXPECT_EQ(lines().size(), 3U);
  for (const auto& [id, pid] : before) EXPECT_EQ(tasks()[id], pid);
}

TEST_F(InitTest, AFailureHoldsThePodBackAndIsTriedAgain) {
  publish(1,
          {pod("web", {container("main", kForever)},
               {{"initContainers",
                 {container("check", "echo try >> /out/log; [ -e /out/go ] || exit 4")}}}),
           pod("once", {container("main", kForever)},
               {{"restartPolicy", "Never"}, {"initContainers", {container("check", "exit 5")}}})});
  const json failed = until("once", [](const json& now) { return now["phase"] == "Failed"; });
  EXPECT_THAT(failed["message"].get<std::string>(), HasSubstr("check ended with exit code 5"));
  const json waits = until_reason("web", "CrashLoopBackOff");
  EXPECT_EQ(waits["phase"], "BackOff");
  EXPECT_EQ(container_of(waits, "main")["state"], "waiting");
  touch("go");
  running("web");
  EXPECT_GE(lines().size(), 3U);
}

TEST_F(InitTest, ASidecarStartsFirstStopsLastAndHoldsUpNoJob) {
  const json sidecar = container(
      "proxy",
      "echo proxy up >> /out/log; "
      "trap 'echo proxy down >> /out/log; exit 0' TERM; "
      "while :; do sleep 0.05; done",
      {{"restartPolicy", "Always"}, {"startupProbe", exec({"test", "-e", "/out/proxied"})}});
  json spec = pod("work", {container("main", "echo main >> /out/log")},
                  {{"restartPolicy", "Never"}, {"initContainers", {sidecar}}})["spec"];
  publish(1, {{{"apiVersion", "batch/v1"},
               {"kind", "Job"},
               {"metadata", {{"name", "work"}}},
               {"spec", {{"template", {{"spec", spec}}}}}}});
  const json waits = until_reason("work", "PodInitializing");
  EXPECT_THAT(waits["message"].get<std::string>(), HasSubstr("proxy (1 of 1)"));
  ASSERT_TRUE(wait_until([&] { return !lines().empty(); }));
  EXPECT_THAT(lines(), ElementsAre("proxy up"));
  touch("proxied");
  const json done = agent_->wait_reported([](const json& state) {
    for (const json& each : state.value("controllers", json::array())) {
      if (each["phase"] == "Complete") return true;
    }
    return false;
  });
  EXPECT_EQ(done["controllers"][0]["phase"], "Complete") << done.dump(1);
  EXPECT_EQ(agent_->workload("work")["phase"], "Succeeded");
  EXPECT_THAT(lines(), ElementsAre("proxy up", "main", "proxy down"));
}

TEST_F(InitTest, ADeadlineStopsThePodForGood) {
  json made = pod("web", {container("main", std::string("echo run >> /out/log; ") + kForever)},
                  {{"activeDeadlineSeconds", 1}});
  publish(1, {made});
  const json failed = until("web", [](const json& now) { return now["phase"] == "Failed"; });
  EXPECT_EQ(failed["reason"], "DeadlineExceeded");
  EXPECT_TRUE(tasks().empty());
  new_life();
  publish(2, {made, sleeper("later")});
  running("later");
  EXPECT_EQ(agent_->workload("web")["reason"], "DeadlineExceeded");
  EXPECT_EQ(lines().size(), 1U);
}

TEST_F(InitTest, ContainersOfAPodShareMemoryAndKnowTheirAddresses) {
  const json address = {
      {"env",
       {{{"name", "IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}},
        {{"name", "HOST"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.hostIP"}}}}}}}}};
  publish(1, {pod("web",
                  {container("one", std::string("echo hello > /dev/shm/word; ") + kForever),
                   container("two",
                             "until [ -e /dev/shm/word ]; do sleep 0.05; done; "
                             "cat /dev/shm/word; echo ip=$IP host=$HOST; " +
                                 std::string(kForever),
                             address)},
                  {{"hostNetwork", false}})});
  running("web");
  const std::string ip = agent_->workload("web")["ip"];
  ASSERT_FALSE(ip.empty());
  ASSERT_TRUE(wait_until([&] {
    return agent_->cli({"logs", "web"}).out.find("host=") != std::string::npos;
  }));
  const std::string said = agent_->cli({"logs", "web"}).out;
  EXPECT_THAT(said, HasSubstr("hello\n"));
  EXPECT_THAT(said, HasSubstr("ip=" + ip + " host="));
  EXPECT_THAT(said, testing::Not(HasSubstr("host=\n")));
}

}  // namespace
}  // namespace wherry::test

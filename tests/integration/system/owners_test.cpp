// Jobs, CronJobs and Deployments on a real container stack.

#include <algorithm>

#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class OwnersTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    options.sets.push_back("device.clock=trusted");  // no machine of tests need be synchronised
  }

  std::string runs_file() { return files_ / "runs"; }
  // A line for each time that a container began.
  size_t runs() {
    const std::string text = read_text(runs_file());
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  json template_of(const std::string& script, const std::string& restart) {
    json container = {{"name", "main"},
                      {"image", kImage},
                      {"command", {"/bin/sh", "-c", "echo run >> /out/runs; " + script}},
                      {"volumeMounts", {{{"name", "out"}, {"mountPath", "/out"}}}}};
    json spec = {{"hostNetwork", true},
                 {"terminationGracePeriodSeconds", 1},
                 {"restartPolicy", restart},
                 {"containers", json::array({container})},
                 {"volumes", {{{"name", "out"}, {"hostPath", {{"path", files_.path()}}}}}}};
    return {{"metadata", {{"labels", {{"app", "x"}}}}}, {"spec", spec}};
  }
  static json object(const std::string& kind, const std::string& name, json spec) {
    return {{"apiVersion", kind.ends_with("Job") ? "batch/v1" : "apps/v1"},
            {"kind", kind},
            {"metadata", {{"name", name}}},
            {"spec", std::move(spec)}};
  }
  json job(const std::string& name, const std::string& script, json rules = json::object()) {
    rules["template"] = template_of(script, "Never");
    return object("Job", name, std::move(rules));
  }

  static json controller_in(const json& reported, const std::string& kind) {
    if (!reported.is_object()) return {};
    for (const json& each : reported.value("controllers", json::array())) {
      if (each.value("kind", "") == kind) return each;
    }
    return {};
  }
  // Until the first object of that kind says so.
  json wait_for(const std::string& kind, const std::string& field, const json& value) {
    const json reported = agent_->wait_reported([&](const json& state) {
      const json found = controller_in(state, kind);
      return found.is_object() && found.value(field, json()) == value;
    });
    const json found = controller_in(reported, kind);
    EXPECT_TRUE(found.is_object() && found.value(field, json()) == value) << reported.dump(1);
    return found;
  }
  void new_life() {
    agent_->kill();
    agent_->start();
    ASSERT_TRUE(agent_->wait_ready());
  }
};

TEST_F(OwnersTest, PodsOfAFinishedJobGoAfterTheirTime) {
  publish(1, {job("brief", "exit 0", {{"ttlSecondsAfterFinished", 1}}), job("kept", "exit 0")});
  EXPECT_TRUE(wait_until([&] { return runs() == 2; }));
  EXPECT_TRUE(agent_->wait_phase("kept", "Succeeded")) << agent_->reported().dump(1);
  EXPECT_TRUE(wait_until([&] { return agent_->workload("brief").is_null(); }))
      << agent_->workload("brief").dump(1);
  EXPECT_FALSE(agent_->workload("kept").is_null());
  EXPECT_NE(agent_->cli({"get", "Job/brief"}).out.find("Complete"), std::string::npos);
  new_life();
  EXPECT_TRUE(agent_->workload("brief").is_null());
  EXPECT_EQ(runs(), 2U) << "it is not run again";
}

TEST_F(OwnersTest, AJobRunsToItsEndAndNeverAgain) {
  publish(1, {job("work", "echo done")});
  const json done = wait_for("Job", "phase", "Complete");
  EXPECT_EQ(done["succeeded"], 1);
  EXPECT_EQ(done["failed"], 0);
  EXPECT_EQ(agent_->cli({"logs", "work"}).out, "done\n");
  EXPECT_NE(agent_->cli({"list"}).out.find("Job/work"), std::string::npos);
  const CommandResult one = agent_->cli({"get", "job/work"});
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_NE(one.out.find("Complete"), std::string::npos) << one.out;
  EXPECT_EQ(agent_->cli({"get", "job/none"}).exit_code, 4);
  new_life();
  EXPECT_EQ(wait_for("Job", "phase", "Complete")["succeeded"], 1);
  EXPECT_EQ(agent_->workload("work")["phase"], "Succeeded");
  // Something else starts after it was looked at: had the Job begun again, it would have by then.
  publish(2, {job("work", "echo done"), sleeper("later")});
  running("later");
  EXPECT_EQ(runs(), 1U);
  publish(3, {});
  EXPECT_TRUE(
      wait_until([&] { return tasks().empty() && agent_->reported()["workloads"].empty(); }));
}

TEST_F(OwnersTest, FailuresAreCountedExactlyWhateverHappensToTheAgent) {
  publish(1, {job("work", "exit 7", {{"backoffLimit", 1}})});
  wait_for("Job", "failed", 1);
  EXPECT_EQ(runs(), 1U);
  new_life();  // tries at once, where the same life would pause
  const json failed = wait_for("Job", "phase", "Failed");
  EXPECT_EQ(failed["reason"], "BackoffLimitExceeded");
  EXPECT_EQ(failed["failed"], 2);
  EXPECT_EQ(runs(), 2U);
  new_life();
  publish(2, {job("work", "exit 7", {{"backoffLimit", 1}}), sleeper("later")});
  running("later");
  EXPECT_EQ(wait_for("Job", "phase", "Failed")["failed"], 2);
  EXPECT_EQ(runs(), 2U);
}

TEST_F(OwnersTest, AnEndWhileTheAgentWasDeadIsCountedOnce) {
  const std::string go = files_ / "go";
  publish(1, {job("work", "until [ -e /out/go ]; do sleep 0.05; done", {{"completions", 2}})});
  running("work-0");
  agent_->kill();
  write_text(go, "");
  ASSERT_TRUE(wait_until([&] { return tasks().empty(); }));
  agent_->start();
  const json done = wait_for("Job", "phase", "Complete");
  EXPECT_EQ(done["succeeded"], 2);
  EXPECT_EQ(runs(), 2U);
}

// A time is made to have passed while the agent was off: nobody waits for a minute to come.
TEST_F(OwnersTest, ACronJobMakesUpForOneMissedTime) {
  const json cron =
      object("CronJob", "tick",
             {{"schedule", "* * * * *"},
              {"successfulJobsHistoryLimit", 100},
              {"jobTemplate", {{"spec", {{"template", template_of("echo tick", "Never")}}}}}});
  publish(1, {cron});
  wait_for("CronJob", "schedule", "* * * * *");
  ASSERT_TRUE(wait_until([&] {
    return !agent_->reported().is_null() &&
           controller_in(agent_->reported(), "CronJob").is_object();
  }));
  ASSERT_EQ(agent_->stop(), 0);
  const size_t before = runs();  // a minute may have begun meanwhile
  const CommandResult set_back = run_command(
      {"python3", "-c",
       "import sqlite3, sys, time\n"
       "db = sqlite3.connect(sys.argv[1])\n"
       "then = int((time.time() - 86400) * 1e9)\n"
       "assert db.execute('UPDATE cron_jobs SET seen = ?', (f'{then}-{then}',)).rowcount == 1\n"
       "db.commit()\n",
       agent_->state_dir() + "/wherry.db"});
  ASSERT_EQ(set_back.exit_code, 0) << set_back.err;
  agent_->start();
  ASSERT_TRUE(wait_until([&] { return runs() > before; })) << agent_->reported().dump(1);
  const json done = wait_for("Job", "phase", "Complete");
  EXPECT_EQ(done["owner"], "CronJob/tick");
  // Of a day's 1440 times one; and one more where a minute began while we looked.
  EXPECT_LE(runs(), before + 2);
}

TEST_F(OwnersTest, ADeploymentRollsAndKeepsAllButOneUp) {
  const auto deployment = [&](const std::string& version) {
    json pods = template_of("trap 'exit 0' TERM; sleep 1000000 & wait", "Always");
    pods["spec"]["containers"][0]["env"] = {{{"name", "VERSION"}, {"value", version}}};
    return object(
        "Deployment", "web",
        {{"replicas", 3}, {"selector", {{"matchLabels", {{"app", "x"}}}}}, {"template", pods}});
  };
  publish(1, {deployment("1")});
  wait_for("Deployment", "readyReplicas", 3);
  const auto old = tasks();
  ASSERT_EQ(old.size(), 3U);
  ASSERT_TRUE(wait_until([&] { return runs() == 3; })) << "each has come as far as its first line";
  publish(2, {deployment("2")});
  size_t fewest = 3;
  EXPECT_TRUE(wait_until([&] {
    const auto now = tasks();
    fewest = std::min(fewest, now.size());
    return now.size() == 3 && std::none_of(now.begin(), now.end(), [&](const auto& task) {
             return old.contains(task.first) && old.at(task.first) == task.second;
           });
  }));
  EXPECT_GE(fewest, 2U);
  EXPECT_TRUE(wait_until([&] { return runs() >= 6; }));
  wait_for("Deployment", "updatedReplicas", 3);
  EXPECT_EQ(runs(), 6U);
  const auto rolled = tasks();
  new_life();
  wait_for("Deployment", "readyReplicas", 3);
  EXPECT_EQ(tasks(), rolled) << "a restart of the agent restarts nothing";
}

}  // namespace
}  // namespace wherry::test

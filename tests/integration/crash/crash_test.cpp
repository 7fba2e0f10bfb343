// The agent is killed at every step of creating, replacing and removing workloads, and at a hundred
// random moments. It must converge afterwards, leave nothing over, and never touch what was
// healthy.

#include <fstream>

#include "base/backoff.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class CrashTest : public SystemTest {
 protected:
  json pod(const std::string& name, const std::string& version) {
    json made = sleeper(name, false);
    made["spec"]["terminationGracePeriodSeconds"] = 1;
    made["spec"]["containers"][0]["env"] = {{{"name", "VERSION"}, {"value", version}}};
    made["spec"]["containers"][0]["ports"] = {{{"containerPort", 80}, {"hostPort", port_}}};
    made["spec"]["volumes"] = {{{"name", "scratch"}, {"emptyDir", json::object()}},
                               {{"name", "fast"}, {"emptyDir", {{"medium", "Memory"}}}}};
    made["spec"]["containers"][0]["volumeMounts"] = {
        {{"name", "scratch"}, {"mountPath", "/scratch"}},
        {{"name", "fast"}, {"mountPath", "/fast"}}};
    json first = {{"name", "first"}, {"image", kImage}, {"command", {"true"}}};
    json beside = {{"name", "beside"},
                   {"image", kImage},
                   {"command", made["spec"]["containers"][0]["command"]},
                   {"restartPolicy", "Always"},
                   {"readinessProbe", {{"exec", {{"command", {"true"}}}}, {"periodSeconds", 1}}},
                   {"lifecycle", {{"preStop", {{"exec", {{"command", {"true"}}}}}}}}};
    made["spec"]["initContainers"] = json::array({first, beside});
    made["spec"]["shareProcessNamespace"] = true;
    return made;
  }

  void start_steady() {
    publish(revision_, {sleeper("steady")});
    running("steady");
    steady_ = tasks();
    ASSERT_EQ(steady_.size(), 1u);
    clean_ = leftovers();
  }

  // The next document: the steady workload and `items`.
  void next(std::vector<json> items) {
    items.push_back(sleeper("steady"));
    publish(++revision_, items);
  }

  bool applied() {
    const json state = agent_->reported();
    return document_in(state).value("revision", int64_t{0}) == revision_ &&
           document_in(state).value("state", "") == "Applied";
  }

  void expect_steady_untouched() {
    const auto now = tasks();
    for (const auto& [id, pid] : steady_) {
      const auto found = now.find(id);
      ASSERT_TRUE(found != now.end()) << "the steady container is gone";
      EXPECT_EQ(found->second, pid) << "the steady container was restarted";
    }
  }

  void restart_plain() {
    agent_->kill();
    agent_->options().env.clear();
    agent_->start();
  }

  int64_t revision_ = 1;
  int port_ = free_port();
  std::map<std::string, int> steady_;
  Leftovers clean_;
};

TEST_F(CrashTest, KilledAtEveryStepItConvergesAndLeavesNothing) {
  start_steady();
  // First a life without harm, to learn every step there is.
  const std::string reached = files_ / "reached";
  agent_->kill();
  agent_->options().env = {{"WHERRY_FAILPOINT_LOG", reached}};
  agent_->start();
  const auto live = [&](int step) {
    if (step == 0) next({pod("victim", "1")});
    if (step == 1) next({pod("victim", "2")});
    if (step == 2) next({});
  };
  for (int step = 0; step < 3; ++step) {
    live(step);
    ASSERT_TRUE(wait_until([&] { return applied(); })) << agent_->reported().dump(1);
  }
  expect_back_to(clean_);
  std::vector<std::string> points;
  std::ifstream file(reached);
  for (std::string line; std::getline(file, line);) points.push_back(line);
  ASSERT_GE(points.size(), 15u) << "too few steps to break";

  for (const std::string& point : points) {
    SCOPED_TRACE("killed at " + point);
    restart_plain();
    agent_->kill();
    agent_->options().env = {{"WHERRY_FAILPOINTS", point + "=kill"}};
    agent_->spawn();
    bool died = false;
    for (int step = 0; step < 3; ++step) {
      live(step);
      // It dies on the way, or this step is done without passing the point.
      ASSERT_TRUE(wait_until([&] {
        died = died || !agent_->running();
        return died || applied();
      })) << agent_->reported().dump(1)
          << tail(agent_->log());
      if (died && !agent_->running()) restart_plain();
      ASSERT_TRUE(wait_until([&] { return applied(); }))
          << agent_->reported().dump(1) << tail(agent_->log());
    }
    if (!died) {  // what goes upstream does so a moment after the last step
      died = wait_until([&] { return !agent_->running(); });
      restart_plain();
      ASSERT_TRUE(wait_until([&] { return applied(); })) << tail(agent_->log());
    }
    EXPECT_TRUE(died) << "the point was not reached";
    expect_steady_untouched();
    expect_back_to(clean_);
    if (HasFailure()) return;
  }
}

TEST_F(CrashTest, KilledAHundredTimesAtRandomItConvergesAndLeavesNothing) {
  start_steady();
  for (int round = 0; round < 100; ++round) {
    const double choice = random_unit();
    if (choice < 0.4)
      next({pod("victim", std::to_string(round))});
    else if (choice < 0.7)
      next({pod("victim", "same"), sleeper("other")});
    else
      next({});
    // Anywhere in the some 300 ms that applying a document takes.
    const auto moment = std::chrono::microseconds(static_cast<int64_t>(random_unit() * 300'000));
    const auto until = std::chrono::steady_clock::now() + moment;
    (void)wait_until([&] { return std::chrono::steady_clock::now() >= until; });
    agent_->kill();
    agent_->start();
    if (round % 10 == 9) {
      ASSERT_TRUE(wait_until([&] { return applied(); }, std::chrono::seconds(60)))
          << "round " << round << agent_->reported().dump(1) << tail(agent_->log());
      expect_steady_untouched();
    }
    if (HasFailure()) return;
  }
  next({});
  ASSERT_TRUE(wait_until([&] { return applied(); }, std::chrono::seconds(60)));
  expect_steady_untouched();
  expect_back_to(clean_);
}

}  // namespace
}  // namespace wherry::test

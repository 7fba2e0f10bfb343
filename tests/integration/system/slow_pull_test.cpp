// One workload's slow download is no other's trouble.

#include <csignal>

#include <gmock/gmock.h>

#include "tests/support/registry.h"
#include "tests/support/system_fixture.h"
#include "tests/support/tcp_relay.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class SlowPull : public SystemTest {
 protected:
  // Images that come in so slowly that no test sees the end of it.
  void SetUp() override {
    SystemTest::SetUp();
    registry_.push(make_busybox_archive(files_ / "quick.tar", "registry.local/quick:1").path,
                   "quick:1");
    for (int i = 0; i < 4; ++i) {
      ImageOptions options;
      options.extra_layers = {
          20'000'000 + static_cast<uint64_t>(i)};  // another blob each: one would be fetched once
      const std::string name = "slow-" + std::to_string(i);
      registry_.push(
          make_busybox_archive(files_ / name + ".tar", "registry.local/" + name + ":1", options)
              .path,
          name + ":1");
      links_.push_back(std::make_unique<TcpRelay>(registry_.port()));
      links_.back()->slow_down(60'000);
    }
  }
  static json using_image(json pod, const std::string& image) {
    pod["spec"]["containers"][0]["image"] = image;
    return pod;
  }
  std::vector<json> slow() {
    std::vector<json> pods;
    for (size_t i = 0; i < links_.size(); ++i) {
      pods.push_back(using_image(
          sleeper("slow-" + std::to_string(i)),
          "127.0.0.1:" + std::to_string(links_[i]->port()) + "/slow-" + std::to_string(i) + ":1"));
    }
    return pods;
  }
  void all_trickle() {
    for (const auto& link : links_) {
      ASSERT_TRUE(wait_until([&] { return link->passed() > 100'000; }, std::chrono::minutes(3)));
    }
    for (size_t i = 0; i < links_.size(); ++i) {
      EXPECT_EQ(agent_->workload("slow-" + std::to_string(i)).value("phase", ""), "Pulling");
    }
  }

  Registry registry_;
  std::vector<std::unique_ptr<TcpRelay>> links_;
};

TEST_F(SlowPull, ACrashedWorkloadRestartsInItsUsualTime) {
  auto pods = slow();
  pods.push_back(sleeper("steady"));
  publish(1, pods);
  running("steady");
  ASSERT_TRUE(wait_until([&] { return links_[0]->passed() > 100'000; }));
  const int pid = pid_of("steady");
  ASSERT_GT(pid, 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  const json state = agent_->wait_reported([](const json& reported) {
    const json steady = workload_in(reported, "steady");
    return steady.is_object() && steady.value("phase", "") == "Running" &&
           steady["containers"][0].value("restarts", 0) == 1;
  });
  EXPECT_TRUE(in_phase(state, "steady", "Running")) << state.dump(1);
  EXPECT_TRUE(in_phase(state, "slow-0", "Pulling")) << "it would have taken minutes more";
}

// What a person reads upstream while it lasts, and how seldom the device says it.
TEST_F(SlowPull, HowFarItHasGotIsSaidWithoutChatter) {
  links_[0]->slow_down(600'000);  // half a minute for the whole
  publish(1, {slow()[0]});
  const auto percent = [](const json& reported) {
    const json slow = workload_in(reported, "slow-0");
    const std::string message = slow.is_object() ? slow.value("message", "") : "";
    const size_t sign = message.find(" % of ");
    if (sign == std::string::npos) return -1;
    return std::stoi(message.substr(message.find_last_not_of("0123456789", sign - 1) + 1));
  };
  const json first = wait_upstream([&](const json& reported) { return percent(reported) > 0; });
  EXPECT_TRUE(in_phase(first, "slow-0", "Pulling")) << first.dump(1);
  const json later =
      wait_upstream([&](const json& reported) { return percent(reported) >= percent(first) + 20; });
  EXPECT_LT(percent(later), 100) << later.dump(1);
  EXPECT_NE(workload_in(later, "slow-0").value("message", "").find("/s"), std::string::npos)
      << later.dump(1);
  const CommandResult shown = agent_->cli({"get", "slow-0"});
  EXPECT_NE(shown.out.find(" % of "), std::string::npos) << shown.out;
  size_t said = 0;
  for (const MqttMessage& message : fleet_->messages()) {
    said += message.topic.ends_with("/reported") ? 1 : 0;
  }
  EXPECT_LE(said, 20u) << "not with every piece that comes";
}

// Three downloads at once, and four that do not end: the fifth has its turn all the same.
TEST_F(SlowPull, AnotherImageIsNotStarvedAndWhatIsLaidReadyIsTaken) {
  auto pods = slow();
  publish(1, pods);
  all_trickle();
  pods.push_back(using_image(sleeper("quick"), registry_.host() + "/quick:1"));
  publish(2, pods);
  EXPECT_TRUE(agent_->wait_phase("quick", "Running", std::chrono::minutes(3)))
      << agent_->reported().dump(1);
  make_busybox_archive(agent_->preload_dir() + "/local.tar", "registry.local/local:1");
  containerd_->restart();
  json local = using_image(sleeper("local"), "registry.local/local:1");
  local["spec"]["containers"][0]["imagePullPolicy"] = "Never";
  pods.push_back(local);
  publish(3, pods);
  EXPECT_TRUE(agent_->wait_phase("local", "Running")) << agent_->workload("local").dump(1);
  EXPECT_EQ(agent_->workload("slow-0").value("phase", ""), "Pulling");
}

}  // namespace
}  // namespace wherry::test

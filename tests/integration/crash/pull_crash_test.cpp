// Pulls that are killed, cut off, slowed down or no longer wanted: agent, containerd and link. Each
// ends with the workload running, hardly a byte fetched twice, and nothing left that nobody needs.

#include <fstream>

#include <gmock/gmock.h>

#include "base/backoff.h"
#include "tests/support/registry.h"
#include "tests/support/system_fixture.h"
#include "tests/support/tcp_relay.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr int64_t kLayer = 20'000'000;
constexpr int kLayers = 4;

class PullCrash : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    ImageOptions options;
    options.extra_layers.assign(kLayers, kLayer);
    const auto archive = make_busybox_archive(files_ / "big.tar", "registry.local/big:1", options);
    registry_.push(archive.path, "big:1");
    size_ = kLayers * kLayer + 2'500'000;  // busybox, documents and heads
    chains_ = archive.diff_ids;
    clean_ = leftovers();
  }

  std::string ns() const { return agent_->options().containerd_namespace; }
  // By way of `relay`.
  static std::string name(const TcpRelay& relay) {
    return "127.0.0.1:" + std::to_string(relay.port()) + "/big:1";
  }
  json big(const std::string& image) {
    json pod = sleeper("big");
    pod["spec"]["terminationGracePeriodSeconds"] = 1;
    pod["spec"]["containers"][0]["image"] = image;
    return pod;
  }
  void want(const TcpRelay& relay) { publish(++revision_, {big(name(relay))}); }
  bool passes(const TcpRelay& relay, int64_t bytes) {
    return wait_until([&] { return relay.passed() >= bytes; });
  }
  void restart_plain() {
    agent_->kill();
    agent_->options().env.clear();
    agent_->start();
  }

  // The image came in whole, at its price, and all that is left is its workload.
  void expect_done(const TcpRelay& relay) {
    running("big");
    EXPECT_LE(static_cast<double>(relay.passed()), 1.05 * static_cast<double>(size_));
    expect_no_lease_or_ingest();
    EXPECT_THAT(containerd_->ctr(ns(), {"images", "check", "name==" + name(relay)}).out,
                testing::HasSubstr("complete ("));
    publish(++revision_, json::array());
    expect_back_to(clean_);  // also half-made snapshots
    (void)containerd_->ctr(ns(), {"images", "rm", "--sync", name(relay)});
  }
  void expect_no_lease_or_ingest() {
    std::string leases, active;
    EXPECT_TRUE(wait_until([&] {
      leases = containerd_->ctr(ns(), {"leases", "ls", "-q"}).out;
      active = containerd_->ctr(ns(), {"content", "active"}).out;
      return leases.empty() && active.find("sha256:") == std::string::npos;
    })) << leases
        << active;
  }
  std::string created(const std::string& chain) {
    const json info =
        json::parse(containerd_->ctr(ns(), {"snapshots", "info", chain}).out, nullptr, false);
    return info.is_object() ? info.value("Created", "") : "";
  }

  Registry registry_;
  int64_t size_ = 0;
  int64_t revision_ = 0;
  std::vector<std::string> chains_;  // diff ids; the first is also the first chain id
  Leftovers clean_;
};

TEST_F(PullCrash, TheAgentIsKilledAtEveryStepOfAPull) {
  const std::string reached = files_ / "reached";
  {
    TcpRelay relay(registry_.port());
    agent_->kill();
    agent_->options().env = {{"WHERRY_FAILPOINT_LOG", reached}};
    agent_->start();
    want(relay);
    expect_done(relay);
  }
  std::vector<std::string> points;
  std::ifstream file(reached);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("image.")) continue;
    points.push_back(line);
    if (line == "image.layer-commit" || line == "image.unpack") points.push_back(line + "@3");
  }
  ASSERT_GE(points.size(), 10u);
  for (const std::string& point : points) {
    SCOPED_TRACE("killed at " + point);
    const size_t at = point.find('@');
    TcpRelay relay(registry_.port());
    agent_->kill();
    agent_->options().env = {
        {"WHERRY_FAILPOINTS",
         point.substr(0, at) + "=kill" + (at == std::string::npos ? "" : point.substr(at))}};
    agent_->spawn();
    want(relay);
    ASSERT_TRUE(wait_until([&] { return !agent_->running(); })) << "the point was not reached";
    restart_plain();
    expect_done(relay);
    if (HasFailure()) return;
  }
}

TEST_F(PullCrash, TheAgentIsKilledAtAnyMoment) {
  for (int round = 0; round < 4; ++round) {
    TcpRelay relay(registry_.port());
    relay.slow_down(40'000'000);
    want(relay);
    const auto moment = static_cast<int64_t>(random_unit() * static_cast<double>(size_) * 0.95);
    SCOPED_TRACE("killed after " + std::to_string(moment) + " bytes");
    ASSERT_TRUE(passes(relay, moment));
    agent_->kill();
    agent_->start();
    expect_done(relay);
    if (HasFailure()) return;
  }
}

TEST_F(PullCrash, ContainerdIsKilledInTheMiddle) {
  TcpRelay relay(registry_.port());
  relay.slow_down(20'000'000);
  want(relay);
  ASSERT_TRUE(passes(relay, size_ / 2));
  containerd_->kill();
  containerd_->start();
  expect_done(relay);
}

TEST_F(PullCrash, TheLinkBreaksAgainAndAgain) {
  TcpRelay relay(registry_.port());
  relay.cut_each_after(kLayer / 3);
  want(relay);
  running("big");
  EXPECT_GE(relay.cuts(), 2 * kLayers);
  expect_done(relay);
}

TEST_F(PullCrash, DamageOnTheWayIsNoticedAndFetchedAgain) {
  TcpRelay relay(registry_.port());
  relay.damage(kLayer / 2, 1);
  want(relay);
  running("big");
  EXPECT_LE(relay.passed(), size_ + kLayer + kLayer / 2) << "only that layer comes again";
  expect_no_lease_or_ingest();
}

TEST_F(PullCrash, WhatIsUnpackedIsNotUnpackedAgain) {
  TcpRelay relay(registry_.port());
  agent_->kill();
  agent_->options().env = {{"WHERRY_FAILPOINTS", "image.unpack=kill@3"}};
  agent_->spawn();
  want(relay);
  ASSERT_TRUE(wait_until([&] { return !agent_->running(); }));
  const std::string before = created(chains_[0]);
  ASSERT_NE(before, "");
  const auto committed = [&] {
    std::istringstream lines(containerd_->ctr(ns(), {"snapshots", "ls"}).out);
    int count = 0;
    for (std::string line; std::getline(lines, line);) {
      count += line.starts_with("sha256:") && line.find("Committed") != std::string::npos ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(committed(), 2 + 1) << "one is of the image that is there all along";
  restart_plain();
  running("big");
  EXPECT_EQ(created(chains_[0]), before) << "made once";
  EXPECT_EQ(committed(), kLayers + 1);
  expect_done(relay);
}

TEST_F(PullCrash, AStoppedAgentKeepsWhatItHasAndAnUnwantedPullNothing) {
  TcpRelay relay(registry_.port());
  relay.slow_down(10'000'000);
  want(relay);
  ASSERT_TRUE(passes(relay, size_ / 3));
  agent_->restart();
  ASSERT_TRUE(passes(relay, size_ / 2));
  relay.slow_down(500'000);  // what follows may take its time
  EXPECT_NE(containerd_->ctr(ns(), {"leases", "ls", "-q"}).out, "");
  publish(++revision_, json::array());
  expect_no_lease_or_ingest();
  const int64_t then = relay.passed();
  EXPECT_LT(then, size_ * 3 / 4);
  // Dead agents' leases go too, where nobody wants their image any more.
  relay.slow_down(10'000'000);
  want(relay);
  ASSERT_TRUE(passes(relay, then + size_ / 4));
  agent_->kill();
  publish(++revision_, json::array());
  agent_->start();
  expect_no_lease_or_ingest();
}

}  // namespace
}  // namespace wherry::test

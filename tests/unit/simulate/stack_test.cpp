// The stack of a simulated device, and its lanes.

#include <gtest/gtest.h>

#include "agent/simulate/delayed_lanes.h"
#include "agent/simulate/simulated_stack.h"

namespace wherry::simulate {
namespace {

TEST(DelayedLanes, RunsJobsWhenTheirTimeHasComeInItsOrder) {
  FakeClock clock;
  DelayedLanes lanes(clock, [](Lane lane) {
    return lane == Lane::Pull ? Duration(std::chrono::seconds(2)) : Duration::zero();
  });
  std::string done;
  EXPECT_FALSE(lanes.wake_at());
  EXPECT_TRUE(lanes.post(Lane::Pull, [&] { done += "pull "; }));
  EXPECT_TRUE(lanes.post(Lane::Look, [&] { done += "look "; }));
  EXPECT_EQ(done, "") << "never from within post()";
  lanes.run_due();
  EXPECT_EQ(done, "look ");
  EXPECT_EQ(*lanes.wake_at() - clock.now(), std::chrono::seconds(2));
  clock.advance(std::chrono::seconds(2));
  lanes.run_due();
  EXPECT_EQ(done, "look pull ");
}

TEST(SimulatedImages, EveryGoodNameIsFoundUnlessPullsFail) {
  SimulatedImages images(false);
  EXPECT_FALSE(images.find("a:1"));
  EXPECT_TRUE(images.pull({"a:1"}, {}));
  EXPECT_TRUE(images.find("a:1"));
  EXPECT_EQ(images.pull({"a b"}, {}).error().reason(), "InvalidImageName");
  SimulatedImages failing(true);
  const auto refused = failing.pull({"a:1"}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "ErrImagePull");
}

TEST(SimulatedHealth, SaysOnceThatAContainerIsReady) {
  SimulatedHealth health;
  std::vector<runtime::ProbeNews> news;
  health.listen(
      {[&](runtime::ProbeNews one) { news.push_back(std::move(one)); }, [](runtime::HookDone) {}});
  auto container = std::make_shared<runtime::ContainerSpec>();
  container->name = "app";
  const std::vector<runtime::ProbeTarget> one{{"id1", "web", container, "10.0.0.1"}};
  health.watch(one);
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news[1].kind, runtime::ProbeNews::Kind::Ready);
  EXPECT_EQ(news[1].container, "app");
  health.watch(one);
  EXPECT_EQ(news.size(), 2U);
  health.watch({});
  health.watch(one);
  EXPECT_EQ(news.size(), 4U);
}

}  // namespace
}  // namespace wherry::simulate

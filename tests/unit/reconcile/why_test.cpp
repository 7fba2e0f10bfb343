// The chain of reasons: what is said of what, and nothing of what is as it should be.

#include "agent/reconcile/why.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace wherry::test {
namespace {

class WhyTest : public testing::Test {
 protected:
  WhyTest() {
    workload_.name = "web";
    workload_.source = "devices/d";
    workload_.phase = Phase::Running;
    workload_.ready = true;
    workload_.containers.push_back(container("app", "running", true));
    view_.conditions = {{"ContainerdReady", true, "", "", {}},
                        {"BrokerConnected", false, "Timeout", "the broker does not answer", {}},
                        {"CertificateValid", false, "CertificateExpired", "renew it", {}}};
    view_.desired.push_back({"devices/d", 7, "sha256:1", "Applied", {}, {}, {}});
  }
  static ContainerView container(const std::string& name, const std::string& state, bool ready) {
    ContainerView view;
    view.name = name;
    view.state = state;
    view.ready = ready;
    return view;
  }
  // "about|reason|message" of each.
  std::vector<std::string> chain() const { return lines(why(view_, workload_)); }
  static std::vector<std::string> lines(const std::vector<Because>& chain) {
    std::vector<std::string> lines;
    for (const Because& each : chain) {
      lines.push_back(each.about + "|" + each.reason + "|" + each.message);
    }
    return lines;
  }
  using Lines = std::vector<std::string>;

  StateView view_;
  WorkloadView workload_;
};

TEST_F(WhyTest, NothingIsSaidOfWhatIsAsItShouldBe) {
  EXPECT_EQ(chain(), Lines{}) << "the broker and certificates have no part in it";
  ContainerView done = container("first", "exited", false);
  done.exit_code = 0;
  workload_.containers.push_back(done);
  EXPECT_EQ(chain(), Lines{});
}

TEST_F(WhyTest, ContainersSayHowTheyEnded) {
  workload_.phase = Phase::BackOff;
  workload_.reason = "CrashLoopBackOff";
  ContainerView& app = workload_.containers[0];
  app = container("app", "waiting", false);
  app.reason = "CrashLoopBackOff";
  EXPECT_EQ(chain(), Lines{}) << "the workload has said that";
  app.exit_code = 3;
  app.restarts = 4;
  app.message = "no such table";
  EXPECT_EQ(chain(),
            Lines{"container app|CrashLoopBackOff|it ended with exit code 3 and was started again "
                  "4 times: no such table"});
  app = container("app", "running", false);
  EXPECT_EQ(chain(), Lines{"container app||it runs and is not ready yet"});
}

TEST_F(WhyTest, ImagesOwnersTheDeviceAndTheDocumentFollow) {
  workload_.pulls.push_back({"r/web:2", 512 << 10, 2 << 20, 0, 0});
  workload_.owner = "Deployment/web";
  ControllerView owner;
  owner.kind = "Deployment";
  owner.name = "web";
  owner.reason = "RollingUpdate";
  owner.message = "1 of 2 is new";
  view_.controllers.push_back(owner);
  owner.name = "other";
  view_.controllers.push_back(owner);
  view_.conditions[0] = {"ContainerdReady", false, "Unavailable", "it is not reachable", {}};
  view_.desired[0].rejected = DesiredView::Rejected{8, {{"spec.items[0]", "is wrong", 0, 0}}};
  view_.desired.push_back({"groups/g", 1, "", "", {{"x", "of another source", 0, 0}}, {}, {}});
  EXPECT_EQ(chain(), (Lines{"image r/web:2|Pulling|512.0 KiB of 2.0 MiB are here",
                            "Deployment/web|RollingUpdate|1 of 2 is new",
                            "device: not ContainerdReady|Unavailable|it is not reachable",
                            "document devices/d|Rejected|revision 8 was refused, so revision 7 "
                            "holds: spec.items[0]: is wrong"}));
}

TEST_F(WhyTest, OfWhatIsNotHereADocumentMayBeTheReason) {
  view_.desired[0].revision = 0;
  view_.desired[0].rejected = DesiredView::Rejected{0, {{"", "it is not signed", 0, 0}}};
  view_.desired[0].warnings = {{"", "workload \"arm\" is not for this device: arch", 0, 0}};
  EXPECT_EQ(lines(why_absent(view_, "arm")),
            (Lines{"document devices/d|LeftOut|workload \"arm\" is not for this device: arch",
                   "document devices/d|Rejected|the newest one was refused, so none holds: it is "
                   "not signed"}));
  EXPECT_EQ(why_absent(view_, "other").size(), 1U);
}

TEST_F(WhyTest, TheNextLookIsATimeOrNothing) {
  EXPECT_EQ(why_json(view_, workload_)["nextAttempt"], nullptr);
  workload_.next = WallTime(std::chrono::seconds(1'790'000'000));
  EXPECT_EQ(why_json(view_, workload_)["nextAttempt"], to_rfc3339(workload_.next));
}

}  // namespace
}  // namespace wherry::test

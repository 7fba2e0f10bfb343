// The client against a real containerd: what its header promises, one service after the other.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sys/wait.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/containerd/client.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/test_image.h"

namespace wherry::runtime {
namespace {

using test::ContainerdDaemon;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kNamespace = "wherry-client";

class ContainerdClient : public testing::Test {
 protected:
  static void SetUpTestSuite() { daemon_ = new ContainerdDaemon; }
  static void TearDownTestSuite() {
    delete daemon_;
    daemon_ = nullptr;
  }
  void SetUp() override {
    ASSERT_EQ(daemon_->pid() > 0, true);
    client_ = std::make_unique<Client>(ClientOptions{daemon_->socket(), kNamespace, "overlayfs"});
  }

  static ContainerRecord record(const std::string& id) {
    ContainerRecord record;
    record.id = id;
    record.labels = {{"wherry/pod", id}};
    record.image = "registry.local/none:1";
    record.runtime_name = "io.containerd.runc.v2";
    record.spec_json = R"({"ociVersion":"1.0.2"})";
    record.snapshotter = "overlayfs";
    record.snapshot_key = id;
    return record;
  }

  static ContainerdDaemon* daemon_;
  std::unique_ptr<Client> client_;
};

ContainerdDaemon* ContainerdClient::daemon_ = nullptr;

TEST_F(ContainerdClient, TellsTheVersion) {
  const auto version = client_->version();
  ASSERT_TRUE(version) << version.error().full();
  EXPECT_THAT(version->version, HasSubstr("."));
}

TEST_F(ContainerdClient, KeepsContainerRecords) {
  Containers& containers = client_->containers();
  ASSERT_TRUE(containers.create(record("one")));
  ASSERT_TRUE(containers.create(record("two")));
  const Status again = containers.create(record("one"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::AlreadyExists);

  const auto one = containers.get("one");
  ASSERT_TRUE(one) << one.error().full();
  EXPECT_EQ(one->labels, (StringMap{{"wherry/pod", "one"}}));
  EXPECT_EQ(one->spec_json, R"({"ociVersion":"1.0.2"})");
  EXPECT_EQ(one->snapshot_key, "one");
  EXPECT_GT(one->created_at, WallTime(std::chrono::hours(24)));

  const auto filtered = containers.list({R"(labels."wherry/pod"==two)"});
  ASSERT_TRUE(filtered) << filtered.error().full();
  ASSERT_THAT(*filtered, SizeIs(1));
  EXPECT_EQ(filtered->front().id, "two");
  EXPECT_THAT(*containers.list({R"(labels."wherry/pod")"}), SizeIs(2));

  EXPECT_TRUE(containers.remove("one"));
  EXPECT_TRUE(containers.remove("two"));
  EXPECT_TRUE(containers.remove("two")) << "removing what is not there is success";
  EXPECT_THAT(*containers.list({}), IsEmpty());
  EXPECT_EQ(containers.get("one").error().code(), Code::NotFound);
}

TEST_F(ContainerdClient, HasNoTasksOfWhatDoesNotRun) {
  ASSERT_TRUE(client_->containers().create(record("idle")));
  EXPECT_THAT(*client_->tasks().list(), IsEmpty());
  EXPECT_EQ(client_->tasks().get("idle").error().code(), Code::NotFound);
  EXPECT_EQ(client_->tasks().kill("idle", SIGTERM, false).error().code(), Code::NotFound);
  EXPECT_EQ(client_->tasks().wait("idle", std::chrono::seconds(5)).error().code(), Code::NotFound);
  EXPECT_TRUE(client_->tasks().remove("idle"));
  ASSERT_TRUE(client_->containers().remove("idle"));
}

TEST_F(ContainerdClient, MakesAndRemovesSnapshots) {
  Snapshots& snapshots = client_->snapshots();
  // Or the collector may take them between two lines of this test.
  const SystemClock clock;
  ASSERT_TRUE(client_->leases().create("hold", std::chrono::hours(1), clock));
  const auto mounts = snapshots.prepare("draft", "", {{"wherry/pod", "web"}}, "hold");
  ASSERT_TRUE(mounts) << mounts.error().full();
  ASSERT_THAT(*mounts, SizeIs(1));
  EXPECT_EQ(snapshots.prepare("draft", "", {}).error().code(), Code::AlreadyExists);
  EXPECT_EQ(snapshots.prepare("orphan", "no-such-parent", {}).error().code(), Code::NotFound);
  ASSERT_TRUE(snapshots.mounts("draft"));
  ASSERT_TRUE(snapshots.commit("layer", "draft", "hold"));
  const auto layer = snapshots.stat("layer");
  ASSERT_TRUE(layer) << layer.error().full();
  EXPECT_TRUE(layer->committed);
  const auto upper = snapshots.prepare("upper", "layer", {{"wherry/pod", "web"}}, "hold");
  ASSERT_TRUE(upper) << upper.error().full();
  const auto ours = snapshots.list({R"(labels."wherry/pod"==web)"});
  ASSERT_TRUE(ours) << ours.error().full();
  ASSERT_THAT(*ours, SizeIs(1));
  EXPECT_EQ(ours->front().parent, "layer");
  EXPECT_TRUE(snapshots.remove("upper"));
  EXPECT_TRUE(snapshots.remove("layer"));
  EXPECT_TRUE(snapshots.remove("layer"));
  EXPECT_EQ(snapshots.stat("layer").error().code(), Code::NotFound);
  ASSERT_TRUE(client_->leases().remove("hold"));
}

// What a containerd leaves that is killed between the directory's rename and its own commit.
TEST_F(ContainerdClient, MakesASnapshotWhereAnOrphansDirectoryIsInItsWay) {
  Snapshots& snapshots = client_->snapshots();
  const SystemClock clock;
  ASSERT_TRUE(client_->leases().create("hold", std::chrono::hours(1), clock));
  ASSERT_TRUE(snapshots.prepare("before", "", {}, "hold"));
  const std::string root = daemon_->root() + "/io.containerd.snapshotter.v1.overlayfs/snapshots/";
  int last = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    last = std::max(last, std::atoi(entry.path().filename().c_str()));
  }
  for (const char* key : {"active", "view"}) {
    std::filesystem::create_directories(root + std::to_string(++last) + "/fs/left");
    const auto mounts = std::string(key) == "view" ? snapshots.view(key, "", "hold", nullptr)
                                                   : snapshots.prepare(key, "", {}, "hold");
    EXPECT_TRUE(mounts) << mounts.error().full();
    EXPECT_FALSE(std::filesystem::exists(root + std::to_string(last) + "/fs/left"));
  }
  for (const char* key : {"before", "active", "view"}) EXPECT_TRUE(snapshots.remove(key));
  ASSERT_TRUE(client_->leases().remove("hold"));
}

TEST_F(ContainerdClient, KeepsLeases) {
  const SystemClock clock;
  ASSERT_TRUE(client_->leases().create("pull-1", std::chrono::hours(1), clock));
  EXPECT_EQ(client_->leases().create("pull-1", std::chrono::hours(1), clock).error().code(),
            Code::AlreadyExists);
  EXPECT_EQ(*client_->leases().list(), std::vector<std::string>{"pull-1"});
  EXPECT_TRUE(client_->leases().remove("pull-1"));
  EXPECT_TRUE(client_->leases().remove("pull-1"));
  EXPECT_THAT(*client_->leases().list(), IsEmpty());
}

TEST_F(ContainerdClient, DoesNothingOnceCancelled) {
  CancelToken cancel;
  cancel.cancel();
  EXPECT_EQ(client_->containers().create(record("never"), &cancel).error().code(), Code::Cancelled);
  EXPECT_THAT(*client_->containers().list({}), IsEmpty());
}

TEST_F(ContainerdClient, FailsFastWhileTheDaemonIsAwayAndWorksAtOnceWhenItIsBack) {
  ASSERT_TRUE(client_->version());
  for (int round = 0; round < 2; ++round) {
    round == 0 ? daemon_->stop() : daemon_->kill();
    // Long enough for gRPC to have fallen into its reconnect backoff, which a call that waits would
    // sit out until its deadline.
    for (int call = 0; call < 20; ++call) {
      const auto away = client_->version();
      ASSERT_FALSE(away);
      EXPECT_EQ(away.error().code(), Code::Unavailable) << away.error().full();
    }
    daemon_->start();
    const auto back = client_->version();
    EXPECT_TRUE(back) << "the first call after its return: " << back.error().full();
  }
}

TEST_F(ContainerdClient, GivesUpOnADaemonThatHangs) {
  ASSERT_TRUE(client_->containers().create(record("stuck")));
  ::kill(daemon_->pid(), SIGSTOP);
  siginfo_t stopped{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(daemon_->pid()), &stopped, WSTOPPED | WNOWAIT), 0);
  const auto waited = client_->tasks().wait("stuck", std::chrono::milliseconds(200));
  CancelToken cancel;
  std::thread canceller([&] { cancel.cancel(); });
  const Status cancelled = client_->containers().create(record("other"), &cancel);
  canceller.join();
  ::kill(daemon_->pid(), SIGCONT);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code(), Code::DeadlineExceeded) << waited.error().full();
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), Code::Cancelled) << cancelled.error().full();
  EXPECT_TRUE(client_->containers().remove("stuck"));
  EXPECT_TRUE(client_->containers().remove("other"));
}

TEST(ContainerdClientAlone, SaysWhatToDoWhenNobodyListens) {
  Client client({"/nonexistent/containerd.sock", "wherry", "overlayfs"});
  // The first failure is gRPC's own, later ones come from the look at the socket.
  for (int call = 0; call < 5; ++call) {
    const auto version = client.version();
    ASSERT_FALSE(version);
    EXPECT_EQ(version.error().code(), Code::Unavailable);
    EXPECT_THAT(version.error().full(), HasSubstr("/nonexistent/containerd.sock"));
  }
}

}  // namespace
}  // namespace wherry::runtime

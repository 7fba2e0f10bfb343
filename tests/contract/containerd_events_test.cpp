// The event stream on a real containerd that comes and goes.

#include <mutex>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/containerd/event_stream.h"
#include "tests/support/containerd_daemon.h"

namespace wherry::runtime {
namespace {

using Kind = DaemonEvent::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

class Recorder {
 public:
  EventStream::Sink sink() {
    return [this](const DaemonEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    };
  }
  std::vector<Kind> kinds() {
    const std::lock_guard lock(mutex_);
    std::vector<Kind> kinds;
    for (const DaemonEvent& event : events_) kinds.push_back(event.kind);
    return kinds;
  }
  bool wait_for(size_t count) {
    return test::wait_until([&] { return kinds().size() >= count; });
  }

 private:
  std::mutex mutex_;
  std::vector<DaemonEvent> events_;
};

constexpr const char* kNamespace = "wherry-events";

TEST(ContainerdEvents, SaysDisconnectedFirstWhereNobodyListens) {
  Recorder recorder;
  Client client({"/nonexistent/containerd.sock", kNamespace, "overlayfs"});
  const EventStream stream(client, recorder.sink());
  ASSERT_TRUE(recorder.wait_for(1));
  EXPECT_THAT(recorder.kinds(), ElementsAre(Kind::Disconnected));
}

TEST(ContainerdEvents, FollowsTheDaemonThroughStopsAndKills) {
  test::ContainerdDaemon daemon;
  Recorder recorder;
  Client client({daemon.socket(), kNamespace, "overlayfs"});
  const EventStream stream(client, recorder.sink());
  ASSERT_TRUE(recorder.wait_for(1));
  daemon.stop();
  ASSERT_TRUE(recorder.wait_for(2));
  daemon.start();
  ASSERT_TRUE(recorder.wait_for(3));
  daemon.kill();
  ASSERT_TRUE(recorder.wait_for(4));
  daemon.start();
  ASSERT_TRUE(recorder.wait_for(5));
  EXPECT_THAT(recorder.kinds(), ElementsAre(Kind::Connected, Kind::Disconnected, Kind::Connected,
                                            Kind::Disconnected, Kind::Connected));
}

TEST(ContainerdEvents, HearsOfImagesOfItsOwnNamespaceOnly) {
  test::ContainerdDaemon daemon;
  Recorder recorder;
  Client client({daemon.socket(), kNamespace, "overlayfs"});
  Client other({daemon.socket(), "somebody-else", "overlayfs"});
  const EventStream stream(client, recorder.sink());
  ASSERT_TRUE(recorder.wait_for(1));
  const ImageRecord image{
      "registry.local/a:1",
      {"application/vnd.oci.image.manifest.v1+json", "sha256:" + std::string(64, 'a'), 10},
      {},
      {},
      {}};
  ASSERT_TRUE(other.images().put(image, ""));
  const Status put = client.images().put(image, "");
  ASSERT_TRUE(put) << put.error().full();
  ASSERT_TRUE(recorder.wait_for(2));
  ASSERT_TRUE(client.images().remove(image.name));
  ASSERT_TRUE(recorder.wait_for(3));
  EXPECT_THAT(recorder.kinds(),
              ElementsAre(Kind::Connected, Kind::ImagesChanged, Kind::ImagesChanged));
}

}  // namespace
}  // namespace wherry::runtime

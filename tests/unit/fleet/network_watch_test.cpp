// In a network namespace of its own, as root: links come and go as they do on a device.

#include "agent/fleet/network_watch.h"

#include <cstdlib>
#include <functional>
#include <poll.h>
#include <sched.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace wherry {
namespace {

class NetworkWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
  // The namespace is that of a thread, which ends with the test.
  static void in_namespace(const std::function<void()>& test) {
    std::thread([&] {
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      test();
    }).join();
  }
  static void ip(const std::string& words) {
    ASSERT_EQ(system(("ip " + words).c_str()), 0) << words;
  }
  // Netlink tells before the command that did it returns.
  static bool tells(NetworkWatch& watch) {
    pollfd fd{watch.fd(), POLLIN, 0};
    poll(&fd, 1, 0);
    return watch.changed();
  }
};

TEST_F(NetworkWatchTest, ALinkThatGetsItsCarrier) {
  in_namespace([] {
    ip("link add eth7 type ifb");
    NetworkWatch watch;
    ASSERT_GE(watch.fd(), 0);
    EXPECT_FALSE(tells(watch)) << "what there was";
    ip("link set eth7 up");
    EXPECT_TRUE(tells(watch));
    EXPECT_FALSE(tells(watch));
    ip("link set eth7 mtu 1400");
    EXPECT_FALSE(tells(watch)) << "it had it before";
    ip("link set eth7 down");
    EXPECT_FALSE(tells(watch));
    ip("link set eth7 up");
    EXPECT_TRUE(tells(watch));
  });
}

TEST_F(NetworkWatchTest, ALinkThatRanBeforeIsNoNews) {
  in_namespace([] {
    ip("link add eth7 type ifb");
    ip("link set eth7 up");
    NetworkWatch watch;
    EXPECT_FALSE(tells(watch));
    ip("link set eth7 mtu 1400");
    EXPECT_FALSE(tells(watch));
  });
}

TEST_F(NetworkWatchTest, ADefaultRoute) {
  in_namespace([] {
    ip("link add eth7 type ifb");
    ip("link set eth7 up");
    ip("address add 10.7.0.1/24 dev eth7");
    NetworkWatch watch;
    EXPECT_FALSE(tells(watch));
    ip("route add 10.8.0.0/16 via 10.7.0.2");
    EXPECT_FALSE(tells(watch)) << "no way out";
    ip("route add default via 10.7.0.2");
    EXPECT_TRUE(tells(watch));
    ip("route del default");
    EXPECT_FALSE(tells(watch));
  });
}

TEST_F(NetworkWatchTest, NetworksOfContainersDoNotCount) {
  in_namespace([] {
    NetworkWatch watch;
    ip("link set lo up");
    ip("link add wherry9 type bridge");
    ip("link add veth0 type veth peer name veth1");
    ip("link set veth0 master wherry9");
    ip("link set wherry9 up");
    ip("link set veth0 up");
    ip("link set veth1 up");
    EXPECT_FALSE(tells(watch));
  });
}

}  // namespace
}  // namespace wherry

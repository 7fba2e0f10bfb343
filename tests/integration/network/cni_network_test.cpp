// Pods wired by the distribution's CNI plugins, in a network namespace of the test's own.

#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <set>
#include <string>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/run_process.h"
#include "runtime/network/bridge.h"
#include "runtime/network/netns.h"
#include "runtime/network/network.h"
#include "runtime/network/pod_record.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr const char* kBinDir = "/usr/lib/cni";
constexpr const char* kBridge = "wherrytest0";

std::string run(const std::string& program, const std::vector<std::string>& args) {
  ProcessCall call;
  call.program = program;
  call.args = args;
  const auto done = run_process(call, {});
  return done ? done->output + done->errors : done.error().full();
}

// Everything a Pod could leave on the host: filter rules without counters and comments, devices.
std::set<std::string> host_state() {
  std::set<std::string> state;
  for (const char* filter : {"iptables-save", "ip6tables-save"}) {
    const std::string saved = run(filter, {"-t", "nat"});
    for (size_t at = 0; at < saved.size();) {
      const size_t end = std::min(saved.find('\n', at), saved.size());
      const std::string line = saved.substr(at, end - at);
      if (line.starts_with("-A")) state.insert(std::string(filter) + " " + line);
      if (line.starts_with(":"))
        state.insert(std::string(filter) + " " + line.substr(0, line.find(' ')));
      at = end + 1;
    }
  }
  for (const auto& device : nlohmann::json::parse(run("ip", {"-j", "link"}))) {
    state.insert("device " + device["ifname"].get<std::string>());
  }
  return state;
}

// Runs `action` inside a namespace, on a thread of its own.
template <typename Action>
void inside(const std::string& netns, Action action) {
  std::thread([&] {
    const Fd target(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(setns(target.get(), CLONE_NEWNET), 0) << strerror(errno);
    action();
  }).join();
}

sockaddr_in address_of(const std::string& ip, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return address;
}

Fd listen_on(uint16_t port) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = address_of("0.0.0.0", port);
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener.get(), 8), 0);
  return listener;
}

bool can_connect(const std::string& ip, uint16_t port) {
  const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in address = address_of(ip, port);
  static_cast<void>(
      !connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  pollfd wait = {client.get(), POLLOUT, 0};
  if (poll(&wait, 1, 5000) != 1) return false;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0;
}

class CniNetworkTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Whatever goes wrong here is gone with this process.
    ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << strerror(errno);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    run("ip", {"link", "set", "lo", "up"});
    run("ip", {"link", "add", "uplink", "type", "dummy"});
    run("ip", {"addr", "add", "192.168.77.1/24", "dev", "uplink"});
    run("ip", {"link", "set", "uplink", "up"});
  }

  CniNetworkTest() {
    options = {dir / "run", kBinDir, dir / "cni", "10.213.0.0/24", kBridge};
    restart();
    before = host_state();
  }
  ~CniNetworkTest() override {
    failpoints_arm("");
    const auto pods = network->list().value_or(std::vector<std::string>());
    for (const std::string& pod : pods) {
      EXPECT_TRUE(network->teardown(pod));
    }
  }

  // As a new agent finds what the last one left.
  void restart() { network = make_cni_network(options); }

  static PodSpec pod_of(const std::string& name) {
    PodSpec pod;
    pod.name = name;
    return pod;
  }
  static PodSpec with_port(PodSpec pod, uint16_t host_port, uint16_t container_port) {
    PortMapping port;
    port.host_port = host_port;
    port.container_port = container_port;
    pod.ports.push_back(port);
    return pod;
  }
  PodNetworkStatus set_up(const PodSpec& pod) {
    const auto made = network->setup(pod, {});
    EXPECT_TRUE(made) << made.error().full();
    return made.value_or(PodNetworkStatus());
  }
  void expect_nothing_left() {
    EXPECT_THAT(*network->list(), IsEmpty());
    EXPECT_THAT(host_state(), testing::ContainerEq(before));
    for (const char* left : {"ipam", "network.json"}) {
      EXPECT_NE(access((options.run_dir + "/" + left).c_str(), F_OK), 0) << left;
    }
    EXPECT_EQ(run("find", {options.run_dir, "-type", "f"}), "");
  }

  test::TempDir dir;
  NetworkOptions options;
  std::unique_ptr<PodNetwork> network;
  std::set<std::string> before;
};

TEST_F(CniNetworkTest, GivesAnAddressAndTakesItBack) {
  const PodNetworkStatus status = set_up(pod_of("web"));
  EXPECT_EQ(status.pod, "web");
  EXPECT_THAT(status.ip, StartsWith("10.213.0."));
  EXPECT_TRUE(is_netns(status.netns_path));
  EXPECT_TRUE(device_exists(kBridge));
  EXPECT_THAT(*network->list(), ElementsAre("web"));
  inside(status.netns_path, [&] {
    const std::string links = run("ip", {"-4", "-o", "addr"});
    EXPECT_THAT(links, HasSubstr("inet " + status.ip + "/24"));
    EXPECT_THAT(links, HasSubstr("inet 127.0.0.1/8"));
    EXPECT_THAT(run("ip", {"route"}), HasSubstr("default via 10.213.0.1"));
    EXPECT_THAT(run("ip", {"-o", "link", "show", "lo"}), HasSubstr("UP"));
  });
  ASSERT_TRUE(network->teardown("web"));
  ASSERT_TRUE(network->teardown("web"));
  EXPECT_FALSE(is_netns(status.netns_path));
  expect_nothing_left();
}

TEST_F(CniNetworkTest, WritesAListOnlyWhereThereIsNone) {
  set_up(pod_of("web"));
  const auto list = read_file(options.cni_conf_dir + "/87-wherrytest0.conflist");
  ASSERT_TRUE(list);
  EXPECT_THAT(*list, HasSubstr("10.213.0.0/24"));
  ASSERT_TRUE(network->teardown("web"));

  unlink((options.cni_conf_dir + "/87-wherrytest0.conflist").c_str());
  test::write_text(options.cni_conf_dir + "/10-own.conf",
                   R"({"cniVersion":"1.0.0","name":"own","type":"bridge","bridge":"owntest0",
                       "isGateway":true,"ipam":{"type":"host-local","subnet":"10.214.0.0/24",
                       "dataDir":")" +
                       options.run_dir + R"(/ipam"}})");
  EXPECT_THAT(set_up(pod_of("web")).ip, StartsWith("10.214.0."));
  EXPECT_NE(access((options.cni_conf_dir + "/87-wherrytest0.conflist").c_str(), F_OK), 0);
  const auto refused = network->setup(with_port(pod_of("ports"), 18080, 80), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "NetworkSetupFailed");
  EXPECT_THAT(refused.error().full(), HasSubstr("no plugin for host ports"));
  ASSERT_TRUE(network->teardown("web"));
  expect_nothing_left();
}

TEST_F(CniNetworkTest, PodsAreReachableAndHostPortsLeadToThem) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  const PodNetworkStatus web = set_up(pod);
  Fd listener;
  inside(web.netns_path, [&] { listener = listen_on(80); });
  EXPECT_TRUE(can_connect(web.ip, 80));
  EXPECT_TRUE(can_connect("192.168.77.1", 18080));
  EXPECT_TRUE(can_connect("127.0.0.1", 18080));
  const PodNetworkStatus other = set_up(pod_of("other"));
  inside(other.netns_path, [&] { EXPECT_TRUE(can_connect(web.ip, 80)); });
  ASSERT_TRUE(network->teardown("web"));
  ASSERT_TRUE(network->teardown("other"));
  expect_nothing_left();
}

TEST_F(CniNetworkTest, SettingUpAgainChangesNothing) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  const PodNetworkStatus first = set_up(pod);
  const auto rules = host_state();
  restart();
  const PodNetworkStatus second = set_up(pod);
  EXPECT_EQ(first.ip, second.ip);
  EXPECT_EQ(host_state(), rules);
  const auto status = network->status("web");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->ip, first.ip);
  EXPECT_EQ(network->status("nobody").error().code(), Code::NotFound);
}

TEST_F(CniNetworkTest, ManyAtOnceAndNothingLeft) {
  std::vector<std::future<void>> jobs;
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(std::async(std::launch::async, [this, i] {
      const PodSpec pod =
          with_port(pod_of("pod-" + std::to_string(i)), static_cast<uint16_t>(18100 + i), 80);
      set_up(pod);
      EXPECT_TRUE(network->teardown(pod.name));
      set_up(pod);
    }));
  }
  jobs.clear();
  std::set<std::string> addresses;
  const std::vector<std::string> pods = network->list().value();
  for (const std::string& pod : pods) addresses.insert(network->status(pod)->ip);
  EXPECT_EQ(addresses.size(), 6U);
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(std::async(std::launch::async, [this, i] {
      EXPECT_TRUE(network->teardown("pod-" + std::to_string(i)));
    }));
  }
  jobs.clear();
  expect_nothing_left();
}

// portmap looks for the chains that all Pods share before it makes them; between the two another
// Pod, or another program, may have made them.
TEST_F(CniNetworkTest, MeetingAnotherAtTheSharedChainsIsNoFailure) {
  namespace fs = std::filesystem;
  options.cni_bin_dir = dir / "bin";
  fs::create_directory(options.cni_bin_dir);
  for (const char* plugin : {"bridge", "host-local"}) {
    fs::create_symlink(std::string(kBinDir) + "/" + plugin, options.cni_bin_dir + "/" + plugin);
  }
  const std::string portmap = options.cni_bin_dir + "/portmap";
  test::write_text(
      portmap, std::string("#!/bin/sh\n"
                           "if [ \"$CNI_COMMAND\" = ADD ]; then\n"
                           "  echo . >>\"$0.added\"\n"
                           "  if [ \"$(wc -l <\"$0.added\")\" -le \"$(cat \"$0.meets\")\" ]; "
                           "then\n"
                           "    echo '{\"code\": 999, \"msg\": \"exit status 4: iptables v1.8.9 "
                           "(nf_tables):  CHAIN_USER_ADD failed (File exists): chain "
                           "CNI-HOSTPORT-MASQ\"}'\n"
                           "    exit 1\n"
                           "  fi\n"
                           "fi\n"
                           "exec ") +
                   kBinDir + "/portmap\n");
  fs::permissions(portmap, fs::perms::owner_all);
  restart();
  const auto met = [&](const char* times) {
    fs::remove(portmap + ".added");
    test::write_text(portmap + ".meets", times);
    return network->setup(with_port(pod_of("web"), 18080, 80), {});
  };
  for (const char* times : {"1", "3"}) {
    const auto made = met(times);
    EXPECT_TRUE(made) << made.error().full();
    EXPECT_TRUE(network->teardown("web"));
    expect_nothing_left();
  }
  // Not for ever: a chain that is really in the way is somebody's to remove.
  const auto refused = met("1000");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "NetworkSetupFailed");
  EXPECT_THAT(refused.error().full(), HasSubstr("CNI-HOSTPORT-MASQ"));
  expect_nothing_left();
}

TEST_F(CniNetworkTest, APortSomebodyListensOnIsAConflict) {
  const Fd listener = listen_on(18081);
  const auto refused = network->setup(with_port(pod_of("web"), 18081, 80), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "HostPortConflict");
  EXPECT_THAT(refused.error().full(), HasSubstr("18081"));
  expect_nothing_left();
}

TEST_F(CniNetworkTest, LeavesWhatWasThereBeforeIt) {
  run("ip", {"link", "add", kBridge, "type", "bridge"});
  run("iptables", {"-t", "nat", "-N", "CNI-HOSTPORT-DNAT"});
  run("iptables", {"-t", "nat", "-N", "SOMEBODYS"});
  before = host_state();
  set_up(with_port(pod_of("web"), 18080, 80));
  ASSERT_TRUE(network->teardown("web"));
  EXPECT_TRUE(device_exists(kBridge));
  const std::string saved = run("iptables-save", {"-t", "nat"});
  EXPECT_THAT(saved, HasSubstr(":CNI-HOSTPORT-DNAT"));
  EXPECT_THAT(saved, HasSubstr(":SOMEBODYS"));
  EXPECT_THAT(saved, Not(HasSubstr("web-")));
  run("ip", {"link", "del", kBridge});
  run("iptables", {"-t", "nat", "-F"});
  run("iptables", {"-t", "nat", "-X"});
}

TEST_F(CniNetworkTest, LeavesSharedChainsThatSomebodyElseUsesNow) {
  set_up(with_port(pod_of("web"), 18080, 80));
  run("iptables",
      {"-t", "nat", "-A", "CNI-HOSTPORT-DNAT", "-p", "tcp", "--dport", "9", "-j", "ACCEPT"});
  ASSERT_TRUE(network->teardown("web"));
  const std::string saved = run("iptables-save", {"-t", "nat"});
  EXPECT_THAT(saved, HasSubstr("--dport 9 -j ACCEPT"));
  EXPECT_THAT(saved, HasSubstr("-j CNI-HOSTPORT-DNAT"));
  EXPECT_THAT(saved, Not(HasSubstr("web-")));
  run("iptables", {"-t", "nat", "-F"});
  run("iptables", {"-t", "nat", "-X"});
}

TEST_F(CniNetworkTest, FailuresLeaveNothing) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  for (const char* step :
       {"network.setup.recorded", "network.setup.netns-created", "network.setup.added-bridge",
        "network.setup.added-portmap", "network.setup.complete"}) {
    failpoints_arm(std::string(step) + "=error");
    const auto refused = network->setup(pod, {});
    ASSERT_FALSE(refused) << step;
    EXPECT_EQ(refused.error().reason(), "NetworkSetupFailed");
    expect_nothing_left();
  }
}

TEST_F(CniNetworkTest, TearingDownContinuesAfterAnyFailure) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  for (const char* step : {"network.teardown.deleted-portmap", "network.teardown.deleted-bridge",
                           "network.teardown.detached", "network.teardown.netns-removed",
                           "network.teardown.host-restored", "network.teardown.forgotten"}) {
    set_up(pod);
    failpoints_arm(std::string(step) + "=error");
    EXPECT_FALSE(network->teardown("web")) << step;
    failpoints_arm("");
    restart();
    EXPECT_TRUE(network->teardown("web")) << step;
    expect_nothing_left();
  }
}

// --- killed at every step, and at moments in between

class CniNetworkKilled : public CniNetworkTest {
 protected:
  // In a child that dies: true when it was killed rather than having ended.
  template <typename Action>
  static bool dies(Action action) {
    const pid_t child = fork();
    if (child == 0) {
      action();
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }
  void recover(const PodSpec& pod) {
    restart();
    const PodNetworkStatus again = set_up(pod);
    EXPECT_THAT(again.ip, StartsWith("10.213.0."));
    EXPECT_TRUE(network->teardown(pod.name));
    expect_nothing_left();
  }
};

TEST_F(CniNetworkKilled, AtEveryStepOfSetup) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  for (const char* step :
       {"network.setup.recorded", "network.setup.netns-created", "network.setup.added-bridge",
        "network.setup.added-portmap", "network.setup.complete"}) {
    EXPECT_TRUE(dies([&] {
      failpoints_arm(std::string(step) + "=kill");
      static_cast<void>(network->setup(pod, {}));
    })) << step;
    restart();
    EXPECT_THAT(*network->list(), ElementsAre("web")) << step;
    EXPECT_TRUE(network->teardown("web")) << step;
    expect_nothing_left();
    EXPECT_TRUE(dies([&] {
      failpoints_arm(std::string(step) + "=kill");
      static_cast<void>(network->setup(pod, {}));
    })) << step;
    recover(pod);
  }
}

TEST_F(CniNetworkKilled, AtEveryStepOfTeardown) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  for (const char* step : {"network.teardown.deleted-portmap", "network.teardown.deleted-bridge",
                           "network.teardown.detached", "network.teardown.netns-removed",
                           "network.teardown.host-restored", "network.teardown.forgotten"}) {
    set_up(pod);
    EXPECT_TRUE(dies([&] {
      failpoints_arm(std::string(step) + "=kill");
      static_cast<void>(network->teardown("web"));
    })) << step;
    recover(pod);
  }
}

// The plugin of a killed agent works on for a while: what it makes must be found all the same.
TEST_F(CniNetworkKilled, InTheMiddleOfAPlugin) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  for (int milliseconds = 1; milliseconds < 150; milliseconds += 12) {
    const pid_t child = fork();
    if (child == 0) {
      static_cast<void>(network->setup(pod, {}));
      static_cast<void>(network->teardown("web"));
      _exit(0);
    }
    poll(nullptr, 0, milliseconds);  // any moment will do
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    recover(pod);
  }
}

TEST_F(CniNetworkKilled, AfterARebootOnlyFilesAreLeft) {
  const PodSpec pod = with_port(pod_of("web"), 18080, 80);
  const PodNetworkStatus status = set_up(pod);
  ASSERT_EQ(umount2(status.netns_path.c_str(), MNT_DETACH), 0);
  restart();
  EXPECT_EQ(network->status("web").error().code(), Code::NotFound);
  EXPECT_THAT(*network->list(), ElementsAre("web"));
  recover(pod);
}

TEST_F(CniNetworkKilled, ADamagedRecordIsCleanedUpAllTheSame) {
  set_up(pod_of("web"));
  test::write_text(options.run_dir + "/cni/web.json", "{\"contai");
  recover(pod_of("web"));
}

}  // namespace
}  // namespace wherry::runtime

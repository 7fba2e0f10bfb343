// Data of workloads, from a real container with nothing but curl to the fleet's side.

#include <set>

#include "base/files.h"
#include "base/text.h"
#include "tests/support/batch_receiver.h"
#include "tests/support/system_fixture.h"
#include "tests/support/tcp_relay.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr const char* kCurlImage = "registry.local/curl:1";

// The machine's curl with every library that it loads.
std::map<std::string, std::string> curl_files() {
  std::map<std::string, std::string> files{{"/bin/curl", *read_file("/usr/bin/curl", 64 << 20)}};
  const CommandResult libraries = run_command({"ldd", "/usr/bin/curl"});
  for (const std::string& line : split(libraries.out, '\n')) {
    const size_t begin = line.find('/');
    if (begin == std::string::npos) continue;
    const std::string path = line.substr(begin, line.find(' ', begin) - begin);
    files[path] = *read_file(path, 64 << 20);
  }
  return files;
}

class DataTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    ImageOptions image;
    image.files = curl_files();
    import_image(kCurlImage, image);
  }
  void configure(WherryOptions& options) override {
    options.sets = {"mqtt.reconnect={min: 100ms, max: 500ms}"};
    link_ = std::make_unique<TcpRelay>(broker_->port());
    options.brokers = {"mqtt://127.0.0.1:" + std::to_string(link_->port())};
  }
  json producer(const std::string& name, const std::string& script) {
    json pod = simple_pod(name, kCurlImage, {"/bin/sh", "-c", kAsk + script + "\nsleep 3600"});
    pod["metadata"]["annotations"]["wherry/data-api"] = "true";
    pod["spec"]["terminationGracePeriodSeconds"] = 1;
    return pod;
  }
  void take() { receiver_.take_all(*fleet_, "wherry/v1/devices/dev-1"); }
  std::vector<int> values(const std::string& stream) {
    std::vector<int> all;
    for (const auto& [number, record] : receiver_.only(stream).records) {
      all.push_back(record.value("n", -1));
    }
    return all;
  }

  static constexpr const char* kAsk =
      "ask() { curl -sf --unix-socket \"$WHERRY_DATA_SOCKET\" \"$@\"; }\n";
  std::unique_ptr<TcpRelay> link_;
  BatchReceiver receiver_;
};

TEST_F(DataTest, AContainerHandsInRecordsWithCurlAlone) {
  json pod =
      producer("pump",
               "ask --data-binary '{\"n\":1}' http://data/v1/streams/temps > /tmp/answer\n"
               "ask --data-binary '{\"n\":2}' http://data/v1/streams/temps >> /tmp/answer\n"
               "cat /tmp/answer; ls -l /run/wherry; ask -X PUT -d v7 http://data/v1/cache/m\n"
               "ask http://data/v1/cache/m && echo \" cached\"");
  pod["spec"]["securityContext"] = {{"runAsUser", 1000}};
  publish(1, {pod, sleeper("bystander")});
  running("pump");
  ASSERT_TRUE(wait_until([&] {
    take();
    return receiver_.count("data/pump/temps") == 2;
  })) << agent_->get("/v1/workloads/pump/logs").body;
  EXPECT_EQ(values("data/pump/temps"), (std::vector{1, 2}));
  EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems());
  ASSERT_TRUE(wait_until([&] {
    return agent_->get("/v1/workloads/pump/logs").body.find("v7 cached") != std::string::npos;
  })) << agent_->get("/v1/workloads/pump/logs").body;
  const std::string log = agent_->get("/v1/workloads/pump/logs").body;
  EXPECT_NE(log.find(R"({"first":1,"count":1}{"first":2,"count":1})"), std::string::npos) << log;
  const std::string socket = agent_->run_dir() + "/pods/pump/data/data.sock";
  EXPECT_EQ(access(socket.c_str(), F_OK), 0);
  EXPECT_NE(access((agent_->run_dir() + "/pods/bystander/data").c_str(), F_OK), 0);
  publish(2, {sleeper("bystander")});
  EXPECT_TRUE(wait_until([&] { return access(socket.c_str(), F_OK) != 0; }));
}

// A producer that repeats until it is heard, an agent and a link that come and go.
TEST_F(DataTest, NothingThatWasAcceptedIsLost) {
  publish(1, {producer("pump",
                       "i=0; while [ $i -lt 300 ]; do i=$((i+1))\n"
                       "until ask --data-binary \"{\\\"n\\\":$i}\" http://data/v1/streams/s; do "
                       "sleep 0.1; done\n"
                       "done; echo finished")});
  running("pump");
  const int pid = pid_of("pump");
  for (int round = 0; round < 3; ++round) {
    const size_t before = receiver_.count("data/pump/s");
    ASSERT_TRUE(wait_until([&] {
      take();
      // On a fast machine the producer may be done before the last round.
      const size_t now = receiver_.count("data/pump/s");
      return now > before || now >= 300;
    }));
    link_->cut();
    agent_->kill();
    link_->stall(true);
    agent_->start();
    link_->stall(false);
    link_->cut();
  }
  ASSERT_TRUE(wait_until([&] {
    return agent_->get("/v1/workloads/pump/logs").body.find("finished") != std::string::npos;
  }));
  ASSERT_TRUE(wait_until([&] {
    take();
    const std::vector<int> all = values("data/pump/s");
    return !all.empty() && all.back() == 300;
  }));
  std::set<int> seen;
  int highest = 0;
  for (const int n : values("data/pump/s")) {
    EXPECT_TRUE(n == highest || n == highest + 1) << n << " after " << highest;
    highest = n;
    seen.insert(n);
  }
  EXPECT_EQ(seen.size(), 300U);
  EXPECT_EQ(receiver_.only("data/pump/s").dropped, 0U);
  EXPECT_EQ(pid_of("pump"), pid) << "the container was restarted";
}

}  // namespace
}  // namespace wherry::test

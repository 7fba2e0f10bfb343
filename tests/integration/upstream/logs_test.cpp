// Logs of real containers, on their way to the fleet.

#include <filesystem>
#include <fstream>

#include "tests/support/batch_receiver.h"
#include "tests/support/system_fixture.h"
#include "tests/support/tcp_relay.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using Messages = std::vector<std::string>;

class LogsTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    options.sets = {"mqtt.reconnect={min: 100ms, max: 500ms}", "telemetry.interval=0s",
                    "telemetry.logs.rate=" + rate_};
    link_ = std::make_unique<TcpRelay>(broker_->port());
    options.brokers = {"mqtt://127.0.0.1:" + std::to_string(link_->port())};
  }
  // Runs `script` in /bin/sh; `forward`: the annotation, where it is not empty. What is in the
  // directory of signs on the host is in /signs.
  json talker(const std::string& name, const std::string& script, const std::string& forward) {
    json pod = simple_pod(name, kImage,
                          {"/bin/sh", "-c",
                           "await() { until [ -e /signs/$1 ]; do sleep 0.02; done; }\n"
                           "trap 'echo bye; exit 0' TERM\n" +
                               script + "\nsleep 1000000 & wait"});
    if (!forward.empty()) pod["metadata"]["annotations"]["wherry/log-forward"] = forward;
    pod["spec"]["volumes"] = {{{"name", "signs"}, {"hostPath", {{"path", files_.path()}}}}};
    pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "signs"}, {"mountPath", "/signs"}}};
    pod["spec"]["terminationGracePeriodSeconds"] = 5;
    return pod;
  }
  void start_failing(const std::string& failpoints) {
    agent_->options().env["WHERRY_FAILPOINTS"] = failpoints;
    agent_->start();
  }
  void give(const std::string& sign) { std::ofstream(files_ / sign); }
  void take() { receiver_.take_all(*fleet_, "wherry/v1/devices/dev-1"); }
  Messages messages(const std::string& stream) {
    Messages all;
    for (const auto& [number, record] : receiver_.only(stream).records) {
      all.push_back(record.value("message", ""));
    }
    return all;
  }
  testing::AssertionResult last(const std::string& stream, const std::string& wanted) {
    const bool came = wait_until([&] {
      take();
      const Messages all = messages(stream);
      return !all.empty() && all.back() == wanted;
    });
    if (came) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << stream << " has " << json(messages(stream)).dump().substr(0, 2000);
  }

  std::string rate_ = "16Ki";
  std::unique_ptr<TcpRelay> link_;
  BatchReceiver receiver_;
};

TEST_F(LogsTest, GoUpAsTheAnnotationSaysWithoutARestart) {
  const std::string script =
      "echo fine; echo broken >&2; await more; echo fine again; printf 'odd \\377\\n'; await most\n"
      "i=0; while [ $i -lt 2000 ]; do printf 0123456789; i=$((i+1)); done; echo; echo end";
  publish(1, {talker("web", script, "errors"), talker("dark", "echo hidden >&2", "")});
  running("web");
  const int pid = pid_of("web");
  ASSERT_TRUE(last("logs/web/web", "broken"));
  EXPECT_EQ(messages("logs/web/web"), Messages{"broken"});
  const json record = receiver_.only("logs/web/web").records.at(1);
  EXPECT_EQ(record["stream"], "stderr");
  EXPECT_EQ(record["at"].get<std::string>().size(), 30U) << record;

  publish(2, {talker("web", script, "all"), talker("dark", "echo hidden >&2", "")});
  wait_upstream([](const json& reported) { return document_in(reported)["revision"] == 2; });
  give("more");
  ASSERT_TRUE(last("logs/web/web", "odd \xef\xbf\xbd"));
  give("most");
  ASSERT_TRUE(last("logs/web/web", "end"));
  const auto& records = receiver_.only("logs/web/web").records;
  const json& odd = std::prev(records.end(), 3)->second;
  const json& longest = std::prev(records.end(), 2)->second;
  EXPECT_EQ(odd["invalidUtf8"], true);
  EXPECT_EQ(longest["message"].get<std::string>().size(), 16384U);
  EXPECT_EQ(longest["cut"], true);
  EXPECT_EQ(pid_of("web"), pid) << "the container was restarted";
  EXPECT_EQ(receiver_.count("logs/dark/dark"), 0U);
  EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems());
}

TEST_F(LogsTest, LastWordsGoUpBeforeAPodIsRemoved) {
  publish(1, {talker("web", "echo hello", "all")});
  running("web");
  ASSERT_TRUE(last("logs/web/web", "hello"));
  publish(2, {});
  ASSERT_TRUE(last("logs/web/web", "bye"));
  publish(3, {talker("web", "echo hello again", "all")});
  ASSERT_TRUE(last("logs/web/web", "hello again"));
  EXPECT_EQ(messages("logs/web/web").size(), 3U);
}

// Whatever step of its removal the agent is killed at: the next one has no document that names it.
TEST_F(LogsTest, LastWordsGoUpOnceOfAPodThatIsRemovedInTwoLives) {
  int64_t revision = 0;
  for (const std::string point :
       {"pod.remove.begin", "pod.remove.container-deleted", "pod.remove.volumes",
        "logs.forward.kept", "logs.remove.renamed"}) {
    SCOPED_TRACE(point);
    const std::string pod = "web-" + std::to_string(revision), stream = "logs/" + pod + "/" + pod;
    publish(++revision, {talker(pod, "echo hello >&2", "errors")});
    running(pod);
    ASSERT_TRUE(last(stream, "hello"));
    publish(++revision, {talker(pod, "echo hello >&2", "all")});  // which restarts nothing
    wait_upstream(
        [&](const json& reported) { return document_in(reported)["revision"] == revision; });
    agent_->kill();
    agent_->options().env["WHERRY_FAILPOINTS"] = point + "=kill";
    agent_->spawn();
    publish(++revision, {});
    ASSERT_TRUE(wait_until([&] { return !agent_->running(); }));
    start_failing("");
    ASSERT_TRUE(last(stream, "bye"));
    EXPECT_TRUE(
        wait_until([&] { return std::filesystem::is_empty(agent_->state_dir() + "/logs"); }));
    take();
    EXPECT_EQ(messages(stream), (Messages{"hello", "bye"}));
  }
  EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems());
}

class ManyLogsTest : public LogsTest {
 protected:
  ManyLogsTest() { rate_ = "1Mi"; }
  // Files of 128 KiB, and all that is written stays on the device: what is lost, the agent lost.
  void configure(WherryOptions& options) override {
    LogsTest::configure(options);
    options.sets.push_back("telemetry.logs.max_bytes=512Ki");
  }
};

TEST_F(ManyLogsTest, NoneIsLostOrComesTwiceWhateverBefallsTheAgent) {
  constexpr int kRounds = 12, kLines = 150;
  const std::string script =
      "x=$(printf '%0180d' 0); r=0; i=0\n"
      "while [ $r -lt 12 ]; do await $r; n=0\n"
      "while [ $n -lt 150 ]; do echo \"$i $x\"; i=$((i+1)); n=$((n+1)); done; r=$((r+1)); done";
  publish(1, {talker("web", script, "all")});
  running("web");
  const int pid = pid_of("web");
  for (int round = 0; round < kRounds; ++round) {
    switch (round % 4) {
      case 0:  // at any moment
        give(std::to_string(round));
        agent_->kill();
        start_failing("");
        break;
      case 1:  // after lines were kept, before anybody heard
        agent_->kill();
        give(std::to_string(round));
        agent_->options().env["WHERRY_FAILPOINTS"] = "logs.forward.kept=kill";
        agent_->spawn();
        ASSERT_TRUE(wait_until([&] { return !agent_->running(); }));
        start_failing("");
        break;
      case 2:  // before they are kept; an event may be first
        agent_->kill();
        agent_->options().env["WHERRY_FAILPOINTS"] = "outbox.append.commit=kill@2";
        agent_->spawn();
        give(std::to_string(round));
        ASSERT_TRUE(wait_until([&] { return !agent_->running(); }));
        start_failing("");
        break;
      default:  // while nothing gets through
        link_->stall(true);
        give(std::to_string(round));
        agent_->kill();
        start_failing("");
        link_->stall(false);
        link_->cut();
    }
    const size_t before = receiver_.count("logs/web/web");
    if (round % 2 == 0) continue;
    ASSERT_TRUE(wait_until([&] { return take(), receiver_.count("logs/web/web") > before; }));
  }
  const std::string x(180, '0');
  ASSERT_TRUE(last("logs/web/web", std::to_string(kRounds * kLines - 1) + " " + x));
  const Messages all = messages("logs/web/web");
  ASSERT_EQ(all.size(), static_cast<size_t>(kRounds * kLines));
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], std::to_string(i) + " " + x);
  EXPECT_EQ(receiver_.only("logs/web/web").dropped, 0U);
  EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems());
  EXPECT_EQ(access((agent_->state_dir() + "/logs/web/web.log.2").c_str(), F_OK), 0);
  EXPECT_EQ(pid_of("web"), pid) << "the container was restarted";
}

TEST_F(LogsTest, AFloodIsCountedAndStarvesNobody) {
  publish(1, {talker("flood", "await go; yes flood | head -n 100000; echo calm", "all"),
              talker("quiet", "await go; echo one; await two; echo two", "all")});
  running("flood");
  running("quiet");
  give("go");
  ASSERT_TRUE(last("logs/quiet/quiet", "one"));
  give("two");
  ASSERT_TRUE(last("logs/quiet/quiet", "two"));
  ASSERT_TRUE(last("logs/flood/flood", "calm"));
  const auto& flood = receiver_.only("logs/flood/flood");
  EXPECT_EQ(flood.records.size() + flood.dropped, 100'001U);
  EXPECT_LT(flood.records.size(), 20'000U);
  EXPECT_EQ(receiver_.only("logs/quiet/quiet").dropped, 0U);
  EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems());
}

}  // namespace
}  // namespace wherry::test

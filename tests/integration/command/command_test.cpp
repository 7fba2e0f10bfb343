// Commands on a whole device: over MQTT, over REST, with the command-line tool; killed in the
// middle.

#include <algorithm>
#include <csignal>

#include <gmock/gmock.h>

#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CommandsTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    options.groups = {"pumps"};
    options.sets.push_back("security.allow={exec: true}");
    options.sets.push_back("mqtt.reconnect.min=50ms");
    options.sets.push_back("mqtt.reconnect.max=500ms");
  }

  static std::string own(const std::string& topic) { return "wherry/v1/devices/dev-1/" + topic; }
  static std::string command(const std::string& name, const json& args = json::object()) {
    return json{{"command", name}, {"args", args}}.dump();
  }
  void send(const std::string& request, const std::string& payload,
            const MqttPublish& options = {}) {
    fleet_->publish(own("commands/" + request), payload, options);
  }
  size_t answers(const std::string& request) const {
    const auto all = fleet_->messages();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const auto& message) {
      return message.topic == own("responses/" + request);
    }));
  }
  json answer(const std::string& request) {
    const auto message = fleet_->wait_for(
        [&](const auto& each) { return each.topic == own("responses/" + request); });
    EXPECT_TRUE(message) << "no answer to " << request << tail(agent_->log());
    return message ? json::parse(message->payload, nullptr, false) : json();
  }
  json ask(const std::string& request, const std::string& payload) {
    send(request, payload);
    return answer(request);
  }
  static std::string code(const json& answer) {
    return answer.value("ok", true) ? "" : answer["error"].value("code", "");
  }
  bool has_event(const std::string& reason) {
    return agent_->cli({"events"}).out.find(reason) != std::string::npos;
  }
  // Until its first process is another one than `before`.
  bool replaced(const std::string& name, int before) {
    return wait_until([&] {
      const int now = pid_of(name);
      return now != 0 && now != before;
    });
  }
  bool stopped(const std::string& name) {
    return wait_until([&] {
      const json now = agent_->workload(name);
      return now.value("reason", "") == "StoppedByOperator" && now.value("phase", "") == "Pending";
    });
  }
  // Appends a line to the file "runs" of the test each time it is run in a container.
  std::vector<std::string> counting() const {
    return {"/bin/sh", "-c", "echo run >> /out/runs; echo done"};
  }
  size_t runs() const {
    const std::string text = read_text(files_ / "runs");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  json with_files(json pod) const {
    pod["spec"]["volumes"] = {{{"name", "out"}, {"hostPath", {{"path", files_.path()}}}}};
    pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "out"}, {"mountPath", "/out"}}};
    return pod;
  }
};

TEST_F(CommandsTest, EachIsCarriedOutAndAnswered) {
  json chatty =
      simple_pod("web", kImage, {"/bin/sh", "-c", "echo one; echo two; echo three; sleep 1000000"});
  chatty["spec"]["terminationGracePeriodSeconds"] = 1;
  publish(1, {chatty, sleeper("other")});
  running("web");
  running("other");
  const int other = pid_of("other");
  EXPECT_EQ(ask("ping", command("ping"))["result"]["device"], "dev-1");
  EXPECT_EQ(ask("status", command("status"))["result"]["kind"], "ReportedState");

  const json logs = ask("logs", command("logs", {{"workload", "web"}, {"tail", 2}}));
  EXPECT_THAT(logs["result"].value("text", ""), HasSubstr(" two\n")) << logs;
  EXPECT_THAT(logs["result"].value("text", ""), HasSubstr(" three\n"));
  EXPECT_THAT(logs["result"].value("text", ""), testing::Not(HasSubstr(" one\n")));
  const json found = ask("found", command("logs", {{"workload", "web"}, {"pattern", "on"}}));
  EXPECT_THAT(found["result"].value("text", ""), testing::EndsWith(" one\n"));

  const json exec =
      ask("exec", command("exec", {{"workload", "web"},
                                   {"argv", {"sh", "-c", "echo out; echo err >&2; exit 3"}}}));
  EXPECT_EQ(exec["result"],
            json::parse(R"({"exitCode":3,"stdout":"out\n","stderr":"err\n","truncated":false})"))
      << exec;
  const json giant =
      ask("giant", command("exec", {{"workload", "web"},
                                    {"argv", {"sh", "-c", "yes 0123456789 | head -c 50000000"}},
                                    {"maxOutput", 100'000}}));
  EXPECT_EQ(giant["result"].value("truncated", false), true);
  EXPECT_EQ(giant["result"].value("stdout", "").size(), 100'000u);
  const json late = ask(
      "late",
      command("exec", {{"workload", "web"}, {"argv", {"sleep", "1000"}}, {"timeout", "200ms"}}));
  EXPECT_EQ(code(late), "DeadlineExceeded") << late;
  EXPECT_EQ(code(ask("no-such", command("exec", {{"workload", "web"}, {"argv", {"nope"}}}))),
            "FailedPrecondition");

  const int before = pid_of("web");
  EXPECT_EQ(ask("restart", command("restart", {{"workload", "web"}}))["ok"], true);
  EXPECT_TRUE(replaced("web", before));
  running("web");
  EXPECT_EQ(agent_->workload("web")["containers"][0]["restarts"], 0);
  EXPECT_EQ(ask("stop", command("stop", {{"workload", "web"}}))["ok"], true);
  EXPECT_TRUE(stopped("web"));
  EXPECT_EQ(pid_of("web"), 0);
  EXPECT_EQ(ask("start", command("start", {{"workload", "web"}}))["ok"], true);
  running("web");
  EXPECT_TRUE(has_event("RestartedByOperator"));
  EXPECT_TRUE(has_event("StoppedByOperator"));
  EXPECT_THAT(agent_->cli({"events"}).out, HasSubstr("over MQTT (devices/dev-1, request stop)"));

  EXPECT_EQ(ask("prune", command("prune"))["ok"], true);
  EXPECT_EQ(ask("pull", command("pull", {{"image", "127.0.0.1:1/none:1"}}))["ok"], false);
  EXPECT_GT(ask("bundle", command("support-bundle"))["result"].value("bytes", 0), 0);
  EXPECT_EQ(pid_of("other"), other) << "nobody else was disturbed";
}

TEST_F(CommandsTest, BadOnesAreToldWhatIsWrong) {
  publish(1, {sleeper("web")});
  running("web");
  const int before = pid_of("web");
  EXPECT_EQ(code(ask("a", "not even JSON")), "InvalidArgument");
  const json unknown = ask("b", command("restrat", {{"workload", "web"}}));
  EXPECT_EQ(code(unknown), "InvalidArgument");
  EXPECT_THAT(unknown["error"].value("message", ""), HasSubstr("did you mean \"restart\"?"));
  EXPECT_EQ(code(ask("c", command("restart", {{"workload", "nope"}}))), "NotFound");
  EXPECT_EQ(code(ask("d", command("restart", {{"workload", 7}}))), "InvalidArgument");
  EXPECT_EQ(code(ask("e", std::string(1u << 20, 'x'))), "InvalidArgument");
  EXPECT_EQ(code(ask("bad id", command("ping"))), "InvalidArgument");
  EXPECT_EQ(code(ask("", command("ping"))), "InvalidArgument") << "and it hears the next one";
  send("retained", command("restart", {{"workload", "web"}}), {.retained = true});
  EXPECT_EQ(answer("retained")["ok"], true) << "to whom is there it does not show";
  EXPECT_TRUE(replaced("web", before));
  const int again = pid_of("web");
  fleet_->clear();
  agent_->restart();
  EXPECT_EQ(code(answer("retained")), "InvalidArgument") << "after that it does";
  running("web");
  EXPECT_EQ(pid_of("web"), again);
}

TEST_F(CommandsTest, ARequestIsCarriedOutOnceHoweverOftenItComes) {
  publish(1, {with_files(sleeper("web"))});
  running("web");
  const std::string count = command("exec", {{"workload", "web"}, {"argv", counting()}});
  const json first = ask("r", count);
  ASSERT_EQ(first["ok"], true) << first;
  for (int i = 0; i < 3; ++i) {
    fleet_->clear();
    EXPECT_EQ(ask("r", count), first);
  }
  agent_->kill();
  agent_->start();
  fleet_->clear();
  EXPECT_EQ(ask("r", count), first);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(CommandsTest, KilledAtAnyStepItIsCarriedOutOnceAtMostAndAnswered) {
  publish(1, {with_files(sleeper("web"))});
  running("web");
  const std::string count = command("exec", {{"workload", "web"}, {"argv", counting()}});
  struct Step {
    std::string failpoint;
    size_t executed;
    std::string code;
  };
  const std::vector<Step> steps = {{"command.recorded", 0, "Interrupted"},
                                   {"command.carry-out", 0, "Interrupted"},
                                   {"command.carried-out", 1, "Interrupted"},
                                   {"store.answer_command.commit", 1, "Interrupted"},
                                   {"command.answer-kept", 1, ""}};
  size_t before = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const std::string request = "r" + std::to_string(i);
    agent_->stop();
    agent_->options().env = {{"WHERRY_FAILPOINTS", step.failpoint + "=kill"}};
    agent_->start();
    ASSERT_TRUE(agent_->wait_ready());
    running("web");
    send(request, count);
    ASSERT_TRUE(wait_until([&] { return !agent_->running(); })) << step.failpoint;
    EXPECT_EQ(answers(request), 0u) << step.failpoint;
    agent_->options().env.clear();
    agent_->start();
    EXPECT_EQ(code(answer(request)), step.code) << step.failpoint;
    running("web");
    fleet_->clear();
    EXPECT_EQ(code(ask(request, count)), step.code) << step.failpoint;
    EXPECT_EQ(runs() - before, step.executed) << step.failpoint;
    before = runs();
  }
}

TEST_F(CommandsTest, ARestartKilledInTheMiddleIsDoneOnce) {
  publish(1, {sleeper("web"), sleeper("other")});
  running("web");
  running("other");
  const int other = pid_of("other");
  for (const char* step : {"reconcile.before-terminate", "reconcile.before-remove",
                           "reconcile.after-remove", "reconcile.before-prepare"}) {
    const int before = pid_of("web");
    agent_->stop();
    agent_->options().env = {{"WHERRY_FAILPOINTS", std::string(step) + "=kill"}};
    agent_->start();
    ASSERT_TRUE(agent_->wait_ready());
    const int status = agent_->request("POST", "/v1/workloads/web/restart", "").status;
    EXPECT_TRUE(status == 202 || status == 0) << status << ": 0 where it died before the answer";
    ASSERT_TRUE(wait_until([&] { return !agent_->running(); })) << step;
    agent_->options().env.clear();
    agent_->start();
    EXPECT_TRUE(replaced("web", before)) << step;
    running("web");
    const int after = pid_of("web");
    agent_->restart();
    running("web");
    EXPECT_EQ(pid_of("web"), after) << step << ": it was done again";
  }
  EXPECT_EQ(pid_of("other"), other);
}

TEST_F(CommandsTest, AnAnswerOutlivesTheBroker) {
  publish(1, {with_files(sleeper("web"))});
  running("web");
  send("r", command("exec", {{"workload", "web"},
                             {"argv",
                              {"sh", "-c",
                               "echo run >> /out/runs; while [ ! -e /out/go ]; do sleep 0.05; "
                               "done; echo end >> /out/runs"}}}));
  ASSERT_TRUE(wait_until([&] { return runs() == 1; }));
  broker_->kill();
  write_text(files_ / "go", "");
  ASSERT_TRUE(wait_until([&] { return runs() == 2; }));
  // Nobody must listen before the answer is sent.
  ::kill(agent_->process().pid(), SIGSTOP);
  broker_->start();
  fleet_ = std::make_unique<MqttClient>(broker_->port());
  fleet_->subscribe("wherry/v1/devices/#");
  ::kill(agent_->process().pid(), SIGCONT);
  EXPECT_EQ(answer("r")["ok"], true);
  EXPECT_EQ(runs(), 2u);
}

TEST_F(CommandsTest, GroupsResponseTopicAndCorrelation) {
  fleet_->subscribe("answers/#");
  fleet_->publish("wherry/v1/groups/pumps/commands/g1", command("ping"),
                  {.response_topic = "answers/a", .correlation = std::string("\0\xff", 2)});
  const auto message = fleet_->wait_for([](const auto& m) { return m.topic == "answers/a"; });
  ASSERT_TRUE(message);
  EXPECT_EQ(message->correlation, std::string("\0\xff", 2));
  EXPECT_EQ(message->qos, 1);
  EXPECT_FALSE(message->retained);
  EXPECT_EQ(answers("g1"), 0u);
  fleet_->publish("wherry/v1/groups/pumps/commands/g2", command("ping"),
                  {.response_topic = "$SYS/not/mine"});
  EXPECT_EQ(answer("g2")["ok"], true) << "it goes to the device's own";
}

TEST_F(CommandsTest, AStopLastsThroughRestartsOfTheAgentAndNewDocuments) {
  publish(1, {sleeper("web"), sleeper("other")});
  running("web");
  running("other");
  const int other = pid_of("other");
  const CommandResult stop = agent_->cli({"stop", "web"});
  EXPECT_EQ(stop.exit_code, 0) << stop.err;
  EXPECT_TRUE(stopped("web"));
  wait_upstream([](const json& state) {
    return in_phase(state, "web", "Pending") && document_in(state).value("state", "") == "Applied";
  });
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_TRUE(stopped("web"));
  json changed = sleeper("web");
  changed["spec"]["containers"][0]["env"] = {{{"name", "A"}, {"value", "1"}}};
  publish(2, {changed, sleeper("other")});
  wait_upstream([](const json& state) { return document_in(state).value("revision", 0) == 2; });
  EXPECT_TRUE(stopped("web"));
  EXPECT_EQ(pid_of("web"), 0);
  const CommandResult exec = agent_->cli({"exec", "web", "--", "true"});
  EXPECT_EQ(exec.exit_code, 1) << exec.out;
  const CommandResult start = agent_->cli({"start", "web"});
  EXPECT_EQ(start.exit_code, 0) << start.err;
  running("web");
  const CommandResult echo = agent_->cli({"exec", "web", "--", "echo", "hello"});
  EXPECT_EQ(echo.exit_code, 0) << echo.err;
  EXPECT_EQ(echo.out, "hello\n");
  EXPECT_EQ(agent_->cli({"restart", "nope"}).exit_code, 4);
  EXPECT_EQ(pid_of("other"), other);
  EXPECT_TRUE(has_event("StartedByOperator"));
}

class PlainCommandsTest : public CommandsTest {
 protected:
  void configure(WherryOptions& options) override { options.sets.push_back("mqtt.version=3.1.1"); }
};

TEST_F(PlainCommandsTest, Mqtt311AndExecIsOffByDefault) {
  publish(1, {sleeper("web")});
  running("web");
  EXPECT_EQ(ask("p", command("ping"))["ok"], true);
  const json refused = ask("e", command("exec", {{"workload", "web"}, {"argv", {"true"}}}));
  EXPECT_EQ(code(refused), "PermissionDenied");
  EXPECT_THAT(refused["error"].value("message", ""), HasSubstr("security.allow.exec: true"));
  EXPECT_EQ(agent_->cli({"exec", "web", "--", "true"}).exit_code, 0) << "this is about MQTT";
}

}  // namespace
}  // namespace wherry::test

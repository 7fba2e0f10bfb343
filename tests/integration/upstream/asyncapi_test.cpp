// Every topic of configs/asyncapi.yaml is heard, and everything heard is as its schemas say.

#include "tests/support/asyncapi.h"

#include <set>

#include "base/files.h"
#include "base/text.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class AsyncApiTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    options.groups = {"hall"};
    options.sets = {"telemetry.interval=1s", "telemetry.gather=0s", "telemetry.logs.forward=all"};
  }
  std::set<std::string> heard() const {
    std::set<std::string> names;
    for (const MqttMessage& message : tap_->messages()) {
      const AsyncApi::Channel* channel = document_.channel_of(message.topic, "wherry/v1");
      names.insert(channel == nullptr ? message.topic : channel->name);
    }
    return names;
  }
  // Over the Pod's socket, as a workload does.
  void hand_in(const std::string& workload, const std::string& record) const {
    run_ok({"curl", "-sf", "--unix-socket",
            agent_->run_dir() + "/pods/" + workload + "/data/data.sock", "--data-binary", record,
            "http://data/v1/streams/temps"});
  }

  const AsyncApi document_;
};

TEST_F(AsyncApiTest, DescribesWhatIsSaid) {
  json pod = simple_pod("web", kImage,
                        {"/bin/sh", "-c", "echo hello; printf '\\377\\n' >&2; sleep 1000000"});
  pod["metadata"]["annotations"]["wherry/data-api"] = "true";
  const json failing = simple_pod("bad", kImage, {"/bin/sh", "-c", "exit 3"});
  fleet_->publish_retained("wherry/v1/groups/hall/desired",
                           desired_document(1, json::array({failing})));
  const json cron =
      json::parse(R"({"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"nightly"},
    "spec":{"schedule":"@yearly","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
    "containers":[{"name":"c","image":"registry.local/box:1"}]}}}}}})");
  const json service = json::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
    "spec":{"selector":{"app":"web"},"ports":[{"port":80}]}})");
  publish(1, {pod, cron, service});
  running("web");
  for (const char* record : {R"({"n":1})", "17", R"("text")"}) hand_in("web", record);
  fleet_->publish("wherry/v1/devices/dev-1/commands/r-1", R"({"command":"ping"})");
  fleet_->publish("wherry/v1/groups/hall/commands/r-2",
                  R"({"command":"logs","args":{"workload":"web","pattern":"hello"}})");
  fleet_->publish("wherry/v1/devices/dev-1/commands/r-3", R"({"command":"status","args":{}})");
  std::set<std::string> all;
  for (const AsyncApi::Channel& channel : document_.channels()) all.insert(channel.name);
  EXPECT_TRUE(wait_until([&] { return heard() == all; })) << json(heard()) << json(all);
  const auto answered = [&](const char* id) {
    return fleet_->last(std::string("wherry/v1/devices/dev-1/responses/") + id).has_value();
  };
  EXPECT_TRUE(wait_until([&] { return answered("r-1") && answered("r-2") && answered("r-3"); }));
  agent_->stop();  // and says good-bye
  EXPECT_TRUE(tap_->wait_for([](const MqttMessage& message) {
    return message.topic.ends_with("/presence") &&
           message.payload.find("\"offline\"") != std::string::npos;
  }));
  const auto problems = document_.problems(tap_->messages(), "wherry/v1", true);
  EXPECT_TRUE(problems.empty()) << json(problems).dump(1);
}

}  // namespace
}  // namespace wherry::test

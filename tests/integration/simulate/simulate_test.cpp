// A simulated fleet against a real broker: what docs/topics.md says of a device holds for each.

#include <set>

#include <gtest/gtest.h>

#include "tests/support/batch_receiver.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/simulated_fleet.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr size_t kDevices = 12;

class SimulateTest : public testing::Test {
 protected:
  void SetUp() override { listen(); }
  void listen() {
    fleet_ = std::make_unique<MqttClient>(broker_.port());
    fleet_->subscribe("wherry/v1/devices/#");
  }
  void begin(std::vector<std::string> more = {}, size_t devices = kDevices) {
    std::vector<std::string> arguments = {"--group",         "pumps", "--pull-time",     pull_time_,
                                          "--action-time",   "10ms",  "--reconnect-min", "100ms",
                                          "--reconnect-max", "500ms"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    devices_ = devices;
    simulated_ = std::make_unique<SimulatedFleet>(devices, broker_.url(), arguments);
  }
  void publish(const std::string& target, int revision, const std::vector<json>& items) {
    fleet_->publish_retained("wherry/v1/" + target + "/desired", desired_document(revision, items));
  }
  bool all_say(const std::string& presence) {
    return wait_until([&] { return count_presence(presence) == devices_; });
  }
  size_t count_presence(const std::string& presence) {
    size_t count = 0;
    for (const auto& [id, said] : newest(*fleet_, "presence")) {
      count += said.value("state", "") == presence ? 1 : 0;
    }
    return count;
  }
  // Devices whose newest reported state satisfies it.
  size_t count_reported(const std::function<bool(const json&)>& wanted) {
    size_t count = 0;
    for (const auto& [id, reported] : newest(*fleet_, "reported")) {
      count += reported.is_object() && wanted(reported) ? 1 : 0;
    }
    return count;
  }
  bool all_report(const std::function<bool(const json&)>& wanted) {
    return wait_until([&] { return count_reported(wanted) == devices_; });
  }
  json answer(const std::string& target, const std::string& request, const json& command) {
    fleet_->publish("wherry/v1/" + target + "/commands/" + request, command.dump());
    const auto came = fleet_->wait_for([&](const MqttMessage& message) {
      return message.topic.ends_with("/responses/" + request);
    });
    return came ? json::parse(came->payload) : json();
  }
  json reported_of(size_t number) {
    return newest(*fleet_, "reported")[SimulatedFleet::id(number)];
  }

  MosquittoBroker broker_;
  std::unique_ptr<MqttClient> fleet_;
  std::unique_ptr<SimulatedFleet> simulated_;
  size_t devices_ = 0;
  std::string pull_time_ = "100ms";
};

bool runs(const json& reported, const std::string& name, int revision) {
  return in_phase(reported, name, "Running") &&
         workload_in(reported, name)["revision"] == revision &&
         document_in(reported)["state"] == "Applied";
}

TEST_F(SimulateTest, EachDeviceSaysThatItIsThereAndWhenItLeaves) {
  begin();
  ASSERT_TRUE(all_say("online")) << simulated_->process().output();
  std::set<std::string> boots;
  for (const auto& [id, said] : newest(*fleet_, "presence")) boots.insert(said["boot"]);
  EXPECT_EQ(boots.size(), kDevices);
  EXPECT_EQ(simulated_->process().terminate(), 0);
  EXPECT_TRUE(all_say("offline"));
  begin();
  ASSERT_TRUE(all_say("online"));
  simulated_->process().kill();
  EXPECT_TRUE(all_say("offline")) << "the will";
}

TEST_F(SimulateTest, OneDocumentOfAGroupIsAppliedByAll) {
  pull_time_ = "3s";  // longer than reports are gathered for
  begin({"--label", "site=north"});
  json pod = simple_pod("web", "registry.local/web:1", {});
  pod["spec"]["nodeSelector"] = {{"site", "north"}};
  json elsewhere = simple_pod("other", "registry.local/web:1", {});
  elsewhere["spec"]["nodeSelector"] = {{"site", "south"}};
  publish("groups/pumps", 1, {pod, elsewhere});
  ASSERT_TRUE(all_report([](const json& r) { return runs(r, "web", 1); }))
      << reported_of(1).dump(1);
  EXPECT_EQ(count_reported([](const json& r) { return !workload_in(r, "other").is_null(); }), 0U);
  // On the way there, as a real device says it.
  std::set<std::string> phases;
  for (const MqttMessage& message : fleet_->messages()) {
    const json reported = json::parse(message.payload, nullptr, false);
    if (!message.topic.ends_with("/reported") || !reported.is_object()) continue;
    const json web = workload_in(reported, "web");
    if (web.is_object()) phases.insert(web["phase"]);
  }
  EXPECT_TRUE(phases.contains("Pulling")) << json(phases);
  publish("groups/pumps", 2, {});
  EXPECT_TRUE(all_report([](const json& r) {
    return r["workloads"].empty() && document_in(r)["revision"] == 2;
  })) << reported_of(1).dump(1);
}

TEST_F(SimulateTest, ADevicesOwnDocumentComesOverItsGroups) {
  begin();
  publish("groups/pumps", 1, {simple_pod("web", "registry.local/web:1", {})});
  publish("devices/sim-0002", 7, {simple_pod("web", "registry.local/web:2", {})});
  ASSERT_TRUE(all_report([](const json& r) { return in_phase(r, "web", "Running"); }));
  ASSERT_TRUE(wait_until([&] { return workload_in(reported_of(2), "web")["revision"] == 7; }));
  EXPECT_EQ(workload_in(reported_of(2), "web")["containers"][0]["image"], "registry.local/web:2");
  EXPECT_EQ(workload_in(reported_of(1), "web")["revision"], 1);
}

TEST_F(SimulateTest, ABadDocumentIsRejectedByAllWithItsPath) {
  begin();
  publish("groups/pumps", 1, {simple_pod("web", "registry.local/web:1", {})});
  ASSERT_TRUE(all_report([](const json& r) { return runs(r, "web", 1); }));
  json bad = simple_pod("web", "registry.local/web:1", {});
  bad["spec"]["containers"][0]["imgae"] = "x";
  publish("groups/pumps", 2, {bad});
  const auto rejects = [](const json& r) {
    const json document = document_in(r);
    return document.contains("rejected") && document["rejected"].is_object() &&
           document["rejected"]["revision"] == 2;
  };
  ASSERT_TRUE(all_report(rejects)) << reported_of(1).dump(1);
  const json error = document_in(reported_of(1))["rejected"]["errors"][0];
  EXPECT_EQ(error["path"], "spec.items[0].spec.containers[0].imgae");
  EXPECT_EQ(count_reported([](const json& r) { return in_phase(r, "web", "Running"); }), kDevices);
}

TEST_F(SimulateTest, CommandsAreAnsweredAndCarriedOutOnce) {
  begin();
  publish("groups/pumps", 1, {simple_pod("web", "registry.local/web:1", {})});
  ASSERT_TRUE(all_report([](const json& r) { return runs(r, "web", 1); }));
  const std::string device = "devices/sim-0001";
  EXPECT_EQ(answer(device, "p1", {{"command", "ping"}})["result"]["device"], "sim-0001");
  const json status = answer(device, "s1", {{"command", "status"}});
  EXPECT_EQ(status["result"]["workloads"][0]["name"], "web") << status;
  const json stop = {{"command", "stop"}, {"args", {{"workload", "web"}}}};
  EXPECT_EQ(answer(device, "t1", stop)["ok"], true);
  ASSERT_TRUE(wait_until([&] {
    return workload_in(reported_of(1), "web")["reason"] == "StoppedByOperator";
  })) << reported_of(1).dump(1);
  const json start = {{"command", "start"}, {"args", {{"workload", "web"}}}};
  EXPECT_EQ(answer(device, "u1", start)["ok"], true);
  ASSERT_TRUE(wait_until([&] { return in_phase(reported_of(1), "web", "Running"); }));
  const std::string since = workload_in(reported_of(1), "web")["since"];
  // The same request again: the same answer, and it is not stopped.
  fleet_->clear();
  EXPECT_EQ(answer(device, "t1", stop)["ok"], true);
  EXPECT_EQ(answer(device, "p2", {{"command", "ping"}})["ok"], true);
  const json now = answer(device, "s2", {{"command", "status"}})["result"];
  EXPECT_EQ(workload_in(now, "web")["since"], since);
  const json restart = {{"command", "restart"}, {"args", {{"workload", "web"}}}};
  EXPECT_EQ(answer(device, "r1", restart)["ok"], true);
  EXPECT_TRUE(wait_until([&] {
    const json web = workload_in(reported_of(1), "web");
    return in_phase(reported_of(1), "web", "Running") && web["since"] != since;
  }));
  const json nobody = {{"command", "restart"}, {"args", {{"workload", "nobody"}}}};
  EXPECT_EQ(answer(device, "n1", nobody)["error"]["code"], "NotFound");
  const json exec = {{"command", "exec"}, {"args", {{"workload", "web"}, {"argv", {"true"}}}}};
  EXPECT_EQ(answer(device, "x1", exec)["error"]["code"], "PermissionDenied");
  EXPECT_EQ(answer(device, "b1", {{"command", "dance"}})["ok"], false);
  answer("groups/pumps", "g1", {{"command", "ping"}});
  EXPECT_TRUE(wait_until([&] { return newest(*fleet_, "responses/g1").size() == kDevices; }));
}

TEST_F(SimulateTest, AShareOfThemFailsPullsAndAShareCrashes) {
  begin({"--fail-pulls", "40", "--crash", "40", "--crash-time", "10ms", "--seed", "5"}, 20);
  publish("groups/pumps", 1, {simple_pod("web", "registry.local/web:1", {})});
  const auto failed = [](const json& r) {
    return workload_in(r, "web").is_object() && workload_in(r, "web")["reason"] == "ErrImagePull";
  };
  const auto crashed = [](const json& r) {
    const json web = workload_in(r, "web");
    return web.is_object() && web["containers"][0]["restarts"] > 0;
  };
  const auto well = [](const json& r) { return in_phase(r, "web", "Running"); };
  ASSERT_TRUE(all_report([&](const json& r) {
    return failed(r) || crashed(r) || well(r) || in_phase(r, "web", "BackOff");
  }));
  const bool mixed = wait_until([&] {
    return count_reported(failed) > 2 && count_reported(crashed) > 2 && count_reported(well) > 2;
  });
  EXPECT_TRUE(mixed) << count_reported(failed) << ' ' << count_reported(crashed) << ' '
                     << count_reported(well);
}

TEST_F(SimulateTest, JobsAndInitContainersComeToAnEnd) {
  begin({"--job-time", "20ms"});
  json pod = simple_pod("web", "registry.local/web:1", {});
  pod["spec"]["initContainers"] =
      json::array({{{"name", "init"}, {"image", "registry.local/i:1"}}});
  pod["spec"]["containers"][0]["readinessProbe"] = {{"httpGet", {{"port", 80}}}};
  json job = {{"apiVersion", "batch/v1"}, {"kind", "Job"}, {"metadata", {{"name", "once"}}}};
  json task = simple_pod("task", "registry.local/t:1", {})["spec"];
  task["restartPolicy"] = "Never";
  job["spec"] = {{"template", {{"spec", task}}}};
  publish("groups/pumps", 1, {pod, job});
  const auto complete = [](const json& r) {
    for (const json& each : r.value("controllers", json::array())) {
      if (each["kind"] == "Job" && each["phase"] == "Complete") return true;
    }
    return false;
  };
  EXPECT_TRUE(all_report([&](const json& r) {
    const json web = workload_in(r, "web");
    return in_phase(r, "web", "Running") && web["ready"] == true && complete(r);
  })) << reported_of(1).dump(1);
}

TEST_F(SimulateTest, AfterALostBrokerAllComeBackAndNoEventIsMissing) {
  begin();
  publish("groups/pumps", 1, {simple_pod("web", "registry.local/web:1", {})});
  ASSERT_TRUE(all_report([](const json& r) { return runs(r, "web", 1); }));
  const auto last_event = [&](BatchReceiver& receiver, size_t number) {
    receiver.take_all(*fleet_, "wherry/v1/devices/" + SimulatedFleet::id(number));
    const auto& records = receiver.only("events").records;
    return records.empty() ? json() : records.rbegin()->second;
  };
  std::vector<BatchReceiver> receivers(devices_);
  for (size_t i = 0; i < devices_; ++i) {
    EXPECT_TRUE(wait_until([&] {
      return last_event(receivers[i], i + 1).value("workload", "") == "web";
    })) << i;
    EXPECT_TRUE(receivers[i].problems().empty()) << json(receivers[i].problems());
  }
  broker_.kill();  // it forgets all that it had
  broker_.start();
  listen();
  ASSERT_TRUE(all_say("online"));
  ASSERT_TRUE(all_report([](const json& r) { return runs(r, "web", 1); }));
  // What happens now has the numbers that follow.
  publish("groups/pumps", 2, {simple_pod("web", "registry.local/web:2", {})});
  ASSERT_TRUE(all_report([](const json& r) { return runs(r, "web", 2); }));
  for (size_t i = 0; i < devices_; ++i) {
    receivers[i].start_over();
    EXPECT_TRUE(wait_until([&] { return last_event(receivers[i], i + 1)["revision"] == 2; })) << i;
    EXPECT_TRUE(receivers[i].problems().empty()) << json(receivers[i].problems());
  }
}

TEST(SimulateProgram, WhatIsWrongOnItsCommandLineIsNamed) {
  const std::string program = std::string(WHERRY_BIN) + "/wherry-simulate";
  const auto refuses = [&](std::vector<std::string> arguments, const std::string& word) {
    arguments.insert(arguments.begin(), program);
    const CommandResult done = run_command(arguments);
    EXPECT_EQ(done.exit_code, 2) << done.err;
    EXPECT_NE(done.err.find(word), std::string::npos) << done.err;
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
  };
  refuses({}, "N");
  refuses({"0"}, "N");
  refuses({"5", "--broker", "http://x"}, "mqtt://");
  refuses({"5", "--prefix", "a/b"}, "a/b");
  refuses({"5", "--label", "site"}, "KEY=VALUE");
  refuses({"5", "--pull-time", "soon"}, "soon");
  refuses({"5", "--crash", "120"}, "--crash");
  const CommandResult help = run_command({program, "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.out.find("--fail-pulls"), std::string::npos);
}

TEST(SimulateProgram, SaysWhyItCannotConnect) {
  SimulatedFleet fleet(3, "mqtt://127.0.0.1:" + std::to_string(free_port()));
  EXPECT_TRUE(wait_until([&] {
    return fleet.process().out().find("0 of 3 devices connected; one is not, because ") !=
           std::string::npos;
  })) << fleet.process().output();
  EXPECT_EQ(fleet.process().terminate(), 0);
}

}  // namespace
}  // namespace wherry::test

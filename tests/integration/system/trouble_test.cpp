// Bad input and bad days: each gets a clear reason upstream and locally, disturbs nothing else, and
// is over by itself when its cause is gone.

#include <filesystem>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <gmock/gmock.h>

#include "tests/support/certificates.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class TroubleTest : public SystemTest {
 protected:
  // A workload that must come through everything untouched.
  void start_bystander() {
    publish(1, {sleeper("bystander")});
    running("bystander");
    bystander_ = pid_of("bystander");
    ASSERT_NE(bystander_, 0);
  }
  void expect_bystander_untouched() {
    EXPECT_EQ(pid_of("bystander"), bystander_);
    EXPECT_EQ(agent_->workload("bystander")["containers"][0]["restarts"], 0);
  }
  // Publishes `payload`; the rejection that upstream and the CLI then show. Nothing else changes.
  json rejection(const std::string& payload) {
    publish_text(payload);
    const json reported = wait_upstream([](const json& state) {
      const json document = document_in(state);
      return document.contains("rejected") && !document["rejected"].is_null();
    });
    const json document = document_in(reported);
    EXPECT_EQ(document.value("revision", 0), 1);
    return document.value("rejected", json());
  }
  // Some error has `path` in its path and `text` in its message.
  static bool says(const json& rejected, const std::string& path, const std::string& text) {
    if (!rejected.is_object()) return false;
    for (const json& error : rejected["errors"]) {
      if (error.value("path", "").find(path) != std::string::npos &&
          error.value("message", "").find(text) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  // Publishes the bystander and `pod` as revision 2, waits until its status satisfies `wanted`.
  json troubled(const json& pod, const std::function<bool(const json&)>& wanted) {
    publish(2, {sleeper("bystander"), pod});
    const std::string name = pod["metadata"]["name"];
    const json reported = wait_upstream(
        [&](const json& state) {
          const json workload = workload_in(state, name);
          return workload.is_object() && wanted(workload);
        },
        std::chrono::seconds(60));
    return workload_in(reported, name);
  }

  int bystander_ = 0;
};

bool has_reason(const json& workload, const std::string& reason) {
  if (workload.value("reason", "") == reason) return true;
  for (const json& container : workload["containers"]) {
    if (container.value("reason", "") == reason) return true;
  }
  return false;
}

struct BadDocument {
  const char* name;
  const char* path;  // part of the error's path
  const char* text;  // part of its message
  std::string payload;
};

std::string with_items(const std::string& items, const std::string& revision = "2") {
  return "apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: " + revision +
         " }\nspec:\n  items:\n" + items;
}

const std::string kPodA =
    "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: a }\n    spec:\n      containers:\n"
    "      - { name: a, image: \"registry.local/box:1\" }\n";

std::vector<BadDocument> bad_documents() {
  std::string deep = with_items("  - ");
  for (int i = 0; i < 2000; ++i) deep += "[";
  std::string aliases = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'j'; ++c) {
    aliases += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i)
      aliases += std::string(i > 0 ? ", *" : "*") + static_cast<char>(c - 1);
    aliases += "]\n";
  }
  const std::string cycle_a =
      "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: a, annotations: { "
      "wherry/depends-on: b } }\n"
      "    spec: { containers: [{ name: a, image: \"registry.local/box:1\" }] }\n"
      "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: b, annotations: { "
      "wherry/depends-on: a } }\n"
      "    spec: { containers: [{ name: b, image: \"registry.local/box:1\" }] }\n";
  const auto port_pod = [](const std::string& name) {
    return "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: " + name +
           " }\n    spec: { containers: [{ name: a, image: \"registry.local/box:1\", ports: "
           "[{ containerPort: 80, hostPort: 8099 }] }] }\n";
  };
  return {
      {"NotYaml", "", "", "\t{ this: is: not [yaml"},
      {"TooLarge", "", "1 MiB", with_items("  # " + std::string(1 << 20, 'x') + "\n" + kPodA)},
      {"TooDeep", "", "deep", deep},
      {"Aliases", "", "alias", aliases},
      {"WrongKind", "kind", "DesiredState",
       "apiVersion: wherry/v1\nkind: DesiredStates\nmetadata: { revision: 2 }\nspec: { items: [] "
       "}\n"},
      {"WrongItemKind", "spec.items[0].kind", "Pod",
       with_items("  - { apiVersion: v1, kind: Pods, metadata: { name: a } }\n")},
      {"WrongType", "spec.items[0].spec.containers", "",
       with_items(
           "  - { apiVersion: v1, kind: Pod, metadata: { name: a }, spec: { containers: 7 } }\n")},
      {"UnknownField", "spec.items[0].spec", "containers",
       with_items(
           "  - { apiVersion: v1, kind: Pod, metadata: { name: a }, spec: { container: [] } }\n")},
      {"DuplicateName", "spec.items[1]", "a", with_items(kPodA + kPodA)},
      {"Cycle", "", "circle", with_items(cycle_a)},
      {"PortTwice", "", "8099", with_items(port_pod("a") + port_pod("b"))},
      {"StaleRevision", "revision", "", with_items(kPodA, "1")},
      {"NoRevision", "metadata", "",
       "apiVersion: wherry/v1\nkind: DesiredState\nspec: { items: [] }\n"},
  };
}

TEST_F(TroubleTest, EveryBadDocumentIsRefusedByPlaceAndChangesNothing) {
  start_bystander();
  for (const BadDocument& bad : bad_documents()) {
    SCOPED_TRACE(bad.name);
    fleet_->clear();
    const json rejected = rejection(bad.payload);
    EXPECT_TRUE(says(rejected, bad.path, bad.text)) << rejected.dump(1);
    expect_bystander_untouched();
    // The same device takes the next good document; it also clears the rejection.
    fleet_->clear();
    publish(1, {sleeper("bystander")});
  }
}

TEST_F(TroubleTest, AnImageThatDoesNotExistIsReportedAndComesWhenImported) {
  start_bystander();
  json pod = sleeper("late");
  pod["spec"]["containers"][0]["image"] = "127.0.0.1:1/late:1";
  pod["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent";
  const json workload = troubled(pod, [](const json& w) {
    return has_reason(w, "ErrImagePull") || has_reason(w, "ImagePullBackOff");
  });
  EXPECT_NE(workload.value("message", "").find("127.0.0.1:1/late"), std::string::npos)
      << workload.dump(1);
  const CommandResult shown = agent_->cli({"get", "late"});
  EXPECT_NE(shown.out.find("127.0.0.1:1/late"), std::string::npos) << shown.out;
  expect_bystander_untouched();
  import_image("127.0.0.1:1/late:1");
  running("late");
  expect_bystander_untouched();
}

TEST_F(TroubleTest, ABinaryThatDoesNotExistIsReportedByName) {
  start_bystander();
  json pod = simple_pod("nobin", kImage, {"/no/such/binary"});
  const json workload = troubled(pod, [](const json& w) {
    return has_reason(w, "RunContainerError") || has_reason(w, "CreateContainerError") ||
           has_reason(w, "CrashLoopBackOff");
  });
  EXPECT_NE(workload.dump().find("/no/such/binary"), std::string::npos) << workload.dump(1);
  expect_bystander_untouched();
  publish(3, {sleeper("bystander"), sleeper("nobin")});
  running("nobin");
}

TEST_F(TroubleTest, AContainerThatExitsAtOnceBacksOffWithItsExitCode) {
  start_bystander();
  json pod = simple_pod("dies", kImage, {"/bin/sh", "-c", "exit 3"});
  const json workload = troubled(pod, [](const json& w) {
    return w.value("phase", "") == "BackOff" && has_reason(w, "CrashLoopBackOff");
  });
  EXPECT_EQ(workload["containers"][0]["exitCode"], 3) << workload.dump(1);
  EXPECT_GE(workload["containers"][0].value("restarts", 0), 1);
  const CommandResult why = agent_->cli({"why", "dies"});
  EXPECT_EQ(why.exit_code, 0) << why.err;
  EXPECT_NE(why.out.find("container dies: CrashLoopBackOff: it ended with exit code 3"),
            std::string::npos)
      << why.out;
  EXPECT_NE(why.out.find("Next look: 20"), std::string::npos) << why.out;
  EXPECT_EQ(agent_->cli({"why", "nobody"}).exit_code, 4);
  expect_bystander_untouched();
}

TEST_F(TroubleTest, ARunOnceContainerSucceedsOrFailsAndStaysSo) {
  json good = simple_pod("good", kImage, {"/bin/true"});
  good["spec"]["restartPolicy"] = "Never";
  json bad = simple_pod("bad", kImage, {"/bin/sh", "-c", "exit 9"});
  bad["spec"]["restartPolicy"] = "Never";
  publish(1, {good, bad});
  wait_upstream([](const json& state) {
    return in_phase(state, "good", "Succeeded") && in_phase(state, "bad", "Failed");
  });
  agent_->restart();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_TRUE(agent_->wait_phase("good", "Succeeded"));
  EXPECT_TRUE(agent_->wait_phase("bad", "Failed"));
  EXPECT_EQ(agent_->workload("bad")["containers"][0]["exitCode"], 9);
  EXPECT_EQ(agent_->workload("good")["containers"][0]["restarts"], 0);
}

TEST_F(TroubleTest, AContainerThatIgnoresTermIsKilledAfterItsGrace) {
  start_bystander();
  json pod =
      simple_pod("stubborn", kImage, {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"});
  pod["spec"]["terminationGracePeriodSeconds"] = 1;
  publish(2, {sleeper("bystander"), pod});
  running("stubborn");
  publish(3, {sleeper("bystander")});
  EXPECT_TRUE(wait_until([&] { return pid_of("stubborn") == 0; }));
  EXPECT_TRUE(wait_until([&] { return agent_->workload("stubborn").is_null(); }));
  expect_bystander_untouched();
}

TEST_F(TroubleTest, AContainerKilledForMemorySaysSo) {
  start_bystander();
  json pod = simple_pod("hungry", kImage, {"/bin/sh", "-c", "x=a; while :; do x=$x$x; done"});
  pod["spec"]["containers"][0]["resources"] = {{"limits", {{"memory", "16Mi"}}}};
  const json workload = troubled(pod, [](const json& w) {
    return has_reason(w, "OOMKilled") || w.dump().find("OOMKilled") != std::string::npos;
  });
  EXPECT_NE(workload.dump().find("OOMKilled"), std::string::npos);
  expect_bystander_untouched();
}

TEST_F(TroubleTest, ContainerdStoppedKilledAndBackRestartsNothing) {
  start_bystander();
  for (const bool hard : {false, true}) {
    SCOPED_TRACE(hard ? "killed" : "stopped");
    fleet_->clear();
    if (hard)
      containerd_->kill();
    else
      containerd_->stop();
    // What is wanted meanwhile is done when it is back.
    publish(hard ? 3 : 2, {sleeper("bystander"), sleeper(hard ? "second" : "first")});
    wait_upstream([](const json& state) {
      const json conditions = state.value("conditions", json::array());
      for (const json& condition : conditions) {
        if (condition["type"] == "ContainerdReady") return condition["status"] == false;
      }
      return false;
    });
    EXPECT_EQ(::kill(bystander_, 0), 0);
    containerd_->start();
    running(hard ? "second" : "first");
    expect_bystander_untouched();
  }
}

TEST_F(TroubleTest, AContainerThatDiesWhileContainerdIsAwayIsStartedAgain) {
  start_bystander();
  publish(2, {sleeper("bystander"), sleeper("mortal")});
  running("mortal");
  const int pid = pid_of("mortal");
  ASSERT_GT(pid, 0);
  containerd_->kill();
  ::kill(pid, SIGKILL);
  containerd_->start();
  EXPECT_TRUE(wait_until([&] {
    const int now = pid_of("mortal");
    return now != 0 && now != pid;
  }));
  expect_bystander_untouched();
}

TEST_F(TroubleTest, ABrokerThatGoesAwayStopsNothingAndCatchesUp) {
  start_bystander();
  broker_->kill();
  EXPECT_TRUE(wait_until([&] {
    const json state = agent_->reported();
    for (const json& condition : state["conditions"]) {
      if (condition["type"] == "BrokerConnected") return condition["status"] == false;
    }
    return false;
  }));
  expect_bystander_untouched();
  broker_->start();
  fleet_ = std::make_unique<MqttClient>(broker_->port());
  fleet_->subscribe("wherry/v1/devices/#");
  // The broker forgot its retained messages; the device says again what is so.
  wait_upstream([](const json& state) { return in_phase(state, "bystander", "Running"); });
  publish(2, {sleeper("bystander"), sleeper("next")});
  running("next");
  expect_bystander_untouched();
}

// From the files to the fleet's side and the journal.
TEST_F(TroubleTest, CertificatesThatEndAreToldAheadAndStopNothing) {
  start_bystander();
  CertificateAuthority authority;
  const int port = free_port();
  const Certificate server = authority.issue("127.0.0.1");
  const Certificate own = authority.issue("dev-1", days_from_now(-300), days_from_now(20));
  MosquittoBroker secure({.extra_config = "listener " + std::to_string(port) +
                                          " 127.0.0.1\nrequire_certificate true\ncafile " +
                                          authority.certificate() + "\ncertfile " +
                                          server.certificate + "\nkeyfile " + server.key + "\n"});
  agent_->options().brokers = {"mqtts://127.0.0.1:" + std::to_string(port)};
  auto& sets = agent_->options().sets;
  sets.insert(sets.end(),
              {"mqtt.ca_file=" + authority.certificate(), "mqtt.cert_file=" + own.certificate,
               "mqtt.key_file=" + own.key, "mqtt.reconnect={min: 20ms, max: 200ms}"});
  agent_->restart();
  const auto reason = [](const json& state, const std::string& type) -> std::string {
    for (const json& condition : state.value("conditions", json::array())) {
      if (condition["type"] == type) return condition["reason"];
    }
    return "none";
  };
  MqttClient manager(secure.port());
  manager.subscribe("wherry/v1/devices/dev-1/reported");
  EXPECT_TRUE(manager.wait_for([&](const MqttMessage& message) {
    return reason(json::parse(message.payload), "CertificateValid") == "CertificateExpiring";
  }));
  EXPECT_THAT(agent_->log(), testing::HasSubstr("CertificateExpiring"));

  const Certificate late = authority.issue("127.0.0.1", true);
  secure.stop();
  std::filesystem::copy_file(late.certificate, server.certificate,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(late.key, server.key,
                             std::filesystem::copy_options::overwrite_existing);
  secure.start();
  const json state = agent_->wait_reported([&](const json& state) {
    return reason(state, "BrokerConnected") == "BrokerCertificateExpired";
  });
  EXPECT_EQ(reason(state, "BrokerConnected"), "BrokerCertificateExpired");
  EXPECT_TRUE(wait_until(
      [&] { return agent_->log().find("BrokerCertificateExpired") != std::string::npos; }));
  expect_bystander_untouched();
}

TEST(TroubleAtStart, ContainerdAbsentAtStartIsWaitedFor) {
  MosquittoBroker broker;
  ContainerdDaemon containerd;
  containerd.stop();
  WherryOptions options;
  options.containerd_socket = containerd.socket();
  options.brokers = {broker.url()};
  WherryDaemon agent(options);
  agent.start();
  EXPECT_TRUE(wait_until([&] {
    const json state = agent.reported();
    for (const json& condition : state["conditions"]) {
      if (condition["type"] == "ContainerdReady") {
        return condition["status"] == false && !condition["reason"].get<std::string>().empty();
      }
    }
    return false;
  })) << agent.reported().dump(1);
  EXPECT_EQ(agent.get("/readyz").status, 503);
  EXPECT_EQ(agent.get("/healthz").status, 200);
  containerd.start();
  EXPECT_TRUE(agent.wait_ready()) << agent.get("/readyz").body;
}

TEST(TroubleAtStart, AConfigurationWithATypoNamesFileLineAndTheNearestKey) {
  TempDir dir;
  write_text(dir / "wherry.yaml", "device:\n  id: dev\nmqtt:\n  brokrs: [mqtt://127.0.0.1:1]\n");
  const CommandResult checked =
      run_command({WHERRY_BIN "/wherryd", "--config", dir / "wherry.yaml", "--check-config"});
  EXPECT_NE(checked.exit_code, 0);
  EXPECT_NE(checked.err.find("wherry.yaml:4"), std::string::npos) << checked.err;
  EXPECT_NE(checked.err.find("brokers"), std::string::npos) << checked.err;
}

TEST(TroubleAtStart, AnUnknownOptionIsAUsageError) {
  const CommandResult refused = run_command({WHERRY_BIN "/wherryd", "--foo"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.err.rfind("wherryd: ", 0), 0u) << refused.err;
  EXPECT_NE(refused.err.find("--foo"), std::string::npos) << refused.err;
}

TEST(TroubleAtStart, OnlyOneThingIsAskedForAtOnce) {
  const std::vector<std::pair<std::string, std::string>> both = {
      {"--check", "--support-bundle"},
      {"--check-config", "--check"},
      {"--support-bundle", "--check-config"}};
  for (const auto& [one, other] : both) {
    const CommandResult refused = run_command({WHERRY_BIN "/wherryd", one, other});
    EXPECT_EQ(refused.exit_code, 2) << one << other;
    EXPECT_EQ(refused.out, "") << one << other;
    EXPECT_EQ(refused.err.rfind("wherryd: ", 0), 0u) << refused.err;
    EXPECT_TRUE(refused.err.find(one + " excludes " + other + ";") != std::string::npos ||
                refused.err.find(other + " excludes " + one + ";") != std::string::npos)
        << refused.err;
  }
}

}  // namespace
}  // namespace wherry::test

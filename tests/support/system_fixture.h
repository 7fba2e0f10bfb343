#pragma once
// A whole device on a bench: containerd, Mosquitto, wherryd, and the fleet manager's connection.

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/containerd_daemon.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_image.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {

// What a container stack and a network hold, as text that compares. Images and their snapshots are
// not part of it: they stay for the next time.
struct Leftovers {
  std::set<std::string> items;  // "container web-…", "netns web", "iptables …"
  bool operator==(const Leftovers&) const = default;
  // For messages: what `this` has beyond `before`.
  std::string beyond(const Leftovers& before) const;
};

class SystemTest : public testing::Test {
 protected:
  static constexpr const char* kImage = "registry.local/box:1";

  // A device with an image that sleeps by default, its agent running and ready.
  void SetUp() override;
  void TearDown() override;

  virtual void configure(WherryOptions&) {}
  virtual ContainerdOptions containerd_options() { return {}; }

  std::string desired_topic() const;
  void publish(int64_t revision, const std::vector<nlohmann::json>& items);
  void publish_text(const std::string& payload);
  // The newest retained `reported` that the fleet manager has seen and that satisfies `wanted`.
  nlohmann::json wait_upstream(const std::function<bool(const nlohmann::json&)>& wanted,
                               Millis timeout = kPatience);
  // Until `name` runs; its first container's status. Fails the test at the deadline.
  nlohmann::json running(const std::string& name);
  // First process of container `container` (default: the workload's name) by containerd; 0: none.
  int pid_of(const std::string& workload, const std::string& container = "");
  // Every task of the agent's namespace: id -> process id.
  std::map<std::string, int> tasks();
  Leftovers leftovers();
  // Until nothing is left beyond `before`.
  void expect_back_to(const Leftovers& before);
  void import_image(const std::string& name, const ImageOptions& options = {});

  nlohmann::json sleeper(const std::string& name, bool host_network = true);

  std::unique_ptr<ContainerdDaemon> containerd_;
  std::unique_ptr<MosquittoBroker> broker_;
  std::unique_ptr<WherryDaemon> agent_;
  std::unique_ptr<MqttClient> fleet_;
  std::unique_ptr<MqttClient> tap_;  // hears everything, until the broker is stopped
  TempDir files_;
};

// The entry of `name` in a reported state, or null.
nlohmann::json workload_in(const nlohmann::json& reported, const std::string& name);
// Its newest accepted document, as the first entry of `desired`, or null.
nlohmann::json document_in(const nlohmann::json& reported);
// True when `name` is in `phase` there.
bool in_phase(const nlohmann::json& reported, const std::string& name, const std::string& phase);

}  // namespace wherry::test

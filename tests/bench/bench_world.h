#pragma once
// The daemons of one benchmark run, and how to see when a task started.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "runtime/containerd/client.h"
#include "tests/bench/floor.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/test_image.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::bench {

class World {
 public:
  // `sets`: of the agent, as --set takes them.
  explicit World(bool broker_nodelay = true, std::vector<std::string> sets = {});

  test::WherryDaemon& agent() { return *agent_; }
  runtime::Client& client() { return *client_; }
  test::ContainerdDaemon& containerd() { return *containerd_; }
  test::MosquittoBroker& broker() { return *broker_; }
  FloorImage floor_image() const { return floor_image_; }
  pid_t agent_pid() { return agent_->process().pid(); }

  // Publishes `pods` as the next revision; the wall time just before.
  WallTime publish(const std::vector<nlohmann::json>& pods);
  void publish_again();  // the same bytes
  // Until `count` tasks have started since `since`; the time of the last. Throws after two minutes.
  WallTime started(WallTime since, size_t count);
  // When each Pod's task last had the event `topic` ("/tasks/exit") since then.
  std::map<std::string, WallTime> events_of(const char* topic, WallTime since) const;
  // Until an image was recorded since `since`; when. Throws after five minutes.
  WallTime pulled(WallTime since);
  void settle(size_t workloads);  // until so many are Running and the document is Applied
  void clear();                   // items: [], until nothing is left

  nlohmann::json pod(const std::string& name, bool host_network, int host_port = 0);
  // A second image, with the same content as the first; its name.
  std::string other_image();
  static nlohmann::json pod_of(const std::string& name, const std::string& image);
  // Containerd's count of handled RPCs, images and events left out.
  int64_t container_calls();

 private:
  test::TestImage import_image(const std::string& name, const std::string& salt);

  test::TempDir files_;
  int metrics_port_;
  std::unique_ptr<test::ContainerdDaemon> containerd_;
  std::unique_ptr<test::MosquittoBroker> broker_;
  std::unique_ptr<test::WherryDaemon> agent_;
  std::unique_ptr<test::MqttClient> fleet_;
  std::unique_ptr<runtime::Client> client_;
  std::unique_ptr<test::Process> events_;
  FloorImage floor_image_;
  int64_t revision_ = 0;
  std::string last_;
};

// One bridge-and-portmap CNI ADD run by hand, nothing around it; deleted again afterwards.
Duration cni_add_by_hand(int index);

}  // namespace wherry::bench

#pragma once
// What must hold on a real device from its first boot on, step by step, in order: each step goes on
// from where the one before has left the device. A step that does not hold throws.

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/device/machine.h"
#include "tests/support/certificates.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/record_producers.h"
#include "tests/support/registry.h"
#include "tests/support/stream_judge.h"

namespace wherry::test {

struct DeviceTestOptions {
  std::string architecture;  // as Debian names it
  std::string image_dir;     // of scripts/device-image.sh
  std::string scratch_dir;
  std::string package, newer_package;  // files
  uint32_t seed = 0;
};

class DeviceTest {
 public:
  explicit DeviceTest(DeviceTestOptions options);

  // From a clean device by `apt install` and three lines of configuration to a document that runs,
  // published by mosquitto_pub over TLS.
  void install();
  // Pods are confined by the profiles of AppArmor that they name.
  void confinement();
  // Sizes are what cgroups v2 enforces, also those of a Pod that runs.
  void sizes();
  // Where everything waits for memory (PSI), the least important Pod goes.
  void pressure();
  // What runs without the agent, goes on while it hangs, and is the same when it is back.
  void watchdog();
  void reboot_without_network();
  // To the newer package, and back.
  void upgrade();
  // The power is cut `count` times while a document is carried out and records come in.
  void power_cuts(int count);
  // For who looks for what went wrong.
  std::string last_words();

 private:
  using Json = nlohmann::json;
  static constexpr Millis kPatience = Machine::kGuestPatience;

  std::string tls_listener(int port, const std::string& host);
  std::string make_payload();
  std::string push_image(const std::string& tag);
  // A document with a web page in `image`, the workload whose data comes from outside, and
  // `others`.
  void publish(const std::string& image, const Json& others = Json::array());
  // What the device tells by MQTT; it goes to the judge, too.
  void listen();
  void note_pressure(const std::string& batch);
  bool applied(const Json& reported) const;
  void wait_applied();
  // Until the device tells that `workload` is as `wanted`: what it tells of it. It is left alone
  // meanwhile.
  Json wait_told(const std::string& workload, const std::string& what,
                 const std::function<bool(const Json&)>& wanted);
  // What the agent itself says on its socket; null where it does not answer.
  Json status();
  void wait_running(const std::vector<std::string>& workloads);
  // Every container with its process and when that was started, as text that compares.
  std::string containers();
  void print_ready(const std::string& when);
  void cut_and_check(int number, Millis most);
  void check_store();
  void check_offline(uint64_t told, bool was_applied);
  void check_no_leftovers();

  const DeviceTestOptions options_;
  std::mt19937 random_;
  TempDir files_;
  CertificateAuthority authority_;
  const int device_port_, fleet_port_;  // of the broker, both with TLS
  const Certificate fleet_;
  std::unique_ptr<MosquittoBroker> broker_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<MqttClient> receiver_;
  std::unique_ptr<Machine> machine_;
  StreamJudge judge_;
  std::string first_image_;
  Json reported_ = Json::object();    // the newest
  uint64_t revision_ = 0, told_ = 0;  // the last published; the highest that the device told of
  double stalled_ = 0;                // the most that a sample said of memory (PSI, full)
  std::unique_ptr<RecordProducers> producers_;
};

}  // namespace wherry::test

#pragma once
// A device that is treated badly: its broker is killed, its network cut, its agent killed and its
// disk filled, at random, while records are handed in. Needs namespaces of its own (isolate.sh).

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/containerd_daemon.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/record_producers.h"
#include "tests/support/stream_judge.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {

enum class Trouble { BrokerKilled, BrokerRestarted, NetworkCut, AgentKilled, DiskFull };
inline constexpr Trouble kTroubles[] = {Trouble::BrokerKilled, Trouble::BrokerRestarted,
                                        Trouble::NetworkCut, Trouble::AgentKilled,
                                        Trouble::DiskFull};
const char* to_string(Trouble trouble);

// Everything random comes from `seed`. Make it on the main thread; throws std::runtime_error where
// something of it cannot be started or does not end.
class Soak {
 public:
  explicit Soak(uint32_t seed);
  ~Soak();
  Soak(const Soak&) = delete;
  Soak& operator=(const Soak&) = delete;

  // These troubles at once, for a while; then none, for a while. Prints what it does.
  void suffer(const std::vector<Trouble>& troubles);
  // One, or sometimes two at once.
  void suffer_at_random();
  // Everything is well again, and all has arrived. The receiver's verdict, from Batches alone.
  StreamJudge::Verdict finish();
  // Whether the producers' notes agree; after finish().
  std::vector<std::string> compare() const { return judge_.compare(producers_->notes()); }

  uint64_t accepted() const { return producers_->accepted(); }
  uint64_t refused() const { return producers_->refused(); }
  std::string agent_log() const { return agent_->log(); }
  std::mt19937& random() { return random_; }

 private:
  void begin(Trouble trouble);
  void end(Trouble trouble);
  void cut(bool on);
  void fill_disk();
  void listen();
  void take();
  void pass_time(int least_millis, int most_millis);

  std::mt19937 random_;
  TempDir files_;
  const int agent_port_;  // the broker's, for the agent alone
  std::unique_ptr<ContainerdDaemon> containerd_;
  std::unique_ptr<MosquittoBroker> broker_;
  std::unique_ptr<WherryDaemon> agent_;
  std::unique_ptr<MqttClient> receiver_;
  StreamJudge judge_;
  std::unique_ptr<RecordProducers> producers_;
  int cuts_ = 0;
};

}  // namespace wherry::test

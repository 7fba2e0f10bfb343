#include "tests/support/soak.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/files.h"
#include "tests/support/net.h"
#include "tests/support/test_image.h"

namespace wherry::test {
namespace {

constexpr const char* kDevice = "wherry/v1/devices/dev-1";
constexpr const char* kImage = "registry.local/box:1";
constexpr size_t kProducers = 4;
constexpr const char* kDiskSize = "size=48m";
// Small, so that a long cut fills it and something has to be dropped.
constexpr const char* kOutbox = "telemetry.outbox.max_bytes=1Mi";

void require(bool fine, const std::string& what) {
  if (!fine) throw std::runtime_error("soak: " + what);
}

}  // namespace

const char* to_string(Trouble trouble) {
  switch (trouble) {
    case Trouble::BrokerKilled:
      return "broker killed";
    case Trouble::BrokerRestarted:
      return "broker restarted";
    case Trouble::NetworkCut:
      return "network cut";
    case Trouble::AgentKilled:
      return "agent killed";
    case Trouble::DiskFull:
      return "disk full";
  }
  return "";
}

Soak::Soak(uint32_t seed) : random_(seed), agent_port_(free_port()) {
  // Room in the sockets for all that a broker may be killed with: it has said that it has it.
  for (const char* file : {"/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"}) {
    const Fd setting(open(file, O_WRONLY | O_CLOEXEC));
    if (setting.valid()) (void)!write(setting.get(), "4096 8388608 8388608", 20);
  }
  containerd_ = std::make_unique<ContainerdDaemon>();
  broker_ = std::make_unique<MosquittoBroker>(
      MosquittoOptions{.tcp_nodelay = true,
                       .extra_config = "listener " + std::to_string(agent_port_) + " 127.0.0.1\n"});
  WherryOptions options;
  options.containerd_socket = containerd_->socket();
  options.brokers = {"mqtt://127.0.0.1:" + std::to_string(agent_port_)};
  // With no reserve nobody is evicted when the disk is full.
  options.sets = {kOutbox, "mqtt.keepalive=5s", "storage.reserve=0", "telemetry.interval=0s"};
  agent_ = std::make_unique<WherryDaemon>(options);
  require(make_directories(agent_->state_dir()).has_value(), "no directory for the state");
  require(mount("soak", agent_->state_dir().c_str(), "tmpfs", 0, kDiskSize) == 0,
          "cannot mount a small disk");
  listen();
  agent_->start();
  require(agent_->wait_ready(), "the agent is not ready: " + tail(agent_->log()));
  make_busybox_archive(files_ / "box.tar", kImage);
  const CommandResult imported = agent_->cli({"images", "import", files_ / "box.tar"});
  require(imported.exit_code == 0, imported.err);
  nlohmann::json pod = simple_pod("pump", kImage, {"/bin/sh", "-c", "sleep 1000000"});
  pod["spec"]["terminationGracePeriodSeconds"] = 1;
  pod["metadata"]["annotations"]["wherry/data-api"] = "true";
  receiver_->publish_retained(std::string(kDevice) + "/desired",
                              desired_document(1, nlohmann::json::array({pod})));
  require(agent_->wait_phase("pump", "Running"), "the workload does not run: " + agent_->log());
  const std::string socket = agent_->run_dir() + "/pods/pump/data/data.sock";
  producers_ = std::make_unique<RecordProducers>(
      [socket](const std::string& request) { return ask_unix(socket, request); },
      files_ / "accepted", kProducers, random_());
}

Soak::~Soak() {
  producers_.reset();
  agent_->stop();
  umount2(agent_->state_dir().c_str(), MNT_DETACH);
}

// What the broker gives up with QoS 0 is in the kernel's hands before the sender hears of it: a
// broker that is killed then loses nothing that it has acknowledged.
void Soak::listen() {
  if (receiver_) {
    require(receiver_->wait_lost(), "the receiver still has a connection");
    take();
  }
  receiver_ = std::make_unique<MqttClient>(broker_->port());
  receiver_->subscribe(std::string(kDevice) + "/#", 0);
}

void Soak::take() {
  for (const MqttMessage& message : receiver_->take()) judge_.take(message, kDevice);
}

void Soak::cut(bool on) {
  if (on ? cuts_++ > 0 : --cuts_ > 0) return;
  const std::string port = std::to_string(agent_port_);
  for (const char* end : {"--dport", "--sport"}) {
    run_ok({"iptables", "-w", on ? "-I" : "-D", "INPUT", "-p", "tcp", end, port, "-j", "DROP"});
  }
}

void Soak::fill_disk() {
  const Fd file(
      open((agent_->state_dir() + "/filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const std::string zeros(64 << 10, '\0');
  for (size_t piece = zeros.size(); piece > 0; piece /= 2) {
    while (write(file.get(), zeros.data(), piece) > 0) {
    }
  }
}

void Soak::begin(Trouble trouble) {
  switch (trouble) {
    case Trouble::BrokerKilled:
    case Trouble::BrokerRestarted:
      if (trouble == Trouble::BrokerKilled) {
        broker_->kill();
      } else {
        broker_->stop();
      }
      return cut(true);
    case Trouble::NetworkCut:
      return cut(true);
    case Trouble::AgentKilled:
      return agent_->kill();
    case Trouble::DiskFull:
      return fill_disk();
  }
}

void Soak::end(Trouble trouble) {
  switch (trouble) {
    case Trouble::BrokerKilled:
    case Trouble::BrokerRestarted:
      broker_->start();
      // Whoever is not subscribed yet gets nothing: the agent has to wait for the receiver.
      listen();
      return cut(false);
    case Trouble::NetworkCut:
      return cut(false);
    case Trouble::AgentKilled:
      return agent_->start();
    case Trouble::DiskFull:
      unlink((agent_->state_dir() + "/filler").c_str());
      return;
  }
}

void Soak::pass_time(int least_millis, int most_millis) {
  const int millis = std::uniform_int_distribution<int>(least_millis, most_millis)(random_);
  (void)wait_until([] { return false; }, Millis(millis));
  take();
}

void Soak::suffer(const std::vector<Trouble>& troubles) {
  std::string names;
  for (const Trouble trouble : troubles) {
    names += (names.empty() ? "" : " and ") + std::string(to_string(trouble));
  }
  std::printf("%9llu accepted, %llu requests refused; now: %s\n",
              static_cast<unsigned long long>(accepted()),
              static_cast<unsigned long long>(refused()), names.c_str());
  std::fflush(stdout);
  for (const Trouble trouble : troubles) begin(trouble);
  const bool cut_off = std::count(troubles.begin(), troubles.end(), Trouble::NetworkCut) > 0;
  pass_time(100, cut_off ? 8000 : 3000);
  // An agent cannot be started on a full disk: the disk comes first.
  std::vector<Trouble> ends = troubles;
  std::stable_partition(ends.begin(), ends.end(),
                        [](Trouble trouble) { return trouble == Trouble::DiskFull; });
  for (const Trouble trouble : ends) end(trouble);
  pass_time(100, 2000);
}

void Soak::suffer_at_random() {
  std::vector<Trouble> all(std::begin(kTroubles), std::end(kTroubles));
  std::shuffle(all.begin(), all.end(), random_);
  const size_t count = 1 + random_() % 2;
  std::vector<Trouble> chosen(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
  const auto is_broker = [](Trouble trouble) {
    return trouble == Trouble::BrokerKilled || trouble == Trouble::BrokerRestarted;
  };
  if (std::all_of(chosen.begin(), chosen.end(), is_broker)) chosen.resize(1);
  suffer(chosen);
}

StreamJudge::Verdict Soak::finish() {
  const std::vector<uint32_t> last = producers_->finish();
  // The last record of a stream is never the one that is dropped.
  const bool all = wait_until([&] {
    take();
    for (size_t i = 0; i < last.size(); ++i) {
      if (!judge_.has(RecordProducers::stream(i), last[i])) return false;
    }
    return true;
  });
  StreamJudge::Verdict verdict = judge_.verdict();
  if (!all) verdict.problems.emplace_back("the last record of a stream did not arrive");
  return verdict;
}

}  // namespace wherry::test

#pragma once
// The agent itself, as a process with a configuration of its own.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/openapi.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {

struct WherryOptions {
  std::string containerd_socket;     // empty: a path where nothing listens
  std::vector<std::string> brokers;  // empty: a port where nothing listens
  std::string device_id = "dev-1";
  std::vector<std::string> groups;
  std::string topic_prefix = "wherry/v1";
  // Empty: one that no other test has. runc's state and cgroups are shared by all containerds of a
  // machine and keyed by it.
  std::string containerd_namespace;
  std::string bridge_subnet = "10.89.0.0/16";
  std::string snapshotter = "overlayfs";
  std::vector<std::string> sets;           // --set key.path=value, after everything else
  std::map<std::string, std::string> env;  // WHERRY_FAILPOINTS and its like
  std::string binary;                      // empty: the wherryd of this build
};

struct RestAnswer {
  int status = 0;  // 0: nobody answered
  std::string body;
  std::string content_type;
  // Null value when the body is not JSON.
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

// State, run directory and API socket lie in a temporary directory. Make it on the main thread.
class WherryDaemon {
 public:
  explicit WherryDaemon(WherryOptions options);  // does not start it yet
  ~WherryDaemon();                               // SIGTERM, then SIGKILL

  WherryOptions& options() { return options_; }  // changes take effect at the next start()
  std::string directory() const { return dir_.path(); }
  std::string state_dir() const { return dir_ / "state"; }
  std::string run_dir() const { return dir_ / "run"; }
  std::string manifests_dir() const { return dir_ / "manifests"; }
  std::string preload_dir() const { return dir_ / "preload"; }
  std::string config_file() const { return dir_ / "wherry.yaml"; }
  std::string api_socket() const { return dir_ / "run/api.sock"; }
  std::string log() const { return read_text(dir_ / "wherryd.log"); }
  Process& process() { return *process_; }
  bool running() { return process_ && process_->running(); }

  void spawn();  // writes the configuration and starts the process, waits for nothing
  void start();  // spawn(), then until GET /healthz answers; throws with the log's tail
  int stop();    // SIGTERM; the exit status
  void kill();   // SIGKILL
  void restart() { stop(), start(); }
  bool wait_ready(Millis timeout = kPatience);  // until GET /readyz says 200

  RestAnswer get(const std::string& path);
  RestAnswer request(const std::string& method, const std::string& path, const std::string& body,
                     const std::string& content_type = "application/json");
  // What get() and request() were answered so far: the newest few of each sort.
  std::vector<RestAnswered> answers() const;
  // GET /v1/status; a null value while it does not answer.
  nlohmann::json reported();
  // Waits until the reported state satisfies `wanted`; returns the last one seen either way.
  nlohmann::json wait_reported(const std::function<bool(const nlohmann::json&)>& wanted,
                               Millis timeout = kPatience);
  // The workload's entry of the reported state, or a null value.
  nlohmann::json workload(const std::string& name);
  // Until workload `name` is in `phase` (and ready, for "Running"); false at the deadline.
  bool wait_phase(const std::string& name, const std::string& phase, Millis timeout = kPatience);

  // `wherry --socket … ARGUMENTS…` of the same build.
  CommandResult cli(std::vector<std::string> arguments);

 private:
  std::string config_text() const;
  RestAnswer noted(const std::string& method, const std::string& target, RestAnswer answer);

  WherryOptions options_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
  mutable std::mutex answers_mutex_;
  std::map<std::string, std::deque<RestAnswered>> answers_;
};

// A DesiredState document (contract section 3) around Kubernetes objects.
std::string desired_document(int64_t revision, const nlohmann::json& items);
// A Pod with one container named like the Pod.
nlohmann::json simple_pod(const std::string& name, const std::string& image,
                          const std::vector<std::string>& command, bool host_network = true);

}  // namespace wherry::test

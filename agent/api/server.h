#pragma once
// The REST interface of docs/rest.md: on a unix socket and, when asked, on TCP with a token.
// Reads immutable snapshots; never waits for the reconciler.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/api/guard.h"
#include "agent/api/http_server.h"
#include "agent/command/commands.h"
#include "agent/reconcile/document_requests.h"
#include "agent/reconcile/state_view.h"
#include "agent/store/store.h"
#include "base/bell.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "runtime/runtime.h"

namespace wherry {

struct Route;

struct ApiOptions {
  std::string socket = "/run/wherry/api.sock";
  std::string group = "wherry";  // may use the socket, where such a group exists
  std::string listen;            // "127.0.0.1:7070", "[::]:7070"; empty: no TCP
  std::string token_file;        // needed with `listen`
  // Archives on their way to containerd; its own directory: emptied at start.
  std::string upload_dir = "/var/lib/wherry/uploads";
  bool tcp_imports = true;  // images may be imported over TCP too
  int64_t max_upload_bytes = 8ll << 30;
  int64_t disk_reserve = 200ll << 20;            // an upload never takes the disk's last bytes
  Duration tcp_retry = std::chrono::seconds(5);  // while TCP cannot be served
  size_t max_follows = 4;  // streams at once over the socket, and over TCP; each holds a thread
  size_t max_uploads = 2;
  size_t max_pulls = 2;  // asked for here; those of workloads do not count
  size_t max_execs = 4;
  size_t max_plans = 2;  // which may ask registries
  http::ServerLimits limits;
  ApiRates rates;
};

// What the server reads and asks. References and functions must outlive it; all are called from
// several threads at once.
struct ApiDependencies {
  const StateBoard& board;
  const Clock& clock;
  runtime::Logs& logs;
  runtime::Images& images;
  // As Store::events.
  std::function<Result<std::vector<EventRecord>>(int64_t after, size_t limit)> events;
  // Rings after each event. May be null: then they cannot be followed (501).
  const Bell* event_bell = nullptr;
  // After an import or a pull, however it ended: a workload may wait for the image, and of what
  // failed or was broken off nothing may stay. May be empty.
  std::function<void()> on_images_changed;
  // Removes every image that nobody needs; waits for it. May be empty: then it cannot be asked for.
  std::function<Result<runtime::PruneReport>(const CancelToken&)> prune;
  // An error where the agent is up but makes no progress any more; /healthz is then 503. May be
  // empty.
  std::function<Status()> alive;
  // The text for Prometheus; what it measures is read now. May be empty: then there is none.
  std::function<std::string()> metrics{};
  // Null: nothing about workloads can be ordered, and nothing run in them.
  const Commands* commands = nullptr;
  // The accepted documents as one; as apply_now(); as forecast(). Empty: it cannot be asked for.
  std::function<Result<std::string>(const CancelToken&)> desired{};
  std::function<Result<Applied>(ApplyRequest, const CancelToken&)> apply{};
  std::function<Result<Planned>(const PlanRequest&, const CancelToken&)> plan{};
  // What wherry check finds, as JSON; Unavailable where too many ask. May be empty: 501.
  std::function<Result<std::string>(const CancelToken&)> check{};
  // Writes the support bundle (tar.gz), with what containers print where `logs`, until the sink
  // says that nobody takes it. May be empty: 501.
  std::function<Status(bool logs, const std::function<bool(std::string_view)>& sink,
                       const CancelToken&)>
      support_bundle{};
};

class ApiServer {
 public:
  ApiServer(ApiOptions options, ApiDependencies dependencies);
  ~ApiServer();  // stops
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Serves when it returns. Fails when the unix socket cannot be had; trouble with TCP is logged,
  // told by tcp_status() and tried again, for the local tools must work to find out why. Call once.
  Status start();
  // Within about two seconds, also with streams open. Idempotent.
  void stop();

  // Why nobody is served over TCP although it was asked for: the address or the token cannot be
  // had at this moment. Thread-safe.
  Status tcp_status() const;
  int tcp_port() const { return tcp_port_; }  // 0 where TCP is not served. Thread-safe

  // Everything that can be asked for, in the table's order.
  std::vector<const Route*> routes() const;
  // Answers a request that has been received; what the server does with each. Thread-safe.
  void answer(http::Exchange& exchange) const;

 private:
  struct Routes;
  Result<http::Listener> open_tcp();
  void retry_tcp();

  mutable std::mutex tcp_mutex_;
  Status tcp_status_;
  std::atomic<int> tcp_port_{0};
  std::thread tcp_retry_;
  CancelToken stopping_;
  const ApiOptions options_;
  std::unique_ptr<Routes> routes_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace wherry

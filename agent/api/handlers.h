#pragma once
// What answers each route. Every function answers the exchange exactly once.

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "agent/api/http_exchange.h"
#include "agent/api/server.h"
#include "agent/command/command.h"
#include "agent/reconcile/pull_view.h"

namespace wherry {

// A number of places; a taken one comes back when its handle dies. Thread-safe.
class Slots {
 public:
  explicit Slots(size_t count) : free_(static_cast<int64_t>(count)) {}
  std::shared_ptr<void> take();  // null when all are taken

 private:
  std::atomic<int64_t> free_;
};

// Bytes that uploads have announced and not written yet, of which the disk does not know.
// Thread-safe.
class Announced {
 public:
  // What one upload announced, until it dies; the sum must outlive it.
  class Share {
   public:
    explicit Share(Announced& all) : all_(all) {}
    ~Share() { written(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // Takes `bytes` more where they fit into what `free` says, beside what others announced.
    bool take(int64_t bytes, const std::function<int64_t()>& free);
    void written(int64_t bytes);

   private:
    Announced& all_;
    int64_t bytes_ = 0;
  };

 private:
  std::atomic<int64_t> bytes_ = 0;
};

// The pulls that were asked for here and go on. Thread-safe.
class ShownPulls {
 public:
  // One of them, until it dies; the list must outlive it.
  class Entry {
   public:
    Entry(ShownPulls& all, const std::string& image);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    void progress(const runtime::PullProgress& progress);

   private:
    ShownPulls& all_;
    std::list<PullView>::iterator place_;
  };
  std::vector<PullView> list() const;

 private:
  mutable std::mutex mutex_;
  std::list<PullView> pulls_;
};

struct HandlerContext {
  const ApiOptions& options;
  const ApiDependencies& deps;
  Slots follows, tcp_follows;
  Slots uploads;
  Slots pulls;
  Slots execs;
  Slots plans;
  Slots checks;
  Slots bundles;
  ShownPulls shown_pulls;
  Announced announced;
  // http::Server::watch
  std::function<std::shared_ptr<void>(http::Exchange&)> watch;
};

// A place for one more stream, of those for where it came from: TCP takes none of the socket's.
inline std::shared_ptr<void> take_follow(HandlerContext& context, const http::Exchange& exchange) {
  return (exchange.peer().tcp ? context.tcp_follows : context.follows).take();
}

void answer_json(http::Exchange& exchange, int status, const std::string& json);
// Where HandlerContext::follows are all taken.
http::Problem too_many_streams();
// The body of a request, where it is small. 400, 408, 411 where there is none, or 413, which says
// that it is too large for `what`.
tl::expected<std::string, http::Problem> read_small_body(http::Exchange& exchange, size_t most,
                                                         const std::string& what);
// For what takes no arguments: nothing where there is no body, or an empty object.
std::optional<http::Problem> refuse_arguments(http::Exchange& exchange, CommandKind kind,
                                              WallTime now);
nlohmann::ordered_json image_json(const runtime::Image& image);

void answer_healthz(const HandlerContext& context, http::Exchange& exchange);
void answer_readyz(const HandlerContext& context, http::Exchange& exchange);
void answer_metrics(const HandlerContext& context, http::Exchange& exchange);
void answer_openapi(const HandlerContext& context, http::Exchange& exchange);
void answer_status(const HandlerContext& context, http::Exchange& exchange);
void answer_workloads(const HandlerContext& context, http::Exchange& exchange);
void answer_workload(const HandlerContext& context, http::Exchange& exchange,
                     const std::string& name);
void answer_why(const HandlerContext& context, http::Exchange& exchange, const std::string& name);
void answer_events(HandlerContext& context, http::Exchange& exchange);
void answer_logs(HandlerContext& context, http::Exchange& exchange, const std::string& name);
void answer_images(const HandlerContext& context, http::Exchange& exchange);
void import_images(HandlerContext& context, http::Exchange& exchange);
void prune_images(const HandlerContext& context, http::Exchange& exchange);
void pull_image(HandlerContext& context, http::Exchange& exchange);
void order_workload(const HandlerContext& context, http::Exchange& exchange,
                    const std::string& name, CommandKind kind);
void answer_desired(const HandlerContext& context, http::Exchange& exchange);
void apply_document(const HandlerContext& context, http::Exchange& exchange);
void plan_document(HandlerContext& context, http::Exchange& exchange);
void answer_check(HandlerContext& context, http::Exchange& exchange);
void answer_support_bundle(HandlerContext& context, http::Exchange& exchange);
void exec_in_workload(HandlerContext& context, http::Exchange& exchange, const std::string& name);

// Removes archives that a crash left behind.
void clear_uploads(const std::string& directory);

}  // namespace wherry

#include "agent/api/server.h"

#include <utility>

#include "agent/api/dashboard.h"
#include "agent/api/handlers.h"
#include "agent/api/router.h"
#include "base/executor.h"
#include "base/log.h"

namespace wherry {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds(2);
constexpr size_t kChecks = 2;  // at once; the second has its turn after the first
constexpr size_t kBundles = 1;

std::vector<Route> make_routes(HandlerContext& context) {
  const auto plain = [&context](void (*answer)(const HandlerContext&, http::Exchange&)) {
    return [&context, answer](http::Exchange& exchange, const std::string&) {
      answer(context, exchange);
    };
  };
  const auto workload = [&context](http::Exchange& exchange, const std::string& name) {
    answer_workload(context, exchange, name);
  };
  const auto events = [&context](http::Exchange& exchange, const std::string&) {
    answer_events(context, exchange);
  };
  const auto logs = [&context](http::Exchange& exchange, const std::string& name) {
    answer_logs(context, exchange, name);
  };
  const auto import = [&context](http::Exchange& exchange, const std::string&) {
    import_images(context, exchange);
  };
  const auto pull = [&context](http::Exchange& exchange, const std::string&) {
    pull_image(context, exchange);
  };
  const auto order = [&context](CommandKind kind) {
    return [&context, kind](http::Exchange& exchange, const std::string& name) {
      order_workload(context, exchange, name, kind);
    };
  };
  const auto why = [&context](http::Exchange& exchange, const std::string& name) {
    answer_why(context, exchange, name);
  };
  const auto page = [](http::Exchange& exchange, const std::string&) {
    answer_dashboard(exchange);
  };
  const auto exec = [&context](http::Exchange& exchange, const std::string& name) {
    exec_in_workload(context, exchange, name);
  };
  const auto plan = [&context](http::Exchange& exchange, const std::string&) {
    plan_document(context, exchange);
  };
  const auto check = [&context](http::Exchange& exchange, const std::string&) {
    answer_check(context, exchange);
  };
  const auto bundle = [&context](http::Exchange& exchange, const std::string&) {
    answer_support_bundle(context, exchange);
  };
  return {
      {"GET", "/healthz", plain(answer_healthz)},
      {"GET", "/readyz", plain(answer_readyz)},
      {"GET", "/metrics", plain(answer_metrics)},
      {"GET", "/v1/status", plain(answer_status)},
      {"GET", "/v1/workloads", plain(answer_workloads)},
      {"GET", "/v1/workloads/{name}", workload},
      {"GET",
       "/v1/workloads/{name}/logs",
       logs,
       {"container", "tail", "since", "until", "pattern", "follow", "timestamps"}},
      {"GET", "/v1/events", events, {"after", "limit", "follow"}},
      {"GET", "/v1/images", plain(answer_images)},
      {"POST", "/v1/images", import, {"file"}},
      {"POST", "/v1/images:pull", pull},
      {"POST", "/v1/images:prune", plain(prune_images)},
      {"GET", "/", page},
      {"GET", "/dashboard.css", page},
      {"GET", "/dashboard.js", page},
      {"GET", "/favicon.svg", page},
      {"GET", "/openapi.json", plain(answer_openapi)},
      {"GET", "/v1/workloads/{name}/why", why},
      {"POST", "/v1/workloads/{name}/restart", order(CommandKind::Restart)},
      {"POST", "/v1/workloads/{name}/stop", order(CommandKind::Stop)},
      {"POST", "/v1/workloads/{name}/start", order(CommandKind::Start)},
      {"POST", "/v1/workloads/{name}/exec", exec},
      {"GET", "/v1/desired", plain(answer_desired)},
      {"PUT", "/v1/desired", plain(apply_document)},
      {"POST", "/v1/plan", plan, {"source"}},
      {"GET", "/v1/check", check},
      {"GET", "/v1/support-bundle", bundle, {"logs"}},
  };
}

}  // namespace

std::shared_ptr<void> Slots::take() {
  if (free_.fetch_sub(1) <= 0) {
    free_.fetch_add(1);
    return nullptr;
  }
  return {this, [](void* slots) { static_cast<Slots*>(slots)->free_.fetch_add(1); }};
}

struct ApiServer::Routes {
  Routes(const ApiOptions& options, ApiDependencies dependencies)
      : deps(std::move(dependencies)),
        context{options,
                deps,
                Slots(options.max_follows),
                Slots(options.max_follows),
                Slots(options.max_uploads),
                Slots(options.max_pulls),
                Slots(options.max_execs),
                Slots(options.max_plans),
                Slots(kChecks),
                Slots(kBundles),
                {},
                {},
                {}},
        router(make_routes(context)),
        guard(options.token_file, options.rates, deps.clock) {}

  void handle(http::Exchange& exchange) {
    if (const auto problem = guard.check(exchange)) {
      exchange.respond(*problem);
    } else {
      router.handle(exchange);
    }
    log_debug("api", {{"method", exchange.request().method},
                      {"target", exchange.request().target},
                      {"status", std::to_string(exchange.status())}});
  }

  const ApiDependencies deps;
  HandlerContext context;
  const Router router;
  Guard guard;
};

ApiServer::ApiServer(ApiOptions options, ApiDependencies dependencies)
    : options_(std::move(options)),
      routes_(std::make_unique<Routes>(options_, std::move(dependencies))),
      server_(std::make_unique<http::Server>(
          "api", options_.limits, [this](http::Exchange& exchange) { routes_->handle(exchange); },
          [this](http::Peer& peer) { return routes_->guard.admit(peer); })) {
  routes_->context.watch = [this](http::Exchange& exchange) { return server_->watch(exchange); };
}

ApiServer::~ApiServer() { stop(); }

Status ApiServer::start() {
  clear_uploads(options_.upload_dir);
  std::vector<http::Listener> listeners;
  auto local = http::Listener::unix_socket(options_.socket, options_.group);
  if (!local) return fail(local.error(), "serve the API");
  listeners.push_back(std::move(*local));
  const bool wants_tcp = !options_.listen.empty();
  if (wants_tcp) {
    if (auto tcp = open_tcp()) listeners.push_back(std::move(*tcp));
  }
  if (Status started = server_->start(std::move(listeners)); !started) return started;
  const bool has_tcp = tcp_port_ > 0;
  log_info("api ready", {{"socket", options_.socket}, {"listen", has_tcp ? options_.listen : ""}});
  if (wants_tcp && !has_tcp) tcp_retry_ = std::thread([this] { retry_tcp(); });
  return {};
}

Result<http::Listener> ApiServer::open_tcp() {
  const auto token = Guard::read_token(options_.token_file);
  auto tcp =
      token ? http::Listener::tcp(options_.listen) : Result<http::Listener>(fail(token.error()));
  const std::lock_guard lock(tcp_mutex_);
  const std::string before = tcp_status_ ? "" : tcp_status_.error().full();
  tcp_status_ = tcp ? Status{} : fail(tcp.error(), "serve the API on " + options_.listen);
  if (tcp) {
    tcp_port_ = tcp->port();
  } else if (tcp_status_.error().full() != before) {
    log_error("the API is served on its unix socket only",
              {{"reason", tcp_status_.error().full()}});
  }
  return tcp;
}

void ApiServer::retry_tcp() {
  name_this_thread("api-tcp");
  while (!stopping_.wait_for(options_.tcp_retry)) {
    auto tcp = open_tcp();
    if (!tcp) continue;
    server_->add(std::move(*tcp));
    log_info("the API is served over TCP now", {{"listen", options_.listen}});
    return;
  }
}

Status ApiServer::tcp_status() const {
  const std::lock_guard lock(tcp_mutex_);
  if (!tcp_status_ || tcp_port_ == 0) return tcp_status_;
  const auto token = Guard::read_token(options_.token_file);
  return token ? Status{} : fail(token.error(), "requests over TCP are refused");
}

std::vector<const Route*> ApiServer::routes() const { return routes_->router.routes(); }

void ApiServer::answer(http::Exchange& exchange) const { routes_->handle(exchange); }

void ApiServer::stop() {
  stopping_.cancel();
  if (tcp_retry_.joinable()) tcp_retry_.join();
  server_->stop(kStopGrace);
}

}  // namespace wherry

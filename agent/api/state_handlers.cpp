// Health, state and events: all from snapshots.
#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "agent/api/handlers.h"
#include "agent/api/openapi.h"
#include "agent/reconcile/event_json.h"
#include "agent/reconcile/why.h"
#include "base/text.h"

namespace wherry {
namespace {

using http::Problem;
using Json = nlohmann::ordered_json;

constexpr size_t kEventsByDefault = 100;
constexpr size_t kEventsAtMost = 1000;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Check {
  std::string name;
  bool ok = false;
  std::string reason;
};

Json checks_json(const std::vector<Check>& checks) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push_back({{"name", check.name}, {"ok", check.ok}, {"reason", check.reason}});
  }
  return list;
}

void answer_checks(http::Exchange& exchange, const std::vector<Check>& checks,
                   std::string_view good, const std::string& bad) {
  std::vector<std::string> failing;
  for (const Check& check : checks) {
    if (!check.ok) failing.push_back(check.name + ": " + check.reason);
  }
  if (failing.empty()) {
    return answer_json(exchange, 200, dump({{"status", good}, {"checks", checks_json(checks)}}));
  }
  const Problem problem{503, bad + "; " + join(failing, "; ")};
  exchange.respond(problem.status, "application/problem+json",
                   http::to_json(problem, {{"checks", checks_json(checks)}}) + "\n");
}

Check condition_check(const StateView& view, const std::string& type) {
  const auto found = std::find_if(view.conditions.begin(), view.conditions.end(),
                                  [&](const ConditionView& c) { return c.type == type; });
  if (found == view.conditions.end()) return {type, false, "not known yet"};
  if (found->status) return {type, true, ""};
  return {type, false, found->message.empty() ? found->reason : found->message};
}

bool parse_number(const std::string& text, int64_t& value) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  return parsed.ec == std::errc() && parsed.ptr == end && value >= 0 && !text.empty();
}

}  // namespace

void answer_json(http::Exchange& exchange, int status, const std::string& json) {
  exchange.respond(status, "application/json", json + "\n");
}

Problem too_many_streams() {
  return {503,
          "too many logs and events are followed at once; end one and try again",
          "TooManyStreams",
          {{"Retry-After", "5"}}};
}

void answer_healthz(const HandlerContext& context, http::Exchange& exchange) {
  const Status alive = context.deps.alive ? context.deps.alive() : Status();
  answer_checks(exchange, {{"Progress", alive.has_value(), alive ? "" : alive.error().full()}},
                "ok", "the agent makes no progress");
}

void answer_readyz(const HandlerContext& context, http::Exchange& exchange) {
  const auto view = context.deps.board.get();
  answer_checks(exchange,
                {condition_check(*view, "StoreReady"),
                 condition_check(*view, "ContainerdReady"),
                 {"FirstPassDone", view->first_pass_done,
                  view->first_pass_done ? "" : "what runs has not been compared with what should"}},
                "ready", "not ready");
}

void answer_metrics(const HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.metrics) return exchange.respond(Problem{501, "there are no metrics"});
  // The exposition format of Prometheus.
  exchange.respond(200, "text/plain; version=0.0.4; charset=utf-8", context.deps.metrics());
}

void answer_openapi(const HandlerContext&, http::Exchange& exchange) {
  answer_json(exchange, 200, openapi_document());
}

void answer_status(const HandlerContext& context, http::Exchange& exchange) {
  answer_json(exchange, 200, to_reported_json(*context.deps.board.get()));
}

void answer_workloads(const HandlerContext& context, http::Exchange& exchange) {
  const auto view = context.deps.board.get();
  std::string json = R"({"workloads":[)";
  for (size_t i = 0; i < view->workloads.size(); ++i) {
    if (i > 0) json += ',';
    json += to_json(view->workloads[i]);
  }
  json += ']';
  for (size_t i = 0; i < view->controllers.size(); ++i) {
    json += i > 0 ? "," : R"(,"controllers":[)";
    json += to_json(view->controllers[i]);
  }
  if (!view->controllers.empty()) json += "]";
  for (size_t i = 0; i < view->services.size(); ++i) {
    json += i > 0 ? "," : R"(,"services":[)";
    json += to_json(view->services[i]);
  }
  answer_json(exchange, 200, json + (view->services.empty() ? "}" : "]}"));
}

void answer_workload(const HandlerContext& context, http::Exchange& exchange,
                     const std::string& name) {
  const auto view = context.deps.board.get();
  const WorkloadView* workload = view->find(name);
  if (workload == nullptr) {
    return exchange.respond(Problem{404, "there is no workload \"" + name + "\" on this device"});
  }
  answer_json(exchange, 200, to_json(*workload));
}

namespace {

constexpr size_t kEventsOfWhy = 5;

// The last few about this workload, oldest first; they explain the rest but are not worth an error.
Json last_events(const HandlerContext& context, const std::string& name) {
  Json mine = Json::array();
  int64_t after = 0;
  while (true) {
    const auto events = context.deps.events(after, kEventsAtMost);
    if (!events) return mine;
    for (const EventRecord& event : *events) {
      if (event.workload == name) mine.push_back(event_json(event));
      if (mine.size() > kEventsOfWhy) mine.erase(mine.begin());
    }
    if (events->size() < kEventsAtMost) return mine;
    after = events->back().number;
  }
}

}  // namespace

void answer_why(const HandlerContext& context, http::Exchange& exchange, const std::string& name) {
  const auto view = context.deps.board.get();
  const WorkloadView* workload = view->find(name);
  if (workload == nullptr) {
    std::string detail = "there is no workload \"" + name + "\" on this device";
    for (const Because& each : why_absent(*view, name)) {
      detail += "; " + each.about + ": " + each.message;
    }
    return exchange.respond(Problem{404, std::move(detail)});
  }
  Json json = why_json(*view, *workload);
  json["events"] = last_events(context, name);
  answer_json(exchange, 200, dump(json));
}

// One event a line, those there are and those to come, until the client leaves or the agent stops.
void follow_events(HandlerContext& context, http::Exchange& exchange, int64_t after) {
  if (context.deps.event_bell == nullptr) {
    return exchange.respond(Problem{501, "events cannot be followed here"});
  }
  constexpr const char* kLines = "application/x-ndjson";
  if (exchange.request().method == "HEAD") {
    static_cast<void>(exchange.begin(200, kLines));
    return;
  }
  const std::shared_ptr<void> place = take_follow(context, exchange);
  if (!place) return exchange.respond(too_many_streams());
  const std::shared_ptr<void> watched = context.watch(exchange);
  if (!exchange.begin(200, kLines)) return;
  while (!exchange.cancel().cancelled()) {
    const uint64_t heard = context.deps.event_bell->count();
    const auto events = context.deps.events(after, kEventsAtMost);
    if (!events) return;  // past the beginning: it ends without its end mark
    std::string lines;
    for (const EventRecord& event : *events) lines += event_record(event) + "\n";
    if (!lines.empty() && !exchange.write(lines)) return;
    if (!events->empty()) after = events->back().number;
    if (events->size() < kEventsAtMost) context.deps.event_bell->wait(heard, exchange.cancel());
  }
  static_cast<void>(exchange.finish());
}

void answer_events(HandlerContext& context, http::Exchange& exchange) {
  int64_t after = 0, limit = kEventsByDefault;
  const http::Request& request = exchange.request();
  const std::string* follow = request.param("follow");
  if (follow != nullptr && *follow != "true" && *follow != "false") {
    return exchange.respond(Problem{400, "follow must be true or false"});
  }
  if (const std::string* text = request.param("after"); text && !parse_number(*text, after)) {
    return exchange.respond(Problem{400, "after must be the number of an event"});
  }
  if (const std::string* text = request.param("limit");
      text &&
      (!parse_number(*text, limit) || limit < 1 || limit > static_cast<int64_t>(kEventsAtMost))) {
    return exchange.respond(
        Problem{400, "limit must be between 1 and " + std::to_string(kEventsAtMost)});
  }
  if (follow != nullptr && *follow == "true") return follow_events(context, exchange, after);
  const auto events = context.deps.events(after, static_cast<size_t>(limit));
  if (!events) return exchange.respond(http::problem_from(events.error()));
  Json list = Json::array();
  for (const EventRecord& event : *events) list.push_back(event_json(event));
  answer_json(exchange, 200, dump({{"events", std::move(list)}}));
}

}  // namespace wherry

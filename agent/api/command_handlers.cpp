// What may be ordered about a workload, and programs run in it.
#include <utility>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "agent/api/handlers.h"

namespace wherry {
namespace {

using http::Problem;

constexpr const char* kGivenBy = "through the API of this device";

bool has_body(const http::Request& request) {
  return request.chunked || request.content_length > 0;
}

}  // namespace

tl::expected<std::string, Problem> read_small_body(http::Exchange& exchange, size_t most,
                                                   const std::string& what) {
  const http::Request& request = exchange.request();
  if (!has_body(request)) {
    return tl::unexpected<Problem>(Problem{411, "send " + what + " as the body"});
  }
  const Problem too_large{413, "the body is too large for " + what};
  if (request.content_length > most) return tl::unexpected<Problem>(too_large);
  std::string body(most + 1, '\0');
  size_t size = 0;
  while (size < body.size()) {
    const auto got = exchange.read_body(body.data() + size, body.size() - size);
    if (!got) {
      const bool late = got.error().code() == Code::DeadlineExceeded;
      return tl::unexpected<Problem>(Problem{late ? 408 : 400, got.error().full()});
    }
    if (*got == 0) break;
    size += *got;
  }
  if (size > most) return tl::unexpected<Problem>(too_large);
  body.resize(size);
  return body;
}

std::optional<Problem> refuse_arguments(http::Exchange& exchange, CommandKind kind, WallTime now) {
  if (!has_body(exchange.request())) return std::nullopt;
  const auto body = read_small_body(exchange, kMaxCommandBytes, "an order");
  if (!body) return body.error();
  if (body->empty()) return std::nullopt;
  const auto none = parse_arguments(kind, *body, now, "");
  return none ? std::nullopt : std::optional(http::problem_from(none.error()));
}

void order_workload(const HandlerContext& context, http::Exchange& exchange,
                    const std::string& name, CommandKind kind) {
  if (context.deps.commands == nullptr) {
    return exchange.respond(Problem{501, "workloads cannot be ordered about here"});
  }
  if (const auto problem = refuse_arguments(exchange, kind, context.deps.clock.wall())) {
    return exchange.respond(*problem);
  }
  Command command;
  command.kind = kind;
  command.workload = name;
  const auto taken = context.deps.commands->carry_out(command, kGivenBy, exchange.cancel());
  if (!taken) return exchange.respond(http::problem_from(taken.error()));
  answer_json(exchange, 202, *taken);
}

void exec_in_workload(HandlerContext& context, http::Exchange& exchange, const std::string& name) {
  if (context.deps.commands == nullptr) {
    return exchange.respond(Problem{501, "nothing can be run in workloads here"});
  }
  const auto body = read_small_body(exchange, kMaxCommandBytes, "a command");
  if (!body) return exchange.respond(body.error());
  const auto command = parse_arguments(CommandKind::Exec, *body, context.deps.clock.wall(), name);
  if (!command) return exchange.respond(http::problem_from(command.error()));
  const auto slot = context.execs.take();
  if (!slot) {
    return exchange.respond(Problem{
        503, "other programs are being run; try again", "TooManyExecs", {{"Retry-After", "5"}}});
  }
  const auto watch = context.watch(exchange);
  const auto done = context.deps.commands->carry_out(*command, kGivenBy, exchange.cancel());
  // Who left hears nothing any more.
  if (!done && done.error().code() == Code::Cancelled) {
    return exchange.respond(Problem{503,
                                    "the agent is stopping, and has killed the program; try again "
                                    "when it runs"});
  }
  if (!done) return exchange.respond(http::problem_from(done.error()));
  answer_json(exchange, 200, *done);
}

}  // namespace wherry

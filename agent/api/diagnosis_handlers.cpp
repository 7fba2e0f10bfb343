// What the device finds out about itself: the check, and the support bundle.
#include "agent/api/handlers.h"

namespace wherry {
namespace {

using http::Problem;

Problem busy(const char* what) {
  return {503, std::string(what) + "; try again", "", {{"Retry-After", "10"}}};
}

}  // namespace

void answer_check(HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.check) return exchange.respond(Problem{501, "nothing can be checked here"});
  const auto slot = context.checks.take();
  if (!slot) return exchange.respond(busy("other checks are under way"));
  const auto watch = context.watch(exchange);
  const auto report = context.deps.check(exchange.cancel());
  if (!report) return exchange.respond(http::problem_from(report.error()));
  answer_json(exchange, 200, *report);
}

void answer_support_bundle(HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.support_bundle) {
    return exchange.respond(Problem{501, "there is no support bundle here"});
  }
  const std::string* const logs = exchange.request().param("logs");
  if (logs != nullptr && *logs != "true" && *logs != "false") {
    return exchange.respond(Problem{400, "logs must be true or false"});
  }
  const auto slot = context.bundles.take();
  if (!slot) return exchange.respond(busy("another support bundle is being made"));
  const auto watch = context.watch(exchange);
  bool begun = false;
  const auto begin = [&] {
    if (begun) return true;
    begun = true;
    return exchange.begin(200, "application/gzip").has_value();
  };
  if (exchange.request().method == "HEAD") {
    if (begin()) static_cast<void>(exchange.finish());
    return;
  }
  const Status written = context.deps.support_bundle(
      logs != nullptr && *logs == "true",
      [&](std::string_view bytes) { return begin() && exchange.write(bytes).has_value(); },
      exchange.cancel());
  if (written) {
    static_cast<void>(exchange.finish());
  } else if (!begun) {
    exchange.respond(http::problem_from(written.error()));
  }
  // Else the stream ends without its end mark.
}

}  // namespace wherry

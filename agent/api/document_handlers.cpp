// What should run, as documents: all of them, one that is applied here, one that is only looked at.
#include <utility>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "agent/api/handlers.h"
#include "agent/reconcile/findings_json.h"
#include "agent/signing/jws.h"

namespace wherry {
namespace {

using http::Problem;
using Json = nlohmann::ordered_json;

// An unsigned one that is too large, but not by much, goes to the parser, who says so.
constexpr size_t kMostBody = signed_size(kMaxDocumentBytes);

void refuse_document(http::Exchange& exchange, const std::vector<Finding>& errors) {
  const Finding& first = errors.front();
  std::string detail = "the document is not accepted: ";
  if (!first.path.empty()) detail += first.path + ": ";
  detail += first.message;
  if (errors.size() > 1) detail += " (and " + std::to_string(errors.size() - 1) + " more)";
  const Problem problem{422, std::move(detail), "InvalidDocument"};
  exchange.respond(problem.status, "application/problem+json",
                   http::to_json(problem, {{"errors", findings_json(errors)}}) + "\n");
}

}  // namespace

void answer_desired(const HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.desired) return exchange.respond(Problem{501, "there are no documents here"});
  const auto document = context.deps.desired(exchange.cancel());
  if (!document) return exchange.respond(http::problem_from(document.error()));
  answer_json(exchange, 200, *document);
}

void apply_document(const HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.apply) return exchange.respond(Problem{501, "nothing can be applied here"});
  auto body = read_small_body(exchange, kMostBody, "a document");
  if (!body) return exchange.respond(body.error());
  const auto applied =
      context.deps.apply({std::move(*body), exchange.peer().tcp}, exchange.cancel());
  if (!applied) return exchange.respond(http::problem_from(applied.error()));
  if (!applied->errors.empty()) return refuse_document(exchange, applied->errors);
  const Json json{{"source", kLocalSource},
                  {"revision", applied->revision},
                  {"digest", applied->digest},
                  {"changed", applied->changed},
                  {"warnings", findings_json(applied->warnings)}};
  answer_json(exchange, 200, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void plan_document(HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.plan) return exchange.respond(Problem{501, "nothing can be planned here"});
  auto body = read_small_body(exchange, kMostBody, "a document");
  if (!body) return exchange.respond(body.error());
  const auto slot = context.plans.take();
  if (!slot) {
    return exchange.respond(Problem{
        503, "other plans are being made; try again", "TooManyPlans", {{"Retry-After", "5"}}});
  }
  PlanRequest request;
  request.payload = std::move(*body);
  request.from_network = exchange.peer().tcp;
  if (const std::string* source = exchange.request().param("source")) request.source = *source;
  const auto watch = context.watch(exchange);
  const auto planned = context.deps.plan(request, exchange.cancel());
  if (!planned) return exchange.respond(http::problem_from(planned.error()));
  if (!planned->errors.empty()) return refuse_document(exchange, planned->errors);
  answer_json(exchange, 200, planned->json);
}

}  // namespace wherry

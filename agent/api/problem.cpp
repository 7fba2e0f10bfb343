#include "agent/api/problem.h"

#include <nlohmann/json.hpp>

#include "agent/api/http_message.h"

namespace wherry::http {
namespace {

int status_of(Code code) {
  switch (code) {
    case Code::InvalidArgument:
    case Code::DataLoss:
      return 400;
    case Code::PermissionDenied:
      return 403;
    case Code::NotFound:
      return 404;
    case Code::AlreadyExists:
    case Code::FailedPrecondition:
      return 409;
    case Code::Unimplemented:
      return 501;
    case Code::Unavailable:
    case Code::Cancelled:
      return 503;
    case Code::DeadlineExceeded:
      return 504;
    case Code::ResourceExhausted:
      return 507;
    case Code::Internal:
      break;
  }
  return 500;
}

// "Not Found" -> "NotFound": machines get one word for every problem.
std::string word_of(int status) {
  std::string word(status_text(status));
  std::erase_if(word, [](char c) { return c == ' ' || c == '-'; });
  return word;
}

}  // namespace

Problem problem_from(const Error& error) {
  return {.status = status_of(error.code()),
          .detail = error.full(),
          .reason = std::string(error.reason())};
}

std::string to_json(const Problem& problem) {
  return to_json(problem, nlohmann::ordered_json::object());
}

std::string to_json(const Problem& problem, const nlohmann::ordered_json& extra) {
  nlohmann::ordered_json json{
      {"type", "about:blank"},
      {"title", status_text(problem.status)},
      {"status", problem.status},
      {"detail", problem.detail},
      {"reason", problem.reason.empty() ? word_of(problem.status) : problem.reason}};
  json.update(extra);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace wherry::http

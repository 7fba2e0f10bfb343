#include "tests/fuzz/probe_invariants.h"

#include <algorithm>
#include <optional>

#include "runtime/probe/dialogue.h"

namespace wherry {
namespace {

using runtime::Dialogue;

struct Outcome {
  std::optional<Status> verdict;
  size_t replied = 0;
};

// The answer in pieces of that size; what comes after the verdict is not read any more.
Outcome converse(Dialogue& dialogue, std::string_view text, size_t piece) {
  Outcome outcome;
  std::string reply;
  for (size_t at = 0; at < text.size() && !outcome.verdict; at += piece) {
    outcome.verdict = dialogue.take(text.substr(at, piece), reply);
  }
  outcome.replied = reply.size();
  if (!outcome.verdict) outcome.verdict = dialogue.closed();
  return outcome;
}

std::string words(const Status& status) { return status ? "" : status.error().full(); }

}  // namespace

std::string broken_probe_answer(std::string_view text) {
  runtime::Handler handler;
  handler.service = "shop";
  for (const bool grpc : {false, true}) {
    std::optional<std::string> first;
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}}) {
      const auto dialogue = grpc ? runtime::grpc_dialogue(handler, "h:1")
                                 : runtime::http_dialogue(handler, "h:1", false);
      const Outcome outcome = converse(*dialogue, text, piece);
      const std::string said = words(*outcome.verdict);
      if (first && *first != said) return "pieces decide: " + *first + " / " + said;
      first = said;
      if (outcome.replied > 2 * text.size()) return "more is replied than was said";
      const bool line =
          std::none_of(said.begin(), said.end(), [](char c) { return c < 0x20 || c == 0x7f; });
      if (!line || said.size() > 300) return "no short line: " + said;
    }
  }
  return {};
}

}  // namespace wherry

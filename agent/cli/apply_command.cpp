// wherry apply: a document for this device, from this device.
#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/text_width.h"
#include "agent/manifest/document.h"
#include "agent/signing/jws.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

// "pump.yaml:12:22: spec.items[0]…: what is wrong".
void print_error(const Session& session, const std::string& file, const Json& error) {
  std::string text = file == "-" ? "<stdin>" : file;
  if (number_of(error, "line") > 0) {
    text += ":" + std::to_string(number_of(error, "line")) + ":" +
            std::to_string(number_of(error, "column"));
  }
  const std::string path = text_of(error, "path");
  text += ": " + (path.empty() ? "" : path + ": ") + text_of(error, "message");
  std::fprintf(session.io.err, "%s\n", printable(text).c_str());
}

}  // namespace

tl::expected<Json, int> hand_in(const Session& session, const std::string& method,
                                const std::string& target, const std::string& file) {
  constexpr size_t kMost = signed_size(kMaxDocumentBytes);
  const auto text = read_document(file, kMost);
  if (!text) return tl::unexpected<int>(report(session, text.error()));
  if (text->empty() || text->size() > kMost) {
    const std::string name = file == "-" ? "standard input" : file;
    const char* const what =
        text->empty() ? "the document is empty"
                      : "the document is larger than 1 MiB; split it or move data out of it";
    report(session, Error(Code::FailedPrecondition, name + ": " + what));
    return tl::unexpected<int>(kInvalid);
  }
  bool problem = false;
  auto answer = session.client.send_document(method, target, *text, problem);
  if (!answer) return tl::unexpected<int>(report(session, answer.error()));
  if (!problem) return std::move(*answer);
  const Json& errors = list_of(*answer, "errors");
  if (errors.empty()) {
    const int code = report(session, problem_error(*answer));
    const int64_t status = number_of(*answer, "status");
    return tl::unexpected<int>(status == 411 || status == 413 ? int{kInvalid} : code);
  }
  if (session.format != Format::Table) {
    print_data(session, *answer);
  } else {
    for (const Json& error : errors) print_error(session, file, error);
  }
  return tl::unexpected<int>(kInvalid);
}

int apply(const Session& session, const std::string& file) {
  const auto answer = hand_in(session, "PUT", "/v1/desired", file);
  if (!answer) return answer.error();
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  const std::string revision = std::to_string(number_of(*answer, "revision"));
  for (const Json& warning : list_of(*answer, "warnings")) {
    const std::string path = text_of(warning, "path");
    const std::string text = (path.empty() ? "" : path + ": ") + text_of(warning, "message");
    std::fprintf(session.io.err, "warning: %s\n", printable(text).c_str());
  }
  print(session, flag_of(*answer, "changed")
                     ? "revision " + revision + " accepted\n"
                     : "nothing changes: revision " + revision + " is accepted already\n");
  return kDone;
}

}  // namespace wherry::cli

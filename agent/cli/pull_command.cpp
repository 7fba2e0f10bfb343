// wherry images pull
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/json_lines.h"
#include "agent/cli/progress_bar.h"
#include "agent/cli/text_width.h"
#include "base/quantity.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

int pull_image(const Session& session, const std::string& reference) {
  if (reference.empty()) return report_usage(session.io, "the name of the image is empty");
  const auto failed = [&](const Error& error) {
    const int code = report(session, error);
    const bool usage = error.reason() == "InvalidImageName";
    return code == kUsage && !usage ? kFailed : code;  // else it is the image that is not good
  };
  const bool people = session.format == Format::Table;
  if (people) print(session, "pulling " + printable(reference) + "\n");
  ProgressBar bar(session.io);
  Json image, problem;
  JsonLines lines([&](const Json& line, const std::string&) {
    if (const Json* progress = member(line, "progress"); progress != nullptr && people) {
      bar.show({number_of(*progress, "doneBytes"), number_of(*progress, "totalBytes"),
                number_of(*progress, "bytesPerSecond")});
    }
    if (const Json* last = member(line, "image")) image = *last;
    if (const Json* last = member(line, "problem")) problem = *last;
  });
  const Status streamed = session.client.post_stream("/v1/images:pull", Json{{"image", reference}},
                                                     [&](std::string_view bytes) {
                                                       lines.add(bytes);
                                                       return true;
                                                     });
  bar.finish();
  if (!streamed) return failed(streamed.error());
  if (problem.is_object()) return failed(problem_error(problem));
  if (!image.is_object()) {
    return report(session, Error(Code::Internal,
                                 "the pull ended without a result; see journalctl -u wherryd"));
  }
  if (!people) {
    print_data(session, image);
  } else {
    print(session, "pulled " + printable(text_of(image, "name")) + " (" +
                       format_bytes(number_of(image, "sizeBytes")) + ", " +
                       short_digest(text_of(image, "digest")) + ")\n");
  }
  return kDone;
}

}  // namespace wherry::cli

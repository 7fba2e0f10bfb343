// wherry why: the chain of reasons, nearest first.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"
#include "agent/cli/text_width.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

// "Reason: message", either alone, or "".
std::string said(const Json& json) {
  const std::string reason = text_of(json, "reason"), message = text_of(json, "message");
  if (reason.empty() || message.empty()) return reason + message;
  return reason + ": " + message;
}

std::string headline(const Json& answer, const Clock& clock) {
  std::string text = text_of(answer, "name") + " is " + text_of(answer, "phase");
  if (flag_of(answer, "ready")) text += " and ready";
  if (const std::string age = human_age(text_of(answer, "since"), clock); age != "-") {
    text += ", for " + age;
  }
  if (const std::string why = said(answer); !why.empty()) text += ": " + why;
  return printable(text) + "\n";
}

std::string link(const Json& because, const Clock& clock) {
  std::string text = text_of(because, "about") + ": " + said(because);
  if (const std::string age = human_age(text_of(because, "since"), clock); age != "-") {
    text += " (" + age + " ago)";
  }
  return "  " + printable(text) + "\n";
}

std::string next_attempt(const Json& answer, const Clock& clock) {
  const std::string next = text_of(answer, "nextAttempt");
  const auto at = parse_rfc3339(next);
  if (!at) return "";
  const Duration wait = std::max(Duration::zero(), Duration(*at - clock.wall()));
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
  return "Next look: " + next + ", in " + format_duration(seconds) + "\n";
}

}  // namespace

int explain_workload(const Session& session, const std::string& name) {
  const auto workload = find_workload(session.client, name);
  if (!workload) return report(session, workload.error());
  const auto answer = session.client.get("/v1/workloads/" + escape_query(*workload) + "/why");
  if (!answer) return report(session, answer.error());
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  const Clock& clock = session.io.clock;
  std::string text = headline(*answer, clock);
  for (const Json& because : list_of(*answer, "because")) text += link(because, clock);
  text += next_attempt(*answer, clock);
  const Json& events = list_of(*answer, "events");
  if (!events.empty()) text += "Last events\n" + events_table(events, session);
  print(session, text);
  return kDone;
}

}  // namespace wherry::cli

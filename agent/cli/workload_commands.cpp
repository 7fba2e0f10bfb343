// wherry list, get, logs, events
#include <algorithm>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/json_lines.h"
#include "agent/cli/table.h"
#include "agent/cli/terminal_text.h"
#include "agent/cli/text_width.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kEventsPerPage = 1000;
constexpr size_t kEventsOfWorkload = 5;

std::string ready_text(const Json& containers) {
  size_t ready = 0, all = 0;
  for (const Json& container : containers) {
    if (text_of(container, "role") == "init") continue;  // they are there to end
    ready += flag_of(container, "ready") ? 1 : 0;
    ++all;
  }
  return std::to_string(ready) + "/" + std::to_string(all);
}

std::string restarts_text(const Json& containers) {
  int64_t restarts = 0;
  for (const Json& container : containers) restarts += number_of(container, "restarts");
  return std::to_string(restarts);
}

// The workload's own reason, else that of its first container with one.
std::string reason_text(const Json& workload) {
  if (std::string reason = text_of(workload, "reason"); !reason.empty()) return reason;
  if (flag_of(workload, "ready")) return "";
  for (const Json& container : list_of(workload, "containers")) {
    if (std::string reason = text_of(container, "reason"); !reason.empty()) return reason;
  }
  return "";
}

std::string time_and_age(const std::string& time, const Clock& clock) {
  return time.empty() ? "" : time + " (" + human_age(time, clock) + " ago)";
}

bool has_number(const Json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_number();
}

std::string last_exit_text(const Json& container, const Clock& clock) {
  if (!has_number(container, "exitCode")) return "";
  std::string text = "code " + std::to_string(number_of(container, "exitCode"));
  if (const std::string finished = text_of(container, "finishedAt"); !finished.empty()) {
    text += " at " + time_and_age(finished, clock);
  }
  return text;
}

std::string container_text(const Json& container, const Clock& clock) {
  std::string state = text_of(container, "state");
  if (state == "running") {
    const std::string started = text_of(container, "startedAt");
    if (!started.empty()) state += " since " + time_and_age(started, clock);
  }
  const std::string role = text_of(container, "role");
  return "\nContainer " + printable(text_of(container, "name")) +
         (role.empty() ? "" : " (" + role + ")") + "\n" +
         render_fields({{"State", state},
                        {"Reason", text_of(container, "reason")},
                        {"Ready", flag_of(container, "ready") ? "yes" : "no"},
                        {"Restarts", std::to_string(number_of(container, "restarts"))},
                        {"Last exit", last_exit_text(container, clock)},
                        {"Message", text_of(container, "message")},
                        {"Image", text_of(container, "image")},
                        {"Digest", text_of(container, "digest")}},
                       "  ");
}

std::string workload_text(const Json& workload, const Clock& clock) {
  std::string phase = text_of(workload, "phase");
  if (const std::string since = human_age(text_of(workload, "since"), clock); since != "-") {
    phase += " for " + since;
  }
  std::string source = text_of(workload, "source");
  if (number_of(workload, "revision") > 0) {
    source += ", revision " + std::to_string(number_of(workload, "revision"));
  }
  const Json& containers = list_of(workload, "containers");
  std::string text = render_fields({{"Name", text_of(workload, "name")},
                                    {"Phase", phase},
                                    {"Ready", flag_of(workload, "ready") ? "yes" : "no"},
                                    {"Reason", text_of(workload, "reason")},
                                    {"Message", text_of(workload, "message")},
                                    {"IP", text_of(workload, "ip")},
                                    {"Source", source}});
  for (const Json& container : containers) text += container_text(container, clock);
  return text;
}

Json last_of_workload(const Json& events, const std::string& name) {
  Json mine = Json::array();
  for (const Json& event : events) {
    if (text_of(event, "workload") == name) mine.push_back(event);
  }
  while (mine.size() > kEventsOfWorkload) mine.erase(mine.begin());
  return mine;
}

// "web/main": what an event is about.
std::string subject_of(const Json& event) {
  const std::string container = text_of(event, "container");
  return text_of(event, "workload") + (container.empty() ? "" : "/" + container);
}

std::string logs_target(const std::string& workload, const LogsArguments& arguments) {
  std::vector<std::string> query;
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) query.push_back(std::string(key) + "=" + escape_query(value));
  };
  add("container", arguments.container);
  add("tail", arguments.tail);
  add("since", arguments.since);
  add("until", arguments.until);
  add("pattern", arguments.pattern);
  add("follow", arguments.follow ? "true" : "");
  add("timestamps", arguments.timestamps ? "true" : "");
  return "/v1/workloads/" + escape_query(workload) + "/logs" +
         (query.empty() ? "" : "?" + join(query, "&"));
}

// What is followed ends before it is interrupted where the daemon does.
int gone_away(const Session& session) {
  return report(session, Error(Code::Unavailable,
                               "the daemon has stopped or was restarted; ask again when it runs "
                               "(workloads run on without it)",
                               "Unreachable"));
}

}  // namespace

int list_workloads(const Session& session) {
  const auto answer = session.client.get("/v1/workloads");
  if (!answer) return report(session, answer.error());
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  const Json& workloads = list_of(*answer, "workloads");
  const Json& controllers = list_of(*answer, "controllers");
  const Json& services = list_of(*answer, "services");
  if (workloads.empty() && controllers.empty() && services.empty()) {
    print(session, "No workloads.\n");
    return kDone;
  }
  Table table({"NAME", "PHASE", "READY", "RESTARTS", "AGE", "IP", "SOURCE", "REASON"});
  for (const Json& workload : workloads) {
    const Json& containers = list_of(workload, "containers");
    table.add({text_of(workload, "name"), text_of(workload, "phase"), ready_text(containers),
               restarts_text(containers), human_age(text_of(workload, "since"), session.io.clock),
               text_of(workload, "ip"), text_of(workload, "source"), reason_text(workload)});
  }
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "\n") + part; };
  if (!workloads.empty()) add(table.render(session.io.width));
  if (!controllers.empty()) add(controllers_table(controllers, session));
  if (!services.empty()) add(services_table(services, session));
  print(session, text);
  return kDone;
}

int show_workload(const Session& session, const std::string& name) {
  if (name.find('/') != std::string::npos) {
    const auto object = parse_shown_object(name);
    if (!object) return report(session, object.error());
    if (object->kind != "Pod") return show_controller(session, *object);
    const auto pod = find_workload(session.client, name);
    return pod ? show_workload(session, *pod) : report(session, pod.error());
  }
  const auto workload = session.client.get("/v1/workloads/" + escape_query(name));
  if (!workload) return report(session, workload.error());
  if (session.format != Format::Table) {
    print_data(session, *workload);
    return kDone;
  }
  print(session, workload_text(*workload, session.io.clock));
  // They explain the rest but are not worth an error.
  const auto events = fetch_events(session.client, 0);
  const Json mine = events ? last_of_workload(*events, name) : Json::array();
  if (!mine.empty()) print(session, "\nLast events\n" + events_table(mine, session));
  return kDone;
}

int print_logs(const Session& session, const LogsArguments& arguments) {
  const auto workload = find_workload(session.client, arguments.workload);
  if (!workload) return report(session, workload.error());
  TerminalText harmless;
  const auto write = [&session](std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), session.io.out) == bytes.size();
  };
  const Status streamed =
      session.client.stream(logs_target(*workload, arguments), [&](std::string_view bytes) {
        const bool written = session.io.terminal ? write(harmless.take(bytes)) : write(bytes);
        return written && (!arguments.follow || std::fflush(session.io.out) == 0);
      });
  static_cast<void>(write(harmless.finish()));
  if (!streamed) return report(session, streamed.error());
  // Else the workload was removed.
  return arguments.follow && !session.client.reachable() ? gone_away(session) : kDone;
}

Result<Json> fetch_events(const Client& client, int64_t after) {
  Json all = Json::array();
  while (true) {
    const auto page = client.get("/v1/events?after=" + std::to_string(after) +
                                 "&limit=" + std::to_string(kEventsPerPage));
    if (!page) return fail(page.error());
    const Json& events = list_of(*page, "events");
    for (const Json& event : events) all.push_back(event);
    if (events.size() < kEventsPerPage) return all;
    const int64_t last = number_of(events.back(), "number");
    if (last <= after) return fail(Code::Internal, "the daemon's events do not end");
    after = last;
  }
}

// The time, and columns as wide as they need on most lines: there is no last line to wait for.
std::string event_line(const Json& event) {
  const auto padded = [](std::string text, size_t width) {
    if (text.size() < width) text.resize(width, ' ');
    return text;
  };
  return text_of(event, "at") + "  " + padded(text_of(event, "type"), 7) + "  " +
         padded(subject_of(event), 20) + "  " + padded(text_of(event, "reason"), 20) + "  " +
         printable(text_of(event, "message")) + "\n";
}

// Whether an event is about one of `subjects`; no subjects: about anything.
bool is_about(const Json& event, const std::vector<std::string>& subjects) {
  return subjects.empty() ||
         std::find(subjects.begin(), subjects.end(), text_of(event, "workload")) != subjects.end();
}

Result<std::vector<std::string>> subjects_of(const Session& session,
                                             const EventsArguments& arguments) {
  if (arguments.workload.empty()) return std::vector<std::string>();
  return find_subjects(session.client, arguments.workload);
}

int follow_events(const Session& session, const EventsArguments& arguments) {
  const auto subjects = subjects_of(session, arguments);
  if (!subjects) return report(session, subjects.error());
  JsonLines lines([&](const Json& event, const std::string& line) {
    if (!event.is_object() || !is_about(event, *subjects)) return;
    // One document after the other in the other formats, too.
    if (session.format == Format::Json) {
      print(session, line + "\n");
    } else if (session.format == Format::Yaml) {
      print(session, "---\n");
      print_data(session, event);
    } else {
      print(session, event_line(event));
    }
  });
  bool written = true;
  const Status streamed =
      session.client.stream("/v1/events?follow=true&after=" + std::to_string(arguments.after),
                            [&](std::string_view bytes) {
                              lines.add(bytes);
                              written = std::fflush(session.io.out) == 0;
                              return written;
                            });
  if (!streamed) return report(session, streamed.error());
  return written ? gone_away(session) : kDone;
}

std::string events_table(const Json& events, const Session& session) {
  Table table({"NUMBER", "AGE", "TYPE", "WORKLOAD", "REASON", "MESSAGE"});
  for (const Json& event : events) {
    table.add({std::to_string(number_of(event, "number")),
               human_age(text_of(event, "at"), session.io.clock), text_of(event, "type"),
               subject_of(event), text_of(event, "reason"), text_of(event, "message")});
  }
  return table.render(session.io.width);
}

int list_events(const Session& session, const EventsArguments& arguments) {
  const auto subjects = subjects_of(session, arguments);
  if (!subjects) return report(session, subjects.error());
  const auto fetched = fetch_events(session.client, arguments.after);
  if (!fetched) return report(session, fetched.error());
  Json events = Json::array();
  for (const Json& event : *fetched) {
    if (is_about(event, *subjects)) events.push_back(event);
  }
  if (session.format != Format::Table) {
    print_data(session, {{"events", events}});
  } else {
    print(session, events.empty() ? "No events.\n" : events_table(events, session));
  }
  return kDone;
}

}  // namespace wherry::cli

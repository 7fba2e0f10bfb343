#pragma once
// What each command does. All return an exit code of cli.h and report errors themselves.

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <tl/expected.hpp>

#include "agent/cli/cli.h"
#include "agent/cli/client.h"
#include "base/result.h"
#include "base/run_process.h"

namespace wherry::cli {

enum class Format { Table, Json, Yaml };

struct Session {
  const Io& io;
  Client client;
  Format format = Format::Table;
};

struct LogsArguments {
  std::string workload, container, since, until, tail, pattern;
  bool follow = false, timestamps = false;
};
struct ExecArguments {
  std::string workload, container, timeout;
  std::vector<std::string> argv;
};
struct SignArguments {
  std::string file, key, kid;
};
struct PlanArguments {
  std::string file, source;
};
struct SupportArguments {
  std::string file;  // "-": standard output; empty: a name of its own, here
  bool logs = false;
  std::string config = "/etc/wherry/wherry.yaml";  // of the daemon, where it does not run
};
struct EventsArguments {
  std::string workload;
  int64_t after = 0;
  bool follow = false;
};

int show_status(const Session& session);
int list_workloads(const Session& session);
// `name`: of a workload, or Kind/name of an object that makes some.
int show_workload(const Session& session, const std::string& name);
int explain_workload(const Session& session, const std::string& name);
std::string controllers_table(const nlohmann::ordered_json& controllers, const Session& session);
std::string services_table(const nlohmann::ordered_json& services, const Session& session);
int print_logs(const Session& session, const LogsArguments& arguments);
int list_events(const Session& session, const EventsArguments& arguments);
int follow_events(const Session& session, const EventsArguments& arguments);
int list_images(const Session& session);
int import_image(const Session& session, const std::string& path);
int prune_images(const Session& session);
int pull_image(const Session& session, const std::string& reference);
int print_metrics(const Session& session);
// `config`: of the daemon, where it does not run.
int check_device(const Session& session, const std::string& config);
int write_support_bundle(const Session& session, const SupportArguments& arguments);
// `order`: restart, stop, start.
int order_workload(const Session& session, const std::string& order, const std::string& workload);
int exec(const Session& session, const ExecArguments& arguments);
int apply(const Session& session, const std::string& file);
int plan(const Session& session, const PlanArguments& arguments);
int show_version(const Session& session, const std::string& version);
int validate(const Session& session, const std::vector<std::string>& files);
int sign(const Session& session, const SignArguments& arguments);

// --- objects named as Kind/name
// The kind as documents write it.
struct NamedObject {
  std::string kind, name;
};
// One that `wherry get` shows. InvalidArgument: it has none of those kinds.
Result<NamedObject> parse_shown_object(const std::string& text);
int show_controller(const Session& session, const NamedObject& object);
Error no_such_object(const NamedObject& object);
// The workload that is meant by its name alone, by Pod/name, or by the Kind/name of its owner,
// where that has just one. Errors: InvalidArgument (no such kind, or several workloads), NotFound,
// those of the daemon; a name alone is taken as it is.
Result<std::string> find_workload(const Client& client, const std::string& text);
// Of those that are meant the names that their events bear; of a Job or CronJob also its own.
Result<std::vector<std::string>> find_subjects(const Client& client, const std::string& text);

// --- shared
// Whether another program may answer in the place of a daemon that did not, by `error`: there is
// none, and it is not that only some may use its socket.
bool daemon_is_away(const Session& session, const Error& error);
// What wherryd prints for such an order, with the configuration of a daemon that does not run.
Result<ProcessResult> ask_daemon_program(const std::string& config, const std::string& order);
// "-": standard input. Cut a byte behind kMaxDocumentBytes, or behind `most`.
Result<std::string> read_document(const std::string& file);
Result<std::string> read_document(const std::string& file, size_t most);
// Hands a document to the daemon; its answer, or the exit code after telling what was wrong.
tl::expected<nlohmann::ordered_json, int> hand_in(const Session& session, const std::string& method,
                                                  const std::string& target,
                                                  const std::string& file);
// "sha256:0123456789ab": as much as people compare; -o json has all of it.
std::string short_digest(const std::string& digest);
void print(const Session& session, const std::string& text);
// -o json or yaml.
void print_data(const Session& session, const nlohmann::ordered_json& json);
// One line on stderr; the exit code that goes with the error.
int report(const Session& session, const Error& error);
int report_usage(const Io& io, const std::string& message);

// Null where `json` has no such member, or is no object.
const nlohmann::ordered_json* member(const nlohmann::ordered_json& json, const char* key);
// A member of `json`, whatever the daemon's version made of it: "" or 0 where it is not that.
std::string text_of(const nlohmann::ordered_json& json, const char* key);
int64_t number_of(const nlohmann::ordered_json& json, const char* key);
bool flag_of(const nlohmann::ordered_json& json, const char* key);
// Empty where the member is no list.
const nlohmann::ordered_json& list_of(const nlohmann::ordered_json& json, const char* key);

// Every event after `after`, oldest first.
Result<nlohmann::ordered_json> fetch_events(const Client& client, int64_t after);
std::string events_table(const nlohmann::ordered_json& events, const Session& session);

}  // namespace wherry::cli

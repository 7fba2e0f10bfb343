#include "agent/cli/cli.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <sys/un.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

constexpr const char* kVersion = WHERRY_VERSION;

constexpr std::array<std::string_view, 19> kCommands{
    "status", "list",           "get",    "why",  "logs",     "events", "restart", "stop",
    "start",  "exec",           "apply",  "plan", "validate", "sign",   "images",  "metrics",
    "check",  "support-bundle", "version"};

struct Options {
  std::string socket = "/run/wherry/api.sock";
  std::string output = "table";
  std::string workload;
  LogsArguments logs;
  EventsArguments events;
  ExecArguments exec;
  SignArguments sign;
  PlanArguments plan;
  SupportArguments support;
  std::string config = "/etc/wherry/wherry.yaml";
  std::vector<std::string> files;
  std::string archive, image, document;
};

Format format_of(const std::string& output) {
  if (output == "json") return Format::Json;
  return output == "yaml" ? Format::Yaml : Format::Table;
}

// The library's own says what it wants with 300 digits.
CLI::Validator whole_number() {
  return {[](std::string& text) {
            const bool good = !text.empty() && text.size() <= 18 &&
                              text.find_first_not_of("0123456789") == std::string::npos;
            return good ? std::string() : "\"" + text + "\" is not a whole number";
          },
          "N"};
}

CLI::Validator time_or_age() {
  return {[](std::string& text) {
            return parse_rfc3339(text) || parse_duration(text)
                       ? std::string()
                       : "\"" + text +
                             "\" is neither a time (2027-01-01T00:00:00Z) nor an age (10m)";
          },
          "TIME"};
}

CLI::Validator duration() {
  return {[](std::string& text) {
            return parse_duration(text) ? std::string()
                                        : "\"" + text + "\" is no duration, such as 30s";
          },
          "TIME"};
}

CLI::Validator socket_path() {
  return {[](std::string& text) {
            constexpr size_t kMost = sizeof(sockaddr_un::sun_path) - 1;
            const bool good = !text.empty() && text.size() <= kMost;
            return good ? std::string()
                        : "\"" + text + "\" cannot be a socket's path: it has 1 to " +
                              std::to_string(kMost) + " characters";
          },
          "PATH"};
}

CLI::Validator document_source() {
  return {[](std::string& text) {
            const bool good =
                text == "local" || text.starts_with("devices/") || text.starts_with("groups/");
            return good ? std::string()
                        : "\"" + text + "\" is none of local, devices/<id> and groups/<group>";
          },
          "SOURCE"};
}

using Action = std::function<int(const Session&)>;

// The parser of the whole command line; the chosen command leaves its action behind.
class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("--version", std::string("wherry ") + kVersion);
    app_.require_subcommand(1);
    app_.add_option("--socket", options_.socket, "The daemon's unix socket")
        ->envname("WHERRY_SOCKET")
        ->check(socket_path())
        ->capture_default_str();
    app_.fallthrough();
    add_plain("status", "Device, links, documents and conditions", show_status);
    add_plain("list", "All workloads, and the objects that make some", list_workloads);
    add_get();
    add_plain("why", "Why a workload is as it is, and when it is looked at next",
              [this](const Session& s) { return explain_workload(s, options_.workload); })
        ->add_option("workload", options_.workload, "Its name, or such as Deployment/name")
        ->required();
    add_logs();
    add_events();
    add_order("restart", "Stop a workload's containers in good order, and start them anew");
    add_order("stop", "Stop a workload until it is started, whatever its document says");
    add_order("start", "End a stop");
    add_exec();
    add_apply();
    add_plan();
    add_validate();
    add_sign();
    add_images();
    add("metrics", "Figures of device, workloads and agent, as Prometheus reads them",
        print_metrics);
    add_check();
    add_support_bundle();
    add_version();
  }

  CLI::App& app() { return app_; }
  const Options& options() const { return options_; }
  const Action& action() const { return action_; }

 private:
  CLI::App* add(const std::string& name, const std::string& what, Action action) {
    CLI::App* command = app_.add_subcommand(name, what);
    command->callback([this, action = std::move(action)] {
      if (!action_) action_ = action;
    });
    return command;
  }
  void add_output(CLI::App* command) {
    command->add_option("-o,--output", options_.output, "table, json or yaml")
        ->check(CLI::IsMember({"table", "json", "yaml"}));
  }
  CLI::App* add_plain(const std::string& name, const std::string& what, Action action) {
    CLI::App* command = add(name, what, std::move(action));
    add_output(command);
    return command;
  }
  void add_get() {
    CLI::App* get = add_plain(
        "get", "One workload: containers, reasons, last events; or Kind/name of its owner",
        [this](const Session& s) { return show_workload(s, options_.workload); });
    get->add_option("workload", options_.workload, "Its name, or such as Job/name")->required();
  }
  void add_logs() {
    CLI::App* logs = add("logs", "What a workload's containers print",
                         [this](const Session& s) { return print_logs(s, options_.logs); });
    logs->add_option("workload", options_.logs.workload, "Its name, or such as Deployment/name")
        ->required();
    logs->add_option("-c,--container", options_.logs.container,
                     "Only this container (all of them, mixed by time)");
    logs->add_flag("-f,--follow", options_.logs.follow, "Go on until interrupted");
    logs->add_option("--tail", options_.logs.tail, "Only the last N lines")->check(whole_number());
    logs->add_option("--since", options_.logs.since, "Only since a time, or as long ago as 10m")
        ->check(time_or_age());
    CLI::Option* until =
        logs->add_option("--until", options_.logs.until, "Only until a time, or as long ago as 10m")
            ->check(time_or_age());
    until->excludes(logs->get_option("--follow"));
    logs->add_option("--pattern", options_.logs.pattern, "Only lines that hold this text");
    logs->add_flag("--timestamps", options_.logs.timestamps, "Begin each line with its time");
  }
  void add_events() {
    CLI::App* events =
        add_plain("events", "What happened on this device", [this](const Session& s) {
          if (options_.events.follow) return follow_events(s, options_.events);
          return list_events(s, options_.events);
        });
    events->add_option("workload", options_.events.workload,
                       "Only of this workload, or of such as Job/name");
    events->add_option("--after", options_.events.after, "Only those after this number")
        ->check(whole_number());
    events->add_flag("-f,--follow", options_.events.follow, "Go on until interrupted");
  }
  void add_order(const std::string& order, const std::string& what) {
    add_plain(
        order, what,
        [this, order](const Session& s) { return order_workload(s, order, options_.workload); })
        ->add_option("workload", options_.workload, "Its name, or such as Deployment/name")
        ->required();
  }
  void add_exec() {
    CLI::App* exec = add_plain("exec", "Run a program in a container that runs: exec W -- CMD …",
                               [this](const Session& s) { return cli::exec(s, options_.exec); });
    exec->add_option("workload", options_.exec.workload, "Its name, or such as Deployment/name")
        ->required();
    exec->add_option("-c,--container", options_.exec.container, "In this container");
    exec->add_option("--timeout", options_.exec.timeout, "Kill it after so long (30s)")
        ->check(duration());
    exec->add_option("command", options_.exec.argv, "The program and its arguments, after --")
        ->required();
  }
  void add_apply() {
    add_plain("apply", "Hand in what should run, as this device's local document",
              [this](const Session& s) { return cli::apply(s, options_.document); })
        ->add_option("-f,--file", options_.document, "A DesiredState, or - for standard input")
        ->required();
  }
  void add_plan() {
    CLI::App* plan = add_plain("plan", "What a document would change, need and cost",
                               [this](const Session& s) { return cli::plan(s, options_.plan); });
    plan->add_option("-f,--file", options_.plan.file, "A DesiredState, or - for standard input")
        ->required();
    plan->add_option("--source", options_.plan.source,
                     "As if it came from there: devices/…, groups/… (local)")
        ->check(document_source());
  }
  void add_validate() {
    CLI::App* check = add_plain("validate", "Check documents; needs no daemon",
                                [this](const Session& s) { return validate(s, options_.files); });
    check
        ->add_option("-f,--file", options_.files, "A document, or - for standard input; repeatable")
        ->required()
        ->expected(1)
        ->take_all();
  }
  void add_sign() {
    CLI::App* sign = add("sign", "Sign a document or a command; needs no daemon",
                         [this](const Session& s) { return cli::sign(s, options_.sign); });
    sign->add_option("-f,--file", options_.sign.file,
                     "A DesiredState, or a command in JSON; - for standard input")
        ->required();
    sign->add_option("--key", options_.sign.key, "The private key in PEM: Ed25519 or P-256")
        ->required();
    sign->add_option("--kid", options_.sign.kid,
                     "The name devices know the key by (as the key's file, without its ending)");
  }
  void add_images() {
    CLI::App* images = add_plain("images", "Images on this device", list_images);
    images->require_subcommand(0, 1);
    images->fallthrough();
    add_to(images, "list", "All images", list_images);
    add_to(images, "import", "Load an OCI or docker archive, or an OCI layout",
           [this](const Session& s) { return import_image(s, options_.archive); })
        ->add_option("archive", options_.archive,
                     "A tar file, the directory of an OCI layout, or - for standard input")
        ->required();
    add_to(images, "pull", "Fetch an image from its registry",
           [this](const Session& s) { return pull_image(s, options_.image); })
        ->add_option("image", options_.image, "Its reference, as a Pod names it")
        ->required();
    add_to(images, "prune", "Remove the images that nobody needs", prune_images);
  }
  // Inner callbacks run first, and the first one wins.
  CLI::App* add_to(CLI::App* command, const std::string& name, const std::string& what,
                   Action action) {
    CLI::App* inner = command->add_subcommand(name, what);
    inner->callback([this, action = std::move(action)] { action_ = action; });
    return inner;
  }
  void add_check() {
    add_plain("check", "Look at all that is needed, and say what to do; also without the daemon",
              [this](const Session& s) { return check_device(s, options_.config); })
        ->add_option("--config", options_.config,
                     "The daemon's configuration, where it does not run")
        ->capture_default_str();
  }
  void add_support_bundle() {
    CLI::App* bundle =
        add_plain("support-bundle",
                  "Write what explains the state of this device into a tar.gz, without secrets",
                  [this](const Session& s) { return write_support_bundle(s, options_.support); });
    bundle->add_option(
        "-f,--file", options_.support.file,
        "Where to, - for standard output (a file named after device and time, here)");
    bundle->add_flag("--logs", options_.support.logs,
                     "With the end of what each container printed, whatever that may be");
    bundle
        ->add_option("--config", options_.support.config,
                     "The daemon's configuration, where it does not run")
        ->capture_default_str();
  }
  void add_version() {
    add_plain("version", "Versions of this tool, the daemon and containerd",
              [](const Session& s) { return show_version(s, kVersion); });
  }

  CLI::App app_{"Looks after the workloads of this device.", "wherry"};
  Options options_;
  Action action_;
};

bool is_output_option(const std::string& word) {
  return word.starts_with("-o") || word.starts_with("--output");
}

// The first word that is no option, nor the value of one that may stand before it.
size_t command_place(const std::vector<std::string>& args) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--socket" || args[i] == "-o" || args[i] == "--output") {
      ++i;
    } else if (args[i].empty() || args[i][0] != '-') {
      return i;
    }
  }
  return args.size();
}

std::string did_you_mean(const std::string& word, std::span<const std::string_view> candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

// "images import": the commands that were named.
std::vector<const CLI::App*> chosen(const CLI::App& app) {
  std::vector<const CLI::App*> all;
  for (auto next = app.get_subcommands(); !next.empty(); next = next.front()->get_subcommands()) {
    all.push_back(next.front());
  }
  return all;
}

// Where to read on: "; see wherry images import --help".
std::string see_help(const CLI::App& app) {
  std::string text = "; see wherry ";
  for (const CLI::App* command : chosen(app)) text += command->get_name() + " ";
  return text + "--help";
}

std::string nearest_of(const CLI::App& command, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* inner : command.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(inner->get_name());
  }
  return did_you_mean(word, std::vector<std::string_view>(names.begin(), names.end()));
}

// What to say of words that have no place: they are named as they were written.
std::string unexpected(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining(true);
  const std::vector<const CLI::App*> commands = chosen(app);
  const std::string text = "not expected: " + join(words, " ");
  if (words.empty()) return text + see_help(app);
  if (commands.empty()) {
    const std::string near = nearest_of(app, words.front());
    return text + (near.empty() ? see_help(app) : near);
  }
  const std::string& name = commands.front()->get_name();
  if (is_output_option(words.front())) {
    return text + "; wherry " + name + " has one form of output only";
  }
  const std::string near = nearest_of(*commands.back(), words.front());
  if (name == "exec" && near.empty()) {
    return text + "; put -- before the program and all that belongs to it: wherry exec W -- " +
           (words.front().starts_with('-') ? "CMD " + words.front() : "CMD");
  }
  return text + (near.empty() ? see_help(app) : near);
}

// What the output could not take is lost, on a disk that is full, say; who reads a pipe no longer
// has ended us before.
int written(const Io& io, int code) {
  if ((std::fflush(io.out) == 0 && std::ferror(io.out) == 0) || code != kDone) return code;
  std::fprintf(io.err, "wherry: the output cannot be written: %s\n", std::strerror(errno));
  return kFailed;
}

int parse_failure(const CLI::ParseError& error, CommandLine& line, const Io& io) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    std::ostringstream out, err;
    line.app().exit(error, out, err);
    std::fputs(out.str().c_str(), io.out);
    return written(io, kDone);
  }
  // Of a word that is wrong and one that is missing, the wrong one is told: it may be meant for it.
  const bool missing = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) ||
      (missing && line.app().remaining_size(true) > 0)) {
    return report_usage(io, unexpected(line.app()));
  }
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return report_usage(io, message + see_help(line.app()));
}

}  // namespace

int run(const std::vector<std::string>& args, const Io& io) {
  const size_t place = command_place(args);
  const auto command = args.begin() + static_cast<std::ptrdiff_t>(place);
  if (std::any_of(args.begin(), command, is_output_option)) {
    return report_usage(io, "-o comes behind the command: wherry " +
                                (command == args.end() ? "list" : *command) + " -o json");
  }
  if (command != args.end() &&
      std::find(kCommands.begin(), kCommands.end(), *command) == kCommands.end()) {
    const std::string near = did_you_mean(*command, kCommands);
    return report_usage(
        io, "unknown command \"" + *command + "\"" + (near.empty() ? "; see wherry --help" : near));
  }
  CommandLine line;
  try {
    line.app().parse(std::vector<std::string>(
        args.rbegin(), args.rend()));  // the library takes them from the back
  } catch (const CLI::ParseError& error) {
    return parse_failure(error, line, io);
  }
  const Session session{io, Client(line.options().socket), format_of(line.options().output)};
  try {
    return written(io, line.action()(session));
  } catch (const nlohmann::json::exception& error) {
    return report(session,
                  Error(Code::Internal, std::string("the daemon's answer is not understood (") +
                                            error.what() + "); is it another version?"));
  }
}

}  // namespace wherry::cli

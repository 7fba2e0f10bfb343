#include "agent/command/command.h"

#include <algorithm>
#include <array>
#include <set>

#include <nlohmann/json.hpp>

#include "base/quantity.h"
#include "base/strict_json.h"
#include "base/text.h"

namespace wherry {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 12> kNames{"ping",  "status", "restart", "stop",
                                                  "start", "logs",   "exec",    "pull",
                                                  "prune", "plan",   "check",   "support-bundle"};
constexpr size_t kMaxName = 253;  // of a workload or a container (RFC 1123 subdomain)
constexpr size_t kMaxReference = 1024;
constexpr size_t kMaxPattern = 1024;
constexpr size_t kMaxArguments = 256;  // of argv
constexpr size_t kMaxProgram = 1024;   // argv[0]

tl::unexpected<Error> wrong(const std::string& path, const std::string& what) {
  return fail(Code::InvalidArgument, path + ": " + what);
}

std::string in_quotes(std::string_view text) { return "\"" + printable(text, 60) + "\""; }

Result<Json> parse_strictly(std::string_view text) {
  return parse_strict_json(text, {.bytes = kMaxCommandBytes, .depth = kMaxCommandDepth});
}

// --- one reader for each argument

Result<std::string> read_text(const std::string& path, const Json& value, size_t most) {
  if (!value.is_string()) return wrong(path, "must be a text");
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty()) return wrong(path, "must not be empty");
  if (text.size() > most) return wrong(path, "is longer than " + std::to_string(most) + " bytes");
  if (text.find('\0') != std::string::npos) return wrong(path, "must not hold a NUL");
  return text;
}

Status read_name(const std::string& path, const Json& value, std::string& into) {
  auto text = read_text(path, value, kMaxName);
  if (!text) return fail(text.error());
  into = std::move(*text);
  return {};
}

Status read_number(const std::string& path, const Json& value, int64_t least, int64_t most,
                   int64_t& into) {
  const std::string must =
      "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!value.is_number_integer()) return wrong(path, must);
  const bool large = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX};
  if (large || value.get<int64_t>() < least || value.get<int64_t>() > most) {
    return wrong(path, must);
  }
  into = value.get<int64_t>();
  return {};
}

struct Reading {
  const std::string& path;
  const Json& value;
  WallTime now;
  Command& command;
};

Status read_workload(const Reading& r) { return read_name(r.path, r.value, r.command.workload); }
Status read_container(const Reading& r) { return read_name(r.path, r.value, r.command.container); }

Status read_tail(const Reading& r) {
  return read_number(r.path, r.value, 0, kMostLogLines, r.command.tail);
}

Result<WallTime> read_time(const Reading& r) {
  constexpr const char* kMust =
      "must be a time (2027-01-01T00:00:00Z) or how long ago (10m), as a text";
  if (!r.value.is_string()) return wrong(r.path, kMust);
  const auto& text = r.value.get_ref<const std::string&>();
  if (const auto time = parse_rfc3339(text)) return *time;
  const auto ago = parse_duration(text);
  if (!ago) return wrong(r.path, kMust);
  const Duration since_epoch = r.now.time_since_epoch();
  return *ago > since_epoch ? WallTime{} : r.now - *ago;
}

Status read_since(const Reading& r) {
  const auto time = read_time(r);
  if (!time) return fail(time.error());
  r.command.since = *time;
  return {};
}

Status read_until(const Reading& r) {
  const auto time = read_time(r);
  if (!time) return fail(time.error());
  r.command.until = *time;
  return {};
}

Status read_pattern(const Reading& r) {
  auto text = read_text(r.path, r.value, kMaxPattern);
  if (!text) return fail(text.error());
  r.command.pattern = std::move(*text);
  return {};
}

Status read_argv(const Reading& r) {
  if (!r.value.is_array() || r.value.empty()) {
    return wrong(r.path, "must be a list of texts, the program first");
  }
  if (r.value.size() > kMaxArguments) {
    return wrong(r.path, "has more than " + std::to_string(kMaxArguments) + " elements");
  }
  for (size_t i = 0; i < r.value.size(); ++i) {
    const std::string path = r.path + "[" + std::to_string(i) + "]";
    if (!r.value[i].is_string()) return wrong(path, "must be a text");
    const auto& text = r.value[i].get_ref<const std::string&>();
    if (text.find('\0') != std::string::npos) return wrong(path, "must not hold a NUL");
    if (i == 0 && text.empty()) return wrong(path, "must not be empty");
    // Those who cannot start it say its name in their errors, which has no room for more.
    if (i == 0 && text.size() > kMaxProgram) {
      return wrong(path, "is longer than " + std::to_string(kMaxProgram) + " bytes");
    }
    r.command.argv.push_back(text);
  }
  return {};
}

Status read_timeout(const Reading& r) {
  const std::string must =
      "must be a duration (\"30s\") or a number of seconds, more than 0 and "
      "at most " +
      format_duration(kLongestExec);
  Duration timeout{};
  if (r.value.is_string()) {
    const auto parsed = parse_duration(r.value.get_ref<const std::string&>());
    if (!parsed) return wrong(r.path, must);
    timeout = *parsed;
  } else {
    int64_t seconds = 0;
    const int64_t most = std::chrono::duration_cast<std::chrono::seconds>(kLongestExec).count();
    if (!read_number(r.path, r.value, 1, most, seconds)) return wrong(r.path, must);
    timeout = std::chrono::seconds(seconds);
  }
  if (timeout <= Duration::zero() || timeout > kLongestExec) return wrong(r.path, must);
  r.command.timeout = timeout;
  return {};
}

Status read_max_output(const Reading& r) {
  int64_t bytes = 0;
  Status read = read_number(r.path, r.value, 0, int64_t{kMostExecOutput}, bytes);
  if (read) r.command.max_output = static_cast<size_t>(bytes);
  return read;
}

Status read_image(const Reading& r) {
  auto text = read_text(r.path, r.value, kMaxReference);
  if (!text) return fail(text.error());
  r.command.image = std::move(*text);
  return {};
}

// As text, YAML or JSON, or as an object.
Status read_planned(const Reading& r) {
  if (r.value.is_object()) {
    r.command.document = r.value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return {};
  }
  if (!r.value.is_string()) {
    return wrong(r.path, "must be a DesiredState, as an object or as a text that holds one");
  }
  auto text = read_text(r.path, r.value, kMaxCommandBytes);
  if (!text) return fail(text.error());
  r.command.document = std::move(*text);
  return {};
}

Status read_source(const Reading& r) { return read_name(r.path, r.value, r.command.source); }

struct Argument {
  std::string_view name;
  Status (*read)(const Reading&);
  bool needed = false;
};

constexpr Argument kWorkload{"workload", read_workload, true};
constexpr Argument kContainer{"container", read_container};

std::vector<Argument> arguments_of(CommandKind kind) {
  switch (kind) {
    case CommandKind::Restart:
    case CommandKind::Stop:
    case CommandKind::Start:
      return {kWorkload};
    case CommandKind::Logs:
      return {kWorkload,
              kContainer,
              {"tail", read_tail},
              {"since", read_since},
              {"until", read_until},
              {"pattern", read_pattern}};
    case CommandKind::Exec:
      return {kWorkload,
              kContainer,
              {"argv", read_argv, true},
              {"timeout", read_timeout},
              {"maxOutput", read_max_output}};
    case CommandKind::Pull:
      return {{"image", read_image, true}};
    case CommandKind::Plan:
      return {{"document", read_planned, true}, {"source", read_source}};
    case CommandKind::Ping:
    case CommandKind::Status:
    case CommandKind::Prune:
    case CommandKind::Check:
    case CommandKind::SupportBundle:
      break;
  }
  return {};
}

std::string unknown(const char* what, const std::string& name,
                    std::span<const std::string_view> known) {
  std::string text = std::string("unknown ") + what + " " + in_quotes(name);
  const std::string near = nearest(name, known);
  if (!near.empty()) return text + "; did you mean \"" + near + "\"?";
  if (known.empty()) return text + "; it takes none";
  std::vector<std::string> all(known.begin(), known.end());
  return text + "; known are " + join(all, ", ");
}

Status read_arguments(const Json& args, const std::string& prefix, WallTime now,
                      std::vector<Argument> known, Command& command) {
  std::vector<std::string_view> names;
  for (const Argument& argument : known) names.push_back(argument.name);
  for (const auto& [name, value] : args.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return wrong(prefix.empty() ? "the body" : prefix.substr(0, prefix.size() - 1),
                   unknown("argument", name, names));
    }
  }
  for (const Argument& argument : known) {
    const std::string path = prefix + std::string(argument.name);
    const auto found = args.find(std::string(argument.name));
    if (found == args.end()) {
      if (argument.needed) return wrong(path, "is missing");
      continue;
    }
    if (Status read = argument.read({path, *found, now, command}); !read) return read;
  }
  if (command.since && command.until && *command.since > *command.until) {
    return wrong(prefix + "until", "is before " + prefix + "since");
  }
  return {};
}

// For whom, as which request and until when: what a signature vouches for besides.
Status read_binding(const Json& json, Command& command) {
  for (auto [name, into] : {std::pair{"target", &command.target}, {"request", &command.request}}) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    auto text = read_text(name, *found, kMaxName);
    if (!text) return fail(text.error());
    *into = std::move(*text);
  }
  const auto expires = json.find("expires");
  if (expires == json.end()) return {};
  const auto text = read_text("expires", *expires, kMaxName);
  if (!text) return fail(text.error());
  const auto time = parse_rfc3339(*text);
  if (!time) return wrong("expires", "must be a time such as 2027-01-01T00:00:00Z");
  command.expires = *time;
  return {};
}

}  // namespace

std::string_view to_string(CommandKind kind) { return kNames.at(static_cast<size_t>(kind)); }

std::span<const std::string_view> command_names() { return kNames; }

Result<Command> parse_command(std::string_view payload, WallTime now) {
  const Result<Json> json = parse_strictly(payload);
  if (!json) return fail(json.error(), "the command is malformed");
  if (!json->is_object()) {
    return fail(Code::InvalidArgument,
                R"(the command must be an object: {"command":"ping","args":{}})");
  }
  constexpr std::array<std::string_view, 5> kMembers{"command", "args", "target", "request",
                                                     "expires"};
  for (const auto& [name, value] : json->items()) {
    if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end()) {
      return fail(Code::InvalidArgument, unknown("member", name, kMembers));
    }
  }
  const auto named = json->find("command");
  if (named == json->end() || !named->is_string()) {
    return wrong("command", "must be the name of a command, as a text");
  }
  const auto& name = named->get_ref<const std::string&>();
  const auto* const known = std::find(kNames.begin(), kNames.end(), name);
  if (known == kNames.end()) return wrong("command", unknown("command", name, kNames));
  Command command;
  command.kind = static_cast<CommandKind>(known - kNames.begin());
  if (Status read = read_binding(*json, command); !read) return fail(read.error());
  const auto args = json->find("args");
  if (args != json->end() && !args->is_object()) return wrong("args", "must be an object");
  const Json none = Json::object();
  const Status read = read_arguments(args == json->end() ? none : *args, "args.", now,
                                     arguments_of(command.kind), command);
  if (!read) return fail(read.error());
  return command;
}

Result<Command> parse_arguments(CommandKind kind, std::string_view payload, WallTime now,
                                const std::string& workload) {
  const Result<Json> json = parse_strictly(payload);
  if (!json) return fail(json.error(), "the body is malformed");
  if (!json->is_object()) return fail(Code::InvalidArgument, "the body must be an object");
  std::vector<Argument> known = arguments_of(kind);
  std::erase_if(known, [](const Argument& each) { return each.name == kWorkload.name; });
  Command command;
  command.kind = kind;
  if (Status read = read_arguments(*json, "", now, std::move(known), command); !read) {
    return fail(read.error());
  }
  command.workload = workload;
  return command;
}

bool is_request_id(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (text.empty() || text.size() > 128 || !is_plain(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_plain(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

}  // namespace wherry

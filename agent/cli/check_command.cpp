// wherry check: by the daemon, or, where there is none, by its program.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/text_width.h"
#include "base/run_process.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr Duration kProgramWithin = std::chrono::minutes(2);

// Beside this program, else wherever programs are.
std::string daemon_program() {
  std::array<char, 4096> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (size <= 0) return "wherryd";
  std::string beside(path.data(), static_cast<size_t>(size));
  beside = beside.substr(0, beside.rfind('/')) + "/wherryd";
  return access(beside.c_str(), X_OK) == 0 ? beside : "wherryd";
}

Result<Json> check_without_daemon(const std::string& config) {
  const auto done = ask_daemon_program(config, "--check");
  if (!done) return fail(done.error());
  Json report = Json::parse(done->output, nullptr, false);
  if (report.is_object() && report.contains("findings")) return report;
  return fail(Code::Internal, "wherryd --check says: " + done->errors);
}

Result<Json> check(const Session& session, const std::string& config) {
  auto report = session.client.get("/v1/check");
  if (report || !daemon_is_away(session, report.error())) return report;
  auto found = check_without_daemon(config);
  if (found) return found;
  return report;
}

bool has_colours(const Io& io) {
  return io.width > 0 && io.redraws && std::getenv("NO_COLOR") == nullptr;
}

std::string painted(const std::string& result, bool colours) {
  const std::string padded = result + std::string(6 - std::min<size_t>(5, result.size()), ' ');
  if (!colours) return padded;
  const char* const colour = result == "ok" ? "32" : result == "warn" ? "33" : "31";
  return std::string("\033[") + colour + "m" + padded + "\033[0m";
}

std::string line_of(const Json& finding, size_t widest, bool colours) {
  const std::string name = printable(text_of(finding, "name")), about = text_of(finding, "about");
  std::string line = painted(printable(text_of(finding, "result")), colours) + name;
  line.append(widest - std::min(widest, name.size()) + 2, ' ');
  line += printable(about.empty() ? "" : about + ": ") + printable(text_of(finding, "seen")) + "\n";
  if (const std::string mend = text_of(finding, "mend"); !mend.empty()) {
    line.append(6 + widest + 2, ' ');
    line += "-> " + printable(mend) + "\n";
  }
  return line;
}

std::string summary(const Json& findings) {
  const auto count = [&](const char* result) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Json& each) { return text_of(each, "result") == result; });
  };
  return std::to_string(count("ok")) + " ok, " + std::to_string(count("warn")) + " to look at, " +
         std::to_string(count("fail")) + " to mend\n";
}

}  // namespace

bool daemon_is_away(const Session& session, const Error& error) {
  if (error.reason() != "Unreachable") return false;
  // Who may not use the socket would not be shown much either.
  return access(session.client.socket().c_str(), R_OK | W_OK) == 0 || errno != EACCES;
}

Result<ProcessResult> ask_daemon_program(const std::string& config, const std::string& order) {
  ProcessCall call;
  call.program = daemon_program();
  call.args = {"--config", config, order};
  call.deadline = kProgramWithin;
  call.max_written = 1u << 20;  // more would be cut off
  return run_process(call, {});
}

int check_device(const Session& session, const std::string& config) {
  const auto report = check(session, config);
  if (!report) return cli::report(session, report.error());
  const int code = text_of(*report, "result") == "fail" ? kFailed : kDone;
  if (session.format != Format::Table) {
    print_data(session, *report);
    return code;
  }
  const Json& findings = list_of(*report, "findings");
  size_t widest = 0;
  for (const Json& each : findings) widest = std::max(widest, text_of(each, "name").size());
  std::string text;
  for (const Json& each : findings) text += line_of(each, widest, has_colours(session.io));
  print(session, text + summary(findings));
  return code;
}

}  // namespace wherry::cli

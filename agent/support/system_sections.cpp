#include <cstdlib>
#include <set>

#include "agent/support/sections.h"
#include "base/digest.h"
#include "base/files.h"
#include "base/run_process.h"
#include "base/text.h"

namespace wherry::support {
namespace {

constexpr Duration kProgramWithin = std::chrono::seconds(10);
constexpr size_t kMostBytes = 256u << 10;  // of a file of /proc

Result<std::string> output_of(const std::string& program, std::vector<std::string> args,
                              const CancelToken& cancel) {
  ProcessCall call;
  call.program = program;
  call.args = std::move(args);
  call.env = {"LC_ALL=C"};
  call.deadline = kProgramWithin;
  auto done = run_process(call, cancel);
  if (!done) return fail(done.error());
  if (done->exit_code == 0) return std::move(done->output);
  return fail(Code::Internal, program + ": " + printable(trim(done->errors), 300));
}

Section program(std::string name, std::string file, std::vector<std::string> args) {
  return {std::move(name),
          [file = std::move(file), args = std::move(args)](const CancelToken& cancel) {
            return output_of(file, args, cancel);
          }};
}

Section file(std::string name, std::string path) {
  return {std::move(name),
          [path = std::move(path)](const CancelToken&) { return read_file(path, kMostBytes); }};
}

bool holds_any(const std::string& line, const std::set<std::string>& marks) {
  for (const std::string& mark : marks) {
    if (line.find(mark) != std::string::npos) return true;
  }
  return false;
}

// The rules that this agent and the plugins it runs have made; those of others are their own.
std::string our_rules(const std::string& saved, const std::string& run_dir) {
  const std::string hash = sha256_hex(run_dir);
  std::set<std::string> marks{"WHERRY-" + hash.substr(0, 6) + "-", "-" + hash.substr(0, 8)};
  const std::vector<std::string> lines = split(saved, '\n');
  std::set<std::string> chains;
  for (const std::string& line : lines) {
    const size_t jump = line.rfind("-j CNI-");
    if (jump == std::string::npos || !holds_any(line, marks)) continue;
    chains.insert(line.substr(jump + 3, line.find(' ', jump + 3) - jump - 3));
  }
  marks.merge(chains);
  std::string ours;
  for (const std::string& line : lines) {
    if (line.starts_with('*') || holds_any(line, marks)) ours += line + "\n";
  }
  return ours;
}

Result<std::string> agent_log(size_t lines, const CancelToken& cancel) {
  // systemd.exec(5): what the manager gives to all that it starts.
  if (std::getenv("INVOCATION_ID") == nullptr) {
    return fail(Code::FailedPrecondition,
                "systemd did not start wherryd: its log is wherever its standard error goes");
  }
  return output_of("journalctl",
                   {"--no-pager", "--output=short-iso", "--lines=" + std::to_string(lines),
                    "--unit=wherryd.service"},
                   cancel);
}

}  // namespace

std::vector<Section> system_sections(const BundleParts& parts, const BundleWishes& wishes) {
  const size_t lines = wishes.brief ? 200 : 3000;
  return {
      program("system/addresses.txt", "ip", {"address"}),
      program("system/routes.txt", "ip", {"route", "show", "table", "all"}),
      program("system/disks.txt", "df", {"-P", "-k"}),
      program("system/inodes.txt", "df", {"-P", "-i"}),
      {"system/iptables.txt",
       [run_dir = parts.config.storage.run_dir](const CancelToken& cancel) -> Result<std::string> {
         const auto saved = output_of("iptables-save", {}, cancel);
         if (!saved) return fail(saved.error());
         return our_rules(*saved, run_dir);
       }},
      file("system/resolv.conf", "/etc/resolv.conf"),
      file("system/memory.txt", "/proc/meminfo"),
      file("system/load.txt", "/proc/loadavg"),
      file("system/uptime.txt", "/proc/uptime"),
      {kAgentLog, [lines](const CancelToken& cancel) { return agent_log(lines, cancel); }}};
}

}  // namespace wherry::support

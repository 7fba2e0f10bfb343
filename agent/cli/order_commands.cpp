// wherry restart, stop, start, exec
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string target(const std::string& workload, const std::string& what) {
  return "/v1/workloads/" + escape_query(workload) + "/" + what;
}

void write(std::FILE* file, const std::string& text) {
  (void)std::fwrite(text.data(), 1, text.size(), file);
}

}  // namespace

int order_workload(const Session& session, const std::string& order, const std::string& workload) {
  const auto name = find_workload(session.client, workload);
  if (!name) return report(session, name.error());
  const auto answer = session.client.post(target(*name, order));
  if (!answer) return report(session, answer.error());
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  const std::string done =
      order == "stop" ? "stops; it stays so until wherry start " + *name : order + "s";
  print(session, *name + " " + done + "\n");
  return kDone;
}

int exec(const Session& session, const ExecArguments& arguments) {
  const auto workload = find_workload(session.client, arguments.workload);
  if (!workload) return report(session, workload.error());
  Json body{{"argv", arguments.argv}};
  if (!arguments.container.empty()) body["container"] = arguments.container;
  if (!arguments.timeout.empty()) body["timeout"] = arguments.timeout;
  const auto answer = session.client.post(target(*workload, "exec"), body);
  if (!answer) return report(session, answer.error());
  const int64_t code = number_of(*answer, "exitCode");
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return code == 0 ? kDone : kFailed;
  }
  write(session.io.out, text_of(*answer, "stdout"));
  write(session.io.err, text_of(*answer, "stderr"));
  if (flag_of(*answer, "truncated")) {
    write(session.io.err, "wherry: only the beginning of its output is shown\n");
  }
  if (code == 0) return kDone;
  write(session.io.err, "wherry: it ended with exit code " + std::to_string(code) + "\n");
  return kFailed;
}

}  // namespace wherry::cli

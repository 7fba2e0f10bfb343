#include "agent/command/commands.h"

#include <algorithm>
#include <deque>

#include <nlohmann/json.hpp>

#include "agent/command/log_choice.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostErrors = 8u << 10;  // bytes of what is wrong with a document

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json image_of(const runtime::Image& image) {
  return {{"name", image.name}, {"digest", image.digest}, {"sizeBytes", image.size}};
}

tl::unexpected<Error> no_workload(const std::string& name) {
  return fail(Code::NotFound, "there is no workload \"" + printable(name) + "\" on this device");
}

std::string names_of(const WorkloadView& workload) {
  std::vector<std::string> names;
  for (const ContainerView& each : workload.containers) names.push_back(each.name);
  return names.empty() ? "none yet" : join(names, ", ");
}

Result<ContainerView> container_of(const WorkloadView& workload, const std::string& name) {
  for (const ContainerView& each : workload.containers) {
    if (each.name == name) return each;
  }
  return fail(Code::NotFound, "workload \"" + workload.name + "\" has no container \"" +
                                  printable(name) + "\"; it has " + names_of(workload));
}

// The one asked for; else the only main one, or that of the workload's name.
Result<ContainerView> container_to_enter(const WorkloadView& workload, const std::string& name) {
  if (!name.empty()) return container_of(workload, name);
  std::vector<const ContainerView*> main;
  for (const ContainerView& each : workload.containers) {
    if (each.role.empty()) main.push_back(&each);
  }
  if (main.size() == 1) return *main.front();
  for (const ContainerView* each : main) {
    if (each->name == workload.name) return *each;
  }
  return fail(Code::InvalidArgument,
              "say which container of \"" + workload.name + "\"; it has " + names_of(workload));
}

// The last lines that were asked for, as far as there is room.
class LogLines {
 public:
  explicit LogLines(const Command& command)
      : tail_(command.tail), choice_{command.until, command.pattern} {}

  // Whole lines, each with its time before it.
  void add(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t end = std::min(bytes.find('\n'), bytes.size() - 1);
      line(bytes.substr(0, end + 1));
      bytes.remove_prefix(end + 1);
    }
  }
  bool truncated() const { return truncated_; }
  std::string text() const {
    std::string all;
    all.reserve(bytes_);
    for (const std::string& each : lines_) all += each;
    return all;
  }

 private:
  void line(std::string_view text) {
    if (tail_ == 0 || !choice_.has(text)) return;
    lines_.emplace_back(text);
    bytes_ += text.size();
    if (lines_.size() > static_cast<size_t>(tail_)) drop();
    while (bytes_ > kMostLogBytes) {
      drop();
      truncated_ = true;
    }
  }
  void drop() {
    bytes_ -= lines_.front().size();
    lines_.pop_front();
  }

  const int64_t tail_;
  const LogChoice choice_;
  std::deque<std::string> lines_;
  size_t bytes_ = 0;
  bool truncated_ = false;
};

}  // namespace

bool Commands::is_slow(CommandKind kind) {
  return kind == CommandKind::Exec || kind == CommandKind::Pull || kind == CommandKind::Prune ||
         kind == CommandKind::Plan || kind == CommandKind::Check ||
         kind == CommandKind::SupportBundle;
}

Result<std::string> Commands::carry_out(const Command& command, const std::string& given_by,
                                        const CancelToken& cancel) const {
  if (Status fine = failpoint("command.carry-out"); !fine) return fail(fine.error());
  switch (command.kind) {
    case CommandKind::Ping:
      return ping();
    case CommandKind::Status:
      return to_reported_json(*parts_.board.get());
    case CommandKind::Restart:
      return order(OrderKind::Restart, command, given_by, cancel);
    case CommandKind::Stop:
      return order(OrderKind::Stop, command, given_by, cancel);
    case CommandKind::Start:
      return order(OrderKind::Start, command, given_by, cancel);
    case CommandKind::Logs:
      return logs(command, cancel);
    case CommandKind::Exec:
      return exec(command, cancel);
    case CommandKind::Pull:
      return pull(command, cancel);
    case CommandKind::Prune:
      return prune(cancel);
    case CommandKind::Plan:
      return plan(command, cancel);
    case CommandKind::Check:
      if (parts_.check) return parts_.check(cancel);
      break;
    case CommandKind::SupportBundle:
      if (parts_.support_bundle) return parts_.support_bundle(cancel);
      break;
  }
  return fail(Code::Unimplemented,
              "this device does not carry out \"" + std::string(to_string(command.kind)) + "\"");
}

std::string Commands::ping() const {
  const auto state = parts_.board.get();
  return dump({{"at", to_rfc3339(parts_.clock.wall())},
               {"device", state->device.id},
               {"agent", state->device.agent},
               {"boot", state->device.boot}});
}

Result<std::string> Commands::order(OrderKind kind, const Command& command,
                                    const std::string& given_by, const CancelToken& cancel) const {
  const Status taken = parts_.order({kind, command.workload, given_by}, cancel);
  if (!taken) return fail(taken.error());
  return dump({{"workload", command.workload}});
}

Result<std::string> Commands::logs(const Command& command, const CancelToken& cancel) const {
  const auto state = parts_.board.get();
  const WorkloadView* workload = state->find(command.workload);
  if (workload == nullptr) return no_workload(command.workload);
  if (!command.container.empty()) {
    if (auto found = container_of(*workload, command.container); !found) {
      return fail(found.error());
    }
  }
  runtime::LogQuery query;
  query.pod = command.workload;
  query.container = command.container;
  query.since = command.since.value_or(WallTime{});
  query.timestamps = true;
  // What is looked for decides which lines are the last.
  query.tail = LogChoice{command.until, command.pattern}.all() ? command.tail : -1;
  LogLines lines(command);
  const Status read = parts_.logs.read(
      query,
      [&](std::string_view bytes) {
        lines.add(bytes);
        return true;
      },
      cancel);
  // One that has printed nothing yet has no log.
  if (!read && read.error().code() != Code::NotFound) return fail(read.error());
  if (cancel.cancelled()) return fail(Code::Cancelled, "the agent is stopping");
  return dump({{"text", lines.text()}, {"truncated", lines.truncated()}});
}

Result<std::string> Commands::exec(const Command& command, const CancelToken& cancel) const {
  const auto state = parts_.board.get();
  const WorkloadView* workload = state->find(command.workload);
  if (workload == nullptr) return no_workload(command.workload);
  const auto container = container_to_enter(*workload, command.container);
  if (!container) return fail(container.error());
  if (container->state != "running") {
    return fail(Code::FailedPrecondition,
                "container " + container->name + " of \"" + workload->name + "\" does not run");
  }
  runtime::ExecRequest request;
  request.container_id = container->id;
  request.argv = command.argv;
  request.timeout = command.timeout;
  request.max_output = command.max_output + 1;  // one more tells that there was more
  auto done = parts_.execs.exec(request, cancel);
  if (!done) return fail(done.error());
  const bool truncated = std::max(done->out.size(), done->err.size()) > command.max_output;
  done->out.resize(std::min(done->out.size(), command.max_output));
  done->err.resize(std::min(done->err.size(), command.max_output));
  return dump({{"exitCode", done->exit_code},
               {"stdout", done->out},
               {"stderr", done->err},
               {"truncated", truncated}});
}

Result<std::string> Commands::pull(const Command& command, const CancelToken& cancel) const {
  runtime::PullRequest request;
  request.reference = command.image;
  request.progress = [](const runtime::PullProgress&) {};
  const auto image = parts_.images.pull(request, cancel);
  if (!image) return fail(image.error());
  log_info("image pulled", {{"image", command.image}});
  if (parts_.images_changed) parts_.images_changed();
  return dump({{"image", image_of(*image)}});
}

Result<std::string> Commands::prune(const CancelToken& cancel) const {
  const auto report = parts_.prune(cancel);
  if (!report) return fail(report.error());
  Json removed = Json::array();
  for (const runtime::Image& image : report->removed) removed.push_back(image_of(image));
  return dump({{"removed", std::move(removed)}, {"freedBytes", report->freed_bytes}});
}

Result<std::string> Commands::plan(const Command& command, const CancelToken& cancel) const {
  if (!parts_.plan) return fail(Code::Unimplemented, "nothing can be planned here");
  const std::string own = "devices/" + parts_.board.get()->device.id;
  auto planned =
      parts_.plan({command.document, command.source.empty() ? own : command.source}, cancel);
  if (!planned) return fail(planned.error());
  if (planned->errors.empty()) return std::move(planned->json);
  std::vector<std::string> errors;
  for (const Finding& error : planned->errors) {
    errors.push_back(error.path.empty() ? error.message : error.path + ": " + error.message);
  }
  return fail(Code::InvalidArgument,
              "the document would not be accepted: " + printable(join(errors, "; "), kMostErrors));
}

}  // namespace wherry

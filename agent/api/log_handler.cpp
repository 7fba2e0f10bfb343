// Container logs as text, whole or as a stream.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include <tl/expected.hpp>

#include "agent/api/handlers.h"
#include "agent/command/log_choice.h"
#include "base/text.h"

namespace wherry {
namespace {

using http::Problem;

constexpr size_t kMaxPattern = 1024;
constexpr size_t kFlushBytes = 16u << 10;
// How soon a follower sees the first line of a container that had no log yet.
constexpr Duration kLogAppears = std::chrono::milliseconds(500);

std::optional<bool> parse_flag(const std::string* text) {
  if (text == nullptr || *text == "false" || *text == "0") return false;
  if (text->empty() || *text == "true" || *text == "1") return true;
  return std::nullopt;
}

std::optional<int64_t> parse_tail(const std::string* text) {
  if (text == nullptr || *text == "all") return -1;
  int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0) return std::nullopt;
  return value;
}

// A time, or how long ago.
std::optional<WallTime> parse_since(const std::string* text, const Clock& clock) {
  if (text == nullptr) return WallTime{};
  if (const auto time = parse_rfc3339(*text)) return *time;
  const auto ago = parse_duration(*text);
  if (!ago) return std::nullopt;
  return std::max(WallTime{}, clock.wall() - *ago);
}

struct LogRequest {
  runtime::LogQuery query;
  LogChoice choice;
};

tl::expected<LogRequest, Problem> parse_query(const http::Request& request, const std::string& name,
                                              const Clock& clock) {
  const auto refuse = [](std::string detail) {
    return tl::unexpected<Problem>(Problem{400, std::move(detail)});
  };
  LogRequest asked;
  runtime::LogQuery& query = asked.query;
  query.pod = name;
  if (const std::string* container = request.param("container")) query.container = *container;
  const auto tail = parse_tail(request.param("tail"));
  if (!tail) return refuse("tail must be a number of lines, or \"all\"");
  const auto since = parse_since(request.param("since"), clock);
  if (!since) return refuse("since must be a time (2027-01-01T00:00:00Z) or how long ago (10m)");
  const auto follow = parse_flag(request.param("follow"));
  if (!follow) return refuse("follow must be true or false");
  const auto timestamps = parse_flag(request.param("timestamps"));
  if (!timestamps) return refuse("timestamps must be true or false");
  const auto until = parse_since(request.param("until"), clock);
  if (!until) return refuse("until must be a time (2027-01-01T00:00:00Z) or how long ago (10m)");
  if (request.param("until") != nullptr) {
    if (*until < *since) return refuse("until is before since");
    if (*follow) return refuse("until and follow exclude each other");
    asked.choice.until = *until;
  }
  if (const std::string* pattern = request.param("pattern")) {
    if (pattern->empty() || pattern->size() > kMaxPattern) {
      return refuse("pattern must be a text of 1 to 1024 bytes");
    }
    asked.choice.pattern = *pattern;
  }
  query.tail = *tail;
  query.since = *since;
  query.follow = *follow && request.method != "HEAD";
  query.timestamps = *timestamps;
  return asked;
}

std::optional<Problem> check_container(const WorkloadView& workload, const std::string& container) {
  if (container.empty()) return std::nullopt;
  std::vector<std::string> names;
  for (const ContainerView& view : workload.containers) {
    if (view.name == container) return std::nullopt;
    names.push_back(view.name);
  }
  return Problem{404, "workload \"" + workload.name + "\" has no container \"" + container +
                          "\"; it has " + (names.empty() ? "none yet" : join(names, ", "))};
}

// Gathers lines; sends them at once when they are followed.
class LogStream {
 public:
  LogStream(http::Exchange& exchange, bool at_once) : exchange_(exchange), at_once_(at_once) {}

  bool begin() {
    if (!begun_) listening_ = exchange_.begin(200, "text/plain; charset=utf-8").has_value();
    begun_ = true;
    return listening_;
  }
  bool add(std::string_view bytes) {
    buffer_ += bytes;
    return (at_once_ || buffer_.size() >= kFlushBytes) ? flush() : true;
  }
  bool flush() {
    if (!begin()) return false;
    listening_ = exchange_.write(buffer_).has_value();
    buffer_.clear();
    return listening_;
  }
  void finish() {
    if (flush()) (void)exchange_.finish();
  }
  bool begun() const { return begun_; }
  bool listening() const { return listening_; }

 private:
  http::Exchange& exchange_;
  const bool at_once_;
  std::string buffer_;
  bool begun_ = false;
  bool listening_ = true;
};

// Lets the chosen lines through; what comes in begins with its time.
class ChosenLines {
 public:
  using Take = std::function<bool(std::string_view line)>;
  ChosenLines(const LogRequest& request, Take take) : request_(request), take_(std::move(take)) {}

  bool add(std::string_view bytes) {
    bool listening = true;
    while (!bytes.empty() && listening) {
      const std::string_view line =
          bytes.substr(0, std::min(bytes.find('\n'), bytes.size() - 1) + 1);
      bytes.remove_prefix(line.size());
      if (!request_.choice.has(line)) continue;
      listening = take_(request_.query.timestamps ? line : without_time(line));
    }
    return listening;
  }

 private:
  const LogRequest& request_;
  const Take take_;
};

// How many lines are chosen.
Result<int64_t> count_chosen(const HandlerContext& context, const http::Exchange& exchange,
                             const LogRequest& request, const runtime::LogQuery& query) {
  int64_t count = 0;
  ChosenLines chosen(request, [&count](std::string_view) { return ++count, true; });
  const Status read = context.deps.logs.read(
      query, [&](std::string_view bytes) { return chosen.add(bytes); }, exchange.cancel());
  if (!read) return fail(read.error());
  return count;
}

void print_log(const HandlerContext& context, http::Exchange& exchange, const LogRequest& request,
               bool known) {
  LogStream stream(exchange, false);
  const bool all = request.choice.all();
  runtime::LogQuery query = request.query;
  Status read;
  int64_t skip = 0, left = INT64_MAX;
  if (!all) {
    query.tail = -1;
    query.timestamps = true;
    // What is looked for decides which lines are the last: they are counted first, rather than
    // kept until the end is known.
    if (request.query.tail >= 0) {
      const auto count = count_chosen(context, exchange, request, query);
      if (!count) read = fail(count.error());
      skip = count ? std::max<int64_t>(0, *count - request.query.tail) : 0;
      left = request.query.tail;
    }
  }
  ChosenLines chosen(request, [&](std::string_view line) {
    if (skip > 0) return --skip, true;
    return left-- > 0 && stream.add(line);
  });
  if (read && left > 0) {
    read = context.deps.logs.read(
        query, [&](std::string_view bytes) { return all ? stream.add(bytes) : chosen.add(bytes); },
        exchange.cancel());
  }
  const bool nothing_yet = !read && read.error().code() == Code::NotFound && known;
  if (read || nothing_yet) return stream.finish();
  // Past the beginning there is only one way to say it: the stream ends without its end mark.
  if (!stream.begun()) exchange.respond(http::problem_from(read.error()));
}

void follow_log(HandlerContext& context, http::Exchange& exchange, const LogRequest& request,
                bool known) {
  const auto slot = take_follow(context, exchange);
  if (!slot) return exchange.respond(too_many_streams());
  const CancelToken cancel = exchange.cancel();
  const bool all = request.choice.all();
  runtime::LogQuery query = request.query;
  if (!all) query.timestamps = true;
  if (!known) {
    runtime::LogQuery probe = query;
    probe.follow = false;
    probe.tail = 0;
    const Status found = context.deps.logs.read(
        probe, [](std::string_view) { return true; }, cancel);
    if (!found) return exchange.respond(http::problem_from(found.error()));
  }
  const auto watch = context.watch(exchange);
  LogStream stream(exchange, true);
  ChosenLines chosen(request, [&stream](std::string_view line) { return stream.add(line); });
  if (!stream.begin()) return;
  Status read;
  while (stream.listening() && !cancel.cancelled()) {
    read = context.deps.logs.read(
        query, [&](std::string_view bytes) { return all ? stream.add(bytes) : chosen.add(bytes); },
        cancel);
    // Where the Pod is made anew, its next log is followed from the beginning.
    if (read) query.tail = -1;
    if (!read && read.error().code() != Code::NotFound) break;
    if (context.deps.board.get()->find(query.pod) == nullptr) break;
    (void)cancel.wait_for(kLogAppears);
  }
  // A log that cannot be read on has not come to its end.
  if (read || read.error().code() == Code::NotFound) stream.finish();
}

}  // namespace

void answer_logs(HandlerContext& context, http::Exchange& exchange, const std::string& name) {
  const auto request = parse_query(exchange.request(), name, context.deps.clock);
  if (!request) return exchange.respond(request.error());
  const auto view = context.deps.board.get();
  const WorkloadView* workload = view->find(name);
  if (workload != nullptr) {
    if (const auto problem = check_container(*workload, request->query.container)) {
      return exchange.respond(*problem);
    }
  } else if (view->first_pass_done) {
    return exchange.respond(Problem{404, "there is no workload \"" + name + "\" on this device"});
  }
  if (request->query.follow) {
    follow_log(context, exchange, *request, workload != nullptr);
  } else {
    print_log(context, exchange, *request, workload != nullptr);
  }
}

}  // namespace wherry

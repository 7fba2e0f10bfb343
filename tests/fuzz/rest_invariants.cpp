#include "tests/fuzz/rest_invariants.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agent/api/http_message.h"
#include "agent/api/router.h"
#include "agent/api/server.h"
#include "base/text.h"

namespace wherry {
namespace {

using nlohmann::json;

constexpr const char* kToken = "0123456789abcdef";
constexpr size_t kMost = 64u << 10;  // what a socket's buffer surely holds

class NoLogs final : public runtime::Logs {
 public:
  Status read(const runtime::LogQuery& query, const LineSink& sink, CancelToken cancel) override {
    if (query.pod != "web") return fail(Code::NotFound, query.pod + " has no log");
    static_cast<void>(sink("2026-11-26T00:00:00.000Z a line\n"));
    if (query.follow) cancel.cancel();  // as when the client leaves
    return {};
  }
};

class NoImages final : public runtime::Images {
 public:
  Result<runtime::Image> find(const std::string& reference) override { return none(reference); }
  Result<runtime::Image> pull(const runtime::PullRequest& request, CancelToken) override {
    return none(request.reference);
  }
  Result<std::vector<runtime::Image>> list() override { return std::vector<runtime::Image>{}; }
  Result<std::vector<runtime::Image>> import_archive(const std::string&, CancelToken) override {
    return std::vector<runtime::Image>{};
  }
  Status remove(const std::string&) override { return {}; }
  Status drop_abandoned(const std::vector<std::string>&) override { return {}; }
  Result<runtime::PruneReport> prune(const runtime::PruneRequest&, CancelToken) override {
    return runtime::PruneReport{};
  }

 private:
  static tl::unexpected<Error> none(const std::string& reference) {
    return fail(Code::NotFound, "there is no " + printable(reference));
  }
};

class NoExecs final : public runtime::Execs {
 public:
  Result<runtime::ExecResult> exec(const runtime::ExecRequest&, CancelToken) override {
    return runtime::ExecResult{};
  }
};

// The server as it is, over a device without anything; its sockets are never opened.
class Bench {
 public:
  Bench() {
    StateView state;
    state.first_pass_done = true;
    WorkloadView web;
    web.name = "web";
    web.phase = Phase::Running;
    web.containers.emplace_back();
    web.containers[0].name = "web";
    web.containers[0].state = "running";
    state.workloads = {web};
    board_.set(std::make_shared<const StateView>(state));
    ApiOptions options;
    options.upload_dir = directory_ / "uploads";
    options.token_file = directory_ / "token";
    options.max_upload_bytes = 1024;
    options.disk_reserve = 0;
    std::ofstream(options.token_file) << kToken << "\n";
    std::filesystem::permissions(options.token_file, std::filesystem::perms::owner_all);
    options.rates.wrong_tokens.at_once = 1e18;
    server_ = std::make_unique<ApiServer>(
        options, ApiDependencies{board_,
                                 clock_,
                                 logs_,
                                 images_,
                                 [](int64_t, size_t) { return std::vector<EventRecord>{}; },
                                 nullptr,
                                 [] {},
                                 [](const CancelToken&) { return runtime::PruneReport{}; },
                                 {},
                                 [] { return std::string("up 1\n"); },
                                 &commands_});
  }
  ~Bench() { std::filesystem::remove_all(directory_); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  ApiServer& server() { return *server_; }

 private:
  static std::filesystem::path make_directory() {
    std::string path = std::filesystem::temp_directory_path() / "wherry-rest-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) std::abort();
    return path;
  }

  const std::filesystem::path directory_ = make_directory();
  StateBoard board_;
  FakeClock clock_;
  NoLogs logs_;
  NoImages images_;
  NoExecs execs_;
  Commands commands_{CommandParts{
      board_, clock_, logs_, images_, execs_, [](Order, const CancelToken&) { return Status(); },
      [](const CancelToken&) { return runtime::PruneReport{}; }, [] {}}};
  std::unique_ptr<ApiServer> server_;
};

// What came back, and of what.
struct Talk {
  http::Peer peer;
  bool received = false;
  http::Request request;
  std::string answer;
};

Talk talk(ApiServer& server, const http::Peer& peer, std::string_view bytes) {
  static const http::Timeouts kTimeouts;
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
  if (send(ends[0], bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) std::abort();
  shutdown(ends[0], SHUT_WR);
  Talk result{peer, false, {}, {}};
  {
    http::Exchange exchange(std::make_shared<http::Socket>(ends[1]), peer, kTimeouts);
    result.received = exchange.receive();
    if (result.received) server.answer(exchange);
    result.request = exchange.request();
    exchange.close();
  }
  std::array<char, 16384> part{};
  for (ssize_t got = 0; (got = recv(ends[0], part.data(), part.size(), 0)) > 0;) {
    result.answer.append(part.data(), static_cast<size_t>(got));
  }
  close(ends[0]);
  return result;
}

std::string broken_problem(const std::string& body, int status) {
  const json problem = json::parse(body, nullptr, false);
  if (!problem.is_object() || problem.value("status", 0) != status) return "no problem: " + body;
  const std::string detail = problem.value("detail", "");
  const bool line = std::none_of(detail.begin(), detail.end(),
                                 [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
  if (detail.empty() || detail.size() > 8192 || !line) return "no short line: " + detail;
  if (problem.value("reason", "").empty()) return "no reason: " + body;
  return {};
}

// The head is one that could not be read in two ways: what is written in it comes out of it again.
std::string broken_reading(const http::Request& request) {
  for (const std::string& segment : request.path) {
    if (segment == "." || segment == ".." || segment.find('/') != std::string::npos ||
        !is_valid_utf8(segment) || http::has_control(segment)) {
      return "a segment that is no name: " + segment;
    }
  }
  if (request.chunked && (request.content_length > 0 || request.header("content-length"))) {
    return "two lengths";
  }
  std::string head =
      request.method + " " + request.target + (request.http_1_0 ? " HTTP/1.0" : " HTTP/1.1");
  for (const auto& [name, value] : request.headers) head += "\r\n" + name + ": " + value;
  const auto again = http::parse_head(head);
  if (!again || again->path != request.path || again->query != request.query ||
      again->headers != request.headers || again->content_length != request.content_length) {
    return "written out again it means something else: " + head;
  }
  return {};
}

bool may_pass(const Talk& talk) {
  if (!talk.peer.tcp) return true;
  const auto& path = talk.request.path;
  const bool open = path.size() == 1 && (path[0] == "healthz" || path[0] == "metrics");
  if (open && talk.peer.loopback) return true;
  const std::string* given = talk.request.header("authorization");
  return given != nullptr && given->size() > std::string(kToken).size() && given->ends_with(kToken);
}

std::string broken_answer(const Talk& talk) {
  const std::string& answer = talk.answer;
  const size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos) return "no head: " + answer;
  if (answer.starts_with("HTTP/1.1 100 ")) {
    return broken_answer({talk.peer, talk.received, talk.request, answer.substr(end + 4)});
  }
  int status = 0;
  std::from_chars(answer.data() + 9, answer.data() + 12, status);
  if (!answer.starts_with("HTTP/1.1 ") || status < 200) return "no status: " + answer;
  // Of the server's faults only those that say what is not there.
  if (status == 500 || status == 502 || status == 504) return "a fault: " + answer;
  if (status < 400 && (!talk.received || !may_pass(talk))) return "let in: " + answer;
  if (talk.request.method == "HEAD") {
    return answer.size() == end + 4 ? "" : "a body for HEAD: " + answer;
  }
  const std::string head = answer.substr(0, end + 2), body = answer.substr(end + 4);
  if (status >= 400) return broken_problem(body, status);
  if (head.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos) {
    return body.ends_with("0\r\n\r\n") ? "" : "not ended: " + answer;
  }
  const bool length =
      head.find("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n") != std::string::npos;
  return length || talk.request.http_1_0 ? "" : "another length: " + answer;
}

}  // namespace

std::string broken_rest(std::string_view text) {
  static Bench bench;
  if (text.empty() || text.size() > kMost) return {};
  constexpr std::string_view kWays = "utr";
  const size_t way = std::min(kWays.find(text[0]), size_t{0} + 2);
  const http::Peer peer{way != 0, way == 1, "", way == 0 ? "" : "127.0.0.1"};
  const Talk result = talk(bench.server(), peer, text.substr(1));
  if (result.received) {
    if (std::string broken = broken_reading(result.request); !broken.empty()) return broken;
  }
  // Who ends before the head does has nothing to be told.
  if (!result.received && result.answer.empty()) return {};
  return broken_answer(result);
}

}  // namespace wherry

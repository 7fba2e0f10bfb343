#pragma once
// Commands for a device of the test's own, whose agent can be killed and started again.

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "agent/command/command_desk.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry {

using nlohmann::json;
using test::wait_until;
using ::testing::HasSubstr;

class FewLogs final : public runtime::Logs {
 public:
  Status read(const runtime::LogQuery& query, const LineSink& sink, CancelToken) override {
    asked = query;
    if (lines.empty()) return fail(Code::NotFound, "no log");
    std::string all;
    for (const std::string& line : lines) all += line;
    sink(all);
    return {};
  }
  runtime::LogQuery asked;
  std::vector<std::string> lines;
};

class NoImages final : public runtime::Images {
 public:
  Result<runtime::Image> find(const std::string& reference) override {
    return fail(Code::NotFound, reference);
  }
  Result<runtime::Image> pull(const runtime::PullRequest& request, CancelToken) override {
    if (request.reference != "web:1") return fail(Code::NotFound, "no " + request.reference);
    return runtime::Image{"web:1", "sha256:1", 7};
  }
  Result<std::vector<runtime::Image>> list() override { return std::vector<runtime::Image>(); }
  Result<std::vector<runtime::Image>> import_archive(const std::string&, CancelToken) override {
    return std::vector<runtime::Image>();
  }
  Status remove(const std::string&) override { return {}; }
  Status drop_abandoned(const std::vector<std::string>&) override { return {}; }
  Result<runtime::PruneReport> prune(const runtime::PruneRequest&, CancelToken) override {
    return runtime::PruneReport{};
  }
};

// Echoes; "wait" lasts until it is cancelled or let go.
class EchoExecs final : public runtime::Execs {
 public:
  Result<runtime::ExecResult> exec(const runtime::ExecRequest& request,
                                   CancelToken cancel) override {
    ++begun;
    if (request.argv[0] == "wait") {
      while (!cancel.wait_for(std::chrono::milliseconds(1)) && !let_go) {
      }
      if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    }
    return runtime::ExecResult{0, request.argv.back().substr(0, request.max_output), ""};
  }
  std::atomic<int> begun{0};
  std::atomic<bool> let_go{false};
};

class DeskTest : public ::testing::Test {
 protected:
  DeskTest() {
    StateView state;
    state.device.id = "dev-1";
    state.workloads.resize(1);
    state.workloads[0].name = "web";
    state.workloads[0].containers.resize(1);
    state.workloads[0].containers[0].name = "app";
    state.workloads[0].containers[0].id = "id-1";
    state.workloads[0].containers[0].state = "running";
    board_.set(std::make_shared<const StateView>(state));
    open();
  }
  ~DeskTest() override { failpoints_arm(""); }

  void open() {
    StoreOptions options;
    options.path = dir_ / "wherry.db";
    options.max_command_rows = max_rows_;
    auto opened = Store::open(options);
    ASSERT_TRUE(opened) << opened.error().full();
    store_ = std::move(opened->store);
    desk_ = std::make_unique<CommandDesk>(CommandDeskParts{*store_, commands_, clock_,
                                                           [this](CommandAnswer answer) {
                                                             const std::lock_guard lock(mutex_);
                                                             answers_.push_back(std::move(answer));
                                                             return true;
                                                           }},
                                          options_);
    desk_->start();
  }
  // The agent is killed and started again.
  void new_life() {
    desk_.reset();
    failpoints_arm("");
    store_.reset();
    {
      const std::lock_guard lock(mutex_);
      answers_.clear();
    }
    open();
  }
  static CommandMessage message(const std::string& request, const std::string& payload) {
    return {"devices/dev-1", request, payload, "", "", false};
  }
  void send(const std::string& request, const std::string& payload) {
    desk_->receive(message(request, payload));
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return answers_.size();
  }
  // The next answer, which must be to `request`.
  json answer(const std::string& request) {
    if (!wait_until([&] { return count() > 0; })) {
      ADD_FAILURE() << "no answer to " << request;
      return {};
    }
    const std::lock_guard lock(mutex_);
    last_ = std::move(answers_.front());
    answers_.pop_front();
    EXPECT_EQ(last_.request, request);
    return json::parse(last_.payload, nullptr, false);
  }
  json ask(const std::string& request, const std::string& payload) {
    send(request, payload);
    return answer(request);
  }
  static std::string code(const json& answer) {
    return answer.value("ok", true) ? "" : answer["error"]["code"].get<std::string>();
  }

  static constexpr const char* kRestart = R"({"command":"restart","args":{"workload":"web"}})";
  static constexpr const char* kWait =
      R"({"command":"exec","args":{"workload":"web","argv":["wait"]}})";

  test::TempDir dir_;
  SystemClock clock_;
  StateBoard board_;
  FewLogs logs_;
  NoImages images_;
  EchoExecs execs_;
  std::atomic<int> orders_{0};
  Order order_;
  Status order_answer_;
  Commands commands_{CommandParts{
      board_,
      clock_,
      logs_,
      images_,
      execs_,
      [this](Order order, const CancelToken&) {
        ++orders_;
        order_ = std::move(order);
        return order_answer_;
      },
      [](const CancelToken&) -> Result<runtime::PruneReport> {
        return runtime::PruneReport{{{"old:1", "sha256:2", 5}}, 9, {}};
      },
      {},
      [](const PlanRequest& request, const CancelToken&) {
        if (request.source == "groups/g") {
          return Planned{{{"kind", "is wrong"}, {"", "more"}}, ""};
        }
        return Planned{{}, json{{"source", request.source}, {"payload", request.payload}}.dump()};
      },
      [](const CancelToken&) -> Result<std::string> { return std::string(R"({"result":"ok"})"); },
      [](const CancelToken&) -> Result<std::string> { return std::string(R"({"bytes":7})"); }}};
  CommandRules options_;
  int64_t max_rows_ = 20;
  std::mutex mutex_;
  std::deque<CommandAnswer> answers_;
  CommandAnswer last_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<CommandDesk> desk_;
};

}  // namespace wherry

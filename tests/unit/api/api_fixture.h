#pragma once
// A real ApiServer on a socket of its own, over state that the test makes up; and a client that
// can send what no proper client would.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "agent/api/server.h"
#include "tests/support/openapi.h"
#include "tests/support/raw_client.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry::test {

// What a device with nothing on it says.
inline constexpr const char* kPlan =
    R"({"source":"local","revision":7,"digest":"sha256:1","possible":true,"workloads":[],"images":[],)"
    R"("downloadBytes":0,"disks":[],"resources":[],"down":[],"warnings":[]})";
inline constexpr const char* kMerged =
    R"({"apiVersion":"wherry/v1","kind":"DesiredState","metadata":{},"spec":{"items":[]},"sources":[]})";

inline constexpr const char* kNothingFound =
    R"({"at":"2026-09-21T14:13:20Z","result":"ok","findings":[]})";

// Log lines in memory; followers see what is appended. Thread-safe.
class FakeLogs final : public runtime::Logs {
 public:
  Status read(const runtime::LogQuery& query, const LineSink& sink, CancelToken cancel) override;

  void append(const std::string& pod, const std::string& line);
  // With its Pod: to followers it comes to its end.
  void remove(const std::string& pod);
  // Readers get what there is, and then this.
  void break_with(Error error);
  runtime::LogQuery last_query() const;
  int followers() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<std::string>> lines_;
  std::optional<Error> broken_;
  runtime::LogQuery last_query_;
  int followers_ = 0, removals_ = 0;
};

// Imports any file: the image is named by its content. Thread-safe.
class FakeImages final : public runtime::Images {
 public:
  Result<runtime::Image> find(const std::string& reference) override;
  Result<runtime::Image> pull(const runtime::PullRequest& request, CancelToken cancel) override;
  Result<std::vector<runtime::Image>> list() override;
  Result<std::vector<runtime::Image>> import_archive(const std::string& path,
                                                     CancelToken cancel) override;
  Status remove(const std::string& reference) override;
  Status drop_abandoned(const std::vector<std::string>&) override { return {}; }
  Result<runtime::PruneReport> prune(const runtime::PruneRequest&, CancelToken) override;

  // Imports wait until they are cancelled.
  void hang_imports() { hang_ = true; }
  // Imports copy what they get to `path`.
  void keep_imports(const std::string& path);
  void prune_with(Result<runtime::PruneReport> result);
  int importing() const { return importing_; }
  int cancelled() const { return cancelled_; }
  int64_t imported_bytes() const { return imported_bytes_; }
  std::string imported_path() const;  // of the latest
  void fail_with(Error error);
  // Pulls tell each of these as soon as it is given, and end with end_pulls() or a cancellation.
  void tell(const runtime::PullProgress& progress);
  void end_pulls(Result<runtime::Image> result);
  int pulling() const { return pulling_; }
  std::string pulled() const;  // the reference last asked for

 private:
  mutable std::mutex mutex_;
  std::vector<runtime::Image> images_;
  std::optional<Error> error_;
  std::atomic<bool> hang_{false};
  std::atomic<int> importing_{0}, cancelled_{0};
  std::atomic<int64_t> imported_bytes_{0};
  std::condition_variable changed_;
  std::vector<runtime::PullProgress> told_;
  std::optional<Result<runtime::Image>> pull_result_;
  std::string pulled_;
  std::string keep_as_, imported_path_;
  Result<runtime::PruneReport> prune_result_;
  std::atomic<int> pulling_{0};
};

// Says what it was asked to run. "false" ends with 1; "slow" is not done in time.
class FakeExecs final : public runtime::Execs {
 public:
  // "slow" takes too long, "wait" ends only when it is cancelled.
  Result<runtime::ExecResult> exec(const runtime::ExecRequest& request,
                                   CancelToken cancel) override;
  runtime::ExecRequest asked() const;  // the last one

 private:
  mutable std::mutex mutex_;
  runtime::ExecRequest asked_;
};

StateView sample_state();

class ApiTest : public ::testing::Test {
 protected:
  ApiTest();
  // Every answer to ask() and ask_tcp() must be as configs/openapi.json says; judged all at once.
  static void TearDownTestSuite();

  void start();
  // "GET /v1/status" and the like, with a Host; the whole answer.
  Answer ask(const std::string& request_line, const std::string& more_headers = "",
             const std::string& body = "") const;
  Answer ask_tcp(const std::string& request_line, const std::string& more_headers = "") const;
  Answer ask_tcp(const std::string& request_line, const std::string& more_headers,
                 const std::string& body, const std::string& from) const;
  std::string socket() const { return dir / "run/api.sock"; }
  void set_state(const StateView& state);
  void add_event(const EventRecord& event);  // also while the server runs

  TempDir dir;
  FakeClock clock;
  StateBoard board;
  FakeLogs logs;
  FakeImages images;
  std::vector<EventRecord> events;
  mutable std::mutex events_mutex;
  std::atomic<int64_t> events_read{0};  // the highest number that was handed out
  Bell event_bell;
  Status alive;
  FakeExecs execs;
  std::vector<Order> orders() const;  // given so far
  void answer_orders(Status answer);  // each from now on
  mutable std::mutex orders_mutex_;
  std::vector<Order> orders_;
  Status order_answer_;
  std::unique_ptr<Commands> commands;
  // What the agent says of documents from now on, and what it was last asked.
  void answer_documents(Result<Applied> applied, Result<Planned> planned);
  ApplyRequest apply_asked() const;
  PlanRequest plan_asked() const;
  mutable std::mutex documents_mutex_;
  Result<Applied> applied_ = Applied{7, "sha256:1", true, {}, {}};
  Result<Planned> planned_ = Planned{{}, kPlan};
  ApplyRequest apply_asked_;
  PlanRequest plan_asked_;
  using Check = std::function<Result<std::string>(const CancelToken&)>;
  using BundleSink = std::function<bool(std::string_view)>;
  using WriteBundle = std::function<Status(bool logs, const BundleSink&, const CancelToken&)>;
  // Each from now on; before, there is nothing to find, and an archive of a few words.
  void check_with(Check check);
  void bundle_with(WriteBundle write);
  mutable std::mutex diagnosis_mutex_;
  Check check_;
  WriteBundle write_bundle_;
  std::atomic<int> images_changed{0};
  ApiOptions options;
  std::unique_ptr<ApiServer> server;
};

}  // namespace wherry::test

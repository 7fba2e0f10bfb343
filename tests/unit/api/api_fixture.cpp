#include "tests/unit/api/api_fixture.h"

#include <algorithm>

#include "base/digest.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry::test {

// --- FakeLogs

Status FakeLogs::read(const runtime::LogQuery& query, const LineSink& sink, CancelToken cancel) {
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  last_query_ = query;
  if (lines_.count(query.pod) == 0) return fail(Code::NotFound, query.pod + " has no log");
  const size_t size = lines_[query.pod].size();
  const auto tail = static_cast<size_t>(query.tail);
  size_t next = query.tail >= 0 && tail < size ? size - tail : 0;
  followers_ += query.follow ? 1 : 0;
  bool wanted = true;
  const int removals = removals_;
  while (wanted && !cancel.cancelled() && removals_ == removals) {
    if (next < lines_[query.pod].size()) {
      const std::string line = lines_[query.pod][next++];
      lock.unlock();
      wanted = sink(line);
      lock.lock();
      continue;
    }
    if (!query.follow || broken_) break;
    changed_.wait(lock);
  }
  followers_ -= query.follow ? 1 : 0;
  if (broken_) return fail(*broken_);
  return {};
}

void FakeLogs::append(const std::string& pod, const std::string& line) {
  const std::lock_guard lock(mutex_);
  lines_[pod].push_back(line);
  changed_.notify_all();
}

void FakeLogs::remove(const std::string& pod) {
  const std::lock_guard lock(mutex_);
  lines_.erase(pod);
  ++removals_;
  changed_.notify_all();
}

void FakeLogs::break_with(Error error) {
  const std::lock_guard lock(mutex_);
  broken_ = std::move(error);
  changed_.notify_all();
}

runtime::LogQuery FakeLogs::last_query() const {
  const std::lock_guard lock(mutex_);
  return last_query_;
}

int FakeLogs::followers() const {
  const std::lock_guard lock(mutex_);
  return followers_;
}

// --- FakeImages

Result<runtime::Image> FakeImages::find(const std::string& reference) {
  return fail(Code::NotFound, reference);
}
Result<runtime::Image> FakeImages::pull(const runtime::PullRequest& request, CancelToken cancel) {
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  pulled_ = request.reference;
  ++pulling_;
  for (size_t next = 0; !cancel.cancelled();) {
    if (next < told_.size()) {
      request.progress(told_[next++]);
    } else if (pull_result_) {
      break;
    } else {
      changed_.wait(lock);
    }
  }
  --pulling_;
  if (cancel.cancelled()) return ++cancelled_, fail(Code::Cancelled, "pull cancelled");
  return *pull_result_;
}

void FakeImages::tell(const runtime::PullProgress& progress) {
  const std::lock_guard lock(mutex_);
  told_.push_back(progress);
  changed_.notify_all();
}

void FakeImages::end_pulls(Result<runtime::Image> result) {
  const std::lock_guard lock(mutex_);
  pull_result_ = std::move(result);
  changed_.notify_all();
}

std::string FakeImages::pulled() const {
  const std::lock_guard lock(mutex_);
  return pulled_;
}

Status FakeImages::remove(const std::string& reference) { return fail(Code::NotFound, reference); }

Result<std::vector<runtime::Image>> FakeImages::list() {
  const std::lock_guard lock(mutex_);
  if (error_) return fail(*error_);
  return images_;
}

void FakeImages::keep_imports(const std::string& path) {
  const std::lock_guard lock(mutex_);
  keep_as_ = path;
}

void FakeImages::prune_with(Result<runtime::PruneReport> result) {
  const std::lock_guard lock(mutex_);
  prune_result_ = std::move(result);
}

Result<runtime::PruneReport> FakeImages::prune(const runtime::PruneRequest&, CancelToken) {
  const std::lock_guard lock(mutex_);
  return prune_result_;
}

void FakeImages::fail_with(Error error) {
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
}

std::string FakeImages::imported_path() const {
  const std::lock_guard lock(mutex_);
  return imported_path_;
}

Result<std::vector<runtime::Image>> FakeImages::import_archive(const std::string& path,
                                                               CancelToken cancel) {
  ++importing_;
  if (hang_) {
    const bool told = cancel.wait_for(kPatience);
    --importing_;
    cancelled_ += told ? 1 : 0;
    return fail(Code::Cancelled, "import cancelled");
  }
  const auto bytes = read_file(path, size_t{64} << 20);
  const std::lock_guard lock(mutex_);
  imported_path_ = path;
  if (!keep_as_.empty() && bytes) write_text(keep_as_, *bytes);
  --importing_;
  if (!bytes) return fail(bytes.error());
  imported_bytes_ = static_cast<int64_t>(bytes->size());
  if (error_) return fail(*error_, path);  // as the real one says it
  images_.push_back({"example/" + bytes->substr(0, 8), sha256_digest(*bytes),
                     static_cast<int64_t>(bytes->size())});
  return std::vector{images_.back()};
}

Result<runtime::ExecResult> FakeExecs::exec(const runtime::ExecRequest& request,
                                            CancelToken cancel) {
  {
    const std::lock_guard lock(mutex_);
    asked_ = request;
  }
  if (request.argv[0] == "wait") {
    (void)cancel.wait_for(std::chrono::minutes(1));
    return fail(Code::Cancelled, "no longer wanted");
  }
  if (request.argv[0] == "slow") return fail(Code::DeadlineExceeded, "not done within 1s");
  const std::string out = join(request.argv, " ") + "\n";
  return runtime::ExecResult{request.argv[0] == "false" ? 1 : 0, out.substr(0, request.max_output),
                             "to stderr\n"};
}

runtime::ExecRequest FakeExecs::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

// --- ApiTest

StateView sample_state() {
  const FakeClock clock;
  StateView state;
  state.at = clock.wall();
  state.first_pass_done = true;
  state.device.id = "pump-7";
  state.device.groups = {"line-1"};
  state.device.labels = {{"site", "north"}};
  state.device.agent = "1.0.0";
  state.device.boot = "b0";
  state.device.os = "Debian GNU/Linux 12";
  state.device.kernel = "6.1.0";
  state.device.arch = "arm64";
  state.device.cpus = 4;
  state.device.memory_bytes = 4ll << 30;
  state.device.containerd = "1.6.20";
  DesiredView desired;
  desired.source = "devices/pump-7";
  desired.revision = 42;
  desired.digest = "sha256:1";
  desired.state = "Applied";
  desired.warnings = {{"spec.items[0].spec.tolerations", "has no meaning on one device", 0, 0}};
  desired.rejected = DesiredView::Rejected{43, {{"spec.items[0].spec", "unknown field", 7, 3}}};
  state.desired = {desired};
  const WallTime since = clock.wall() - std::chrono::seconds(192);
  ContainerView main{"web",      "registry.local/web:1",
                     "sha256:2", "running",
                     true,       3,
                     137,        "OOMKilled",
                     "id-1",     77,
                     since,      since - std::chrono::seconds(1)};
  ContainerView side{"side", "registry.local/side:1", "", "waiting", false, 0,
                     {},     "ErrImagePull",          "", 0,         {},    {}};
  state.workloads = {{"queue",
                      "manifests",
                      0,
                      Phase::Pending,
                      false,
                      "WaitingForDependency",
                      "waits for web",
                      "",
                      since,
                      {}},
                     {"web",
                      "devices/pump-7",
                      42,
                      Phase::Running,
                      false,
                      "",
                      "",
                      "10.89.0.7",
                      since,
                      {main, side}}};
  state.conditions = {
      {"ContainerdReady", true, "", "", since},
      {"BrokerConnected", false, "NotAuthorized", "the broker refused the password", since},
      {"StoreReady", true, "", "", since}};
  return state;
}

ApiTest::ApiTest() {
  options.socket = dir / "run/api.sock";
  options.group = "";
  options.upload_dir = dir / "state/uploads";
  options.max_upload_bytes = 1 << 20;
  options.disk_reserve = 0;
  set_state(sample_state());
  check_with([](const CancelToken&) -> Result<std::string> { return std::string(kNothingFound); });
  bundle_with([](bool all, const BundleSink& sink, const CancelToken&) -> Status {
    sink(all ? "an archive with logs" : "an archive");
    return {};
  });
  commands = std::make_unique<Commands>(
      CommandParts{board, clock, logs, images, execs,
                   [this](Order order, const CancelToken&) {
                     const std::lock_guard lock(orders_mutex_);
                     orders_.push_back(std::move(order));
                     return order_answer_;
                   },
                   [this](const CancelToken& cancel) { return images.prune({}, cancel); },
                   [this] { ++images_changed; }});
}

std::vector<Order> ApiTest::orders() const {
  const std::lock_guard lock(orders_mutex_);
  return orders_;
}

void ApiTest::answer_orders(Status answer) {
  const std::lock_guard lock(orders_mutex_);
  order_answer_ = std::move(answer);
}

void ApiTest::answer_documents(Result<Applied> applied, Result<Planned> planned) {
  const std::lock_guard lock(documents_mutex_);
  applied_ = std::move(applied);
  planned_ = std::move(planned);
}

ApplyRequest ApiTest::apply_asked() const {
  const std::lock_guard lock(documents_mutex_);
  return apply_asked_;
}

PlanRequest ApiTest::plan_asked() const {
  const std::lock_guard lock(documents_mutex_);
  return plan_asked_;
}

void ApiTest::add_event(const EventRecord& event) {
  {
    const std::lock_guard lock(events_mutex);
    events.push_back(event);
  }
  event_bell.ring();
}

void ApiTest::set_state(const StateView& state) {
  board.set(std::make_shared<const StateView>(state));
}

void ApiTest::check_with(Check check) {
  const std::lock_guard lock(diagnosis_mutex_);
  check_ = std::move(check);
}

void ApiTest::bundle_with(WriteBundle write) {
  const std::lock_guard lock(diagnosis_mutex_);
  write_bundle_ = std::move(write);
}

void ApiTest::start() {
  ApiDependencies deps{
      board,
      clock,
      logs,
      images,
      [this](int64_t after, size_t limit) -> Result<std::vector<EventRecord>> {
        std::vector<EventRecord> found;
        const std::lock_guard lock(events_mutex);
        for (const EventRecord& event : events) {
          if (event.number > after && found.size() < limit) found.push_back(event);
        }
        if (!found.empty()) events_read = found.back().number;
        return found;
      },
      &event_bell,
      [this] { ++images_changed; },
      [this](const CancelToken& cancel) { return images.prune({}, cancel); },
      [this] { return alive; },
      [] { return std::string("wherry_build_info 1\n"); },
      commands.get(),
      [](const CancelToken&) -> Result<std::string> { return std::string(kMerged); },
      [this](ApplyRequest request, const CancelToken&) {
        const std::lock_guard lock(documents_mutex_);
        apply_asked_ = std::move(request);
        return applied_;
      },
      [this](const PlanRequest& request, const CancelToken&) {
        const std::lock_guard lock(documents_mutex_);
        plan_asked_ = request;
        return planned_;
      },
      [this](const CancelToken& cancel) {
        std::unique_lock lock(diagnosis_mutex_);
        const Check asked = check_;
        lock.unlock();
        return asked(cancel);
      },
      [this](bool all, const BundleSink& sink, const CancelToken& cancel) {
        std::unique_lock lock(diagnosis_mutex_);
        const WriteBundle asked = write_bundle_;
        lock.unlock();
        return asked(all, sink, cancel);
      }};
  server = std::make_unique<ApiServer>(options, std::move(deps));
  const Status started = server->start();
  ASSERT_TRUE(started) << started.error().full();
}

namespace {

std::vector<RestAnswered>& answered() {
  static std::vector<RestAnswered> all;
  return all;
}

Answer noted(const std::string& request_line, Answer answer) {
  const size_t blank = request_line.find(' ');
  if (answer.complete && blank != std::string::npos) {
    answered().push_back({request_line.substr(0, blank), request_line.substr(blank + 1),
                          answer.status, answer.header("Content-Type"), answer.body});
  }
  return answer;
}

}  // namespace

void ApiTest::TearDownTestSuite() {
  for (const std::string& problem : OpenApi().problems(answered())) ADD_FAILURE() << problem;
  answered().clear();
}

Answer ApiTest::ask(const std::string& request_line, const std::string& more_headers,
                    const std::string& body) const {
  const auto client = RawClient::unix_socket(options.socket);
  client->send(request_line + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers + "\r\n" + body);
  return noted(request_line, client->answer());
}

Answer ApiTest::ask_tcp(const std::string& request_line, const std::string& more_headers) const {
  return ask_tcp(request_line, more_headers, "", "127.0.0.1");
}

Answer ApiTest::ask_tcp(const std::string& request_line, const std::string& more_headers,
                        const std::string& body, const std::string& from) const {
  const auto client = RawClient::tcp(server->tcp_port(), from);
  client->send(request_line + " HTTP/1.1\r\n" + more_headers + "\r\n" + body);
  return noted(request_line, client->answer());
}

}  // namespace wherry::test

#include "runtime/pod/container_exec.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/spec/exec_process.h"

namespace wherry::runtime {
namespace {

constexpr size_t kSpecsKept = 256;
constexpr Duration kDeath = std::chrono::seconds(5);
constexpr Duration kTaskEnd = std::chrono::seconds(1);
constexpr int kDeaths = 3;  // it may just be starting, and be no process yet
constexpr uint32_t kKilled = 128 + SIGKILL;
// Pipes are <container>.<exec><end>.
constexpr const char* kOut = ".out";
constexpr const char* kErr = ".err";
// Its output may be held open by a child it left behind: now and then it is asked whether it ended.
constexpr Duration kAsk = std::chrono::milliseconds(500);

// A named pipe that the shim writes to and we read from.
class Pipe {
 public:
  Pipe(std::string path, size_t bound) : path_(std::move(path)), bound_(bound) {}
  ~Pipe() { unlink(path_.c_str()); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  Status open() {
    if (mkfifo(path_.c_str(), 0600) != 0) return failed("make");
    fd_ = Fd(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    return fd_.valid() ? Status() : failed("open");
  }
  const std::string& path() const { return path_; }
  int fd() const { return closed_ ? -1 : fd_.get(); }
  bool closed() const { return closed_; }
  // All there is now; what is beyond the bound is read and lost.
  void drain() {
    char bytes[4096];
    for (ssize_t got = 0; (got = read(fd_.get(), bytes, sizeof bytes)) > 0;) {
      text_.append(bytes, std::min(static_cast<size_t>(got), bound_ - text_.size()));
    }
  }
  void take(short events) {
    if ((events & POLLIN) != 0) drain();
    if ((events & (POLLHUP | POLLERR)) == 0) return;
    drain();
    closed_ = true;
  }
  std::string text() { return std::move(text_); }

 private:
  Status failed(const char* what) const {
    return fail(Code::Internal, std::string(what) + " " + path_ + ": " + std::strerror(errno));
  }

  const std::string path_;
  const size_t bound_;
  Fd fd_{-1};
  bool closed_ = false;
  std::string text_;
};

// One program from its making to its removal.
class Run {
 public:
  Run(Client& client, const ExecRequest& request, const std::string& directory)
      : tasks_(client.tasks()),
        request_(request),
        id_("x" + random_hex(8)),
        out_(directory + "/" + request.container_id + "." + id_ + kOut, request.max_output),
        err_(directory + "/" + request.container_id + "." + id_ + kErr, request.max_output) {}

  Result<ExecResult> go(const std::string& process, const CancelToken& cancel) {
    if (Status opened = out_.open(); !opened) return fail(opened.error());
    if (Status opened = err_.open(); !opened) return fail(opened.error());
    const std::string& container = request_.container_id;
    Status made = tasks_.exec(container, id_, process, {out_.path(), err_.path()});
    if (!made) return fail(missing_task(made.error()));
    if (Status started = tasks_.start_exec(container, id_); !started) {
      static_cast<void>(tasks_.remove_exec(container, id_));
      return fail(missing_task(started.error()));
    }
    auto code = watch(clock_.now() + request_.timeout, cancel);
    if (!code) {
      static_cast<void>(tasks_.kill_exec(container, id_, SIGKILL));
      static_cast<void>(tasks_.wait_exec(container, id_, kDeath));
    }
    out_.drain();
    err_.drain();
    static_cast<void>(tasks_.remove_exec(container, id_));
    if (!code) return fail(code.error());
    if (*code == kKilled && has_ended()) {
      return fail(Code::NotFound, "container " + container + " has ended meanwhile");
    }
    return ExecResult{static_cast<int32_t>(*code), out_.text(), err_.text()};
  }

 private:
  // Why nothing was started: that the container is gone, or that there is no such program in it.
  Error missing_task(const Error& error) const {
    if (error.code() == Code::NotFound || error.code() == Code::Unavailable) return error;
    const auto task = tasks_.get(request_.container_id);
    if (!task && task.error().code() == Code::NotFound) return task.error();
    if (task && task->state != TaskState::Running) {
      return {Code::NotFound, "container " + request_.container_id + " does not run"};
    }
    log_debug("a program cannot be started in a container",
              {{"container", request_.container_id}, {"error", error.message()}});
    return {Code::FailedPrecondition, why_not_started(request_.argv.front(), error.message())};
  }

  // The end of a container's first process kills all others, and is told after theirs.
  bool has_ended() {
    const auto end = tasks_.wait(request_.container_id, kTaskEnd);
    return end || end.error().code() == Code::NotFound;
  }

  Result<uint32_t> watch(MonoTime end, const CancelToken& cancel) {
    MonoTime ask = clock_.now() + kAsk;
    while (!out_.closed() || !err_.closed()) {
      if (cancel.cancelled()) return fail(Code::Cancelled, "no longer wanted");
      const MonoTime now = clock_.now();
      if (now >= end) return too_late();
      if (now >= ask) {
        const auto process = tasks_.get_exec(request_.container_id, id_);
        if (!process || process->state == TaskState::Stopped) break;
        ask = now + kAsk;
      }
      wait_for_output(std::min(end, ask) - now);
    }
    auto code = tasks_.wait_exec(request_.container_id, id_, end - clock_.now());
    if (!code && code.error().code() == Code::DeadlineExceeded) return too_late();
    return code;
  }

  void wait_for_output(Duration most) {
    pollfd polled[] = {{out_.fd(), POLLIN, 0}, {err_.fd(), POLLIN, 0}};
    const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(most).count();
    if (poll(polled, 2, static_cast<int>(timeout)) <= 0) return;
    if (polled[0].revents != 0) out_.take(polled[0].revents);
    if (polled[1].revents != 0) err_.take(polled[1].revents);
  }

  tl::unexpected<Error> too_late() {
    out_.drain();
    err_.drain();
    std::string said = err_.text();
    if (said.empty()) said = out_.text();
    return fail(Code::DeadlineExceeded, "not done within " + format_duration(request_.timeout) +
                                            (said.empty() ? "" : "; it said: " + said));
  }

  const SystemClock clock_;
  Tasks& tasks_;
  const ExecRequest& request_;
  const std::string id_;
  Pipe out_, err_;
};

}  // namespace

// The words are those of Go's os/exec, which runc passes on, and of crun.
std::string why_not_started(const std::string& program, const std::string& said) {
  const std::string name = "\"" + printable(program) + "\"";
  const auto says = [&said](const std::string& words) {
    return said.find(words) != std::string::npos;
  };
  const bool of_program = says("exec: \"" + program + "\"") || says("executable file `" + program);
  if (of_program && (says("not found in $PATH") || says("no such file or directory"))) {
    return "the container has no program " + name;
  }
  if (of_program && (says("permission denied") || says("is a directory"))) {
    return name + " is nothing that the container's user may run";
  }
  return "cannot be started: " + said;
}

Result<std::string> ContainerExec::process_of(const ExecRequest& request) {
  std::string spec;
  {
    const std::lock_guard lock(mutex_);
    const auto known = specs_.find(request.container_id);
    if (known != specs_.end()) spec = known->second;
  }
  if (spec.empty()) {
    auto record = client_.containers().get(request.container_id);
    if (!record) return fail(record.error());
    // Of all that a specification has, only this is needed again.
    spec = std::move(record->spec_json);
    auto process = exec_process(spec, {});
    if (!process) return fail(process.error());
    spec = "{\"process\":" + *process + "}";
    const std::lock_guard lock(mutex_);
    if (specs_.size() >= kSpecsKept) specs_.clear();
    specs_[request.container_id] = spec;
  }
  return exec_process(spec, request.argv);
}

void ContainerExec::hold_left() {
  std::map<std::pair<std::string, std::string>, Left> found;
  DIR* const directory = opendir(directory_.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    const size_t end = name.rfind('.');
    const size_t middle = end == std::string::npos || end == 0 ? end : name.rfind('.', end - 1);
    if (middle == std::string::npos || middle == 0) continue;
    Left& left = found[{name.substr(0, middle), name.substr(middle + 1, end - middle - 1)}];
    const std::string path = directory_ + "/" + name;
    left.readers.emplace_back(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }
  closedir(directory);
  const std::lock_guard lock(mutex_);
  for (auto& [key, left] : found) {
    std::tie(left.container, left.id) = key;
    left_.push_back(std::move(left));
  }
}

void ContainerExec::end_left() {
  std::vector<Left> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(left_);
  }
  for (Left& one : left) {
    if (const Status ended = end(one); !ended) {
      const std::lock_guard lock(mutex_);
      left_.push_back(std::move(one));
      continue;
    }
    for (const char* pipe : {kOut, kErr}) {
      unlink((directory_ + "/" + one.container + "." + one.id + pipe).c_str());
    }
  }
}

// Unavailable where nobody can be asked.
Status ContainerExec::end(const Left& left) {
  Tasks& tasks = client_.tasks();
  for (int i = 0; i < kDeaths; ++i) {
    const Status killed = tasks.kill_exec(left.container, left.id, SIGKILL);
    if (!killed && killed.error().code() == Code::Unavailable) return killed;
    if (!killed && killed.error().code() == Code::NotFound) break;
    if (tasks.wait_exec(left.container, left.id, kDeath)) break;
  }
  static_cast<void>(tasks.remove_exec(left.container, left.id));
  return {};
}

Result<ExecResult> ContainerExec::exec(const ExecRequest& request, CancelToken cancel) {
  if (request.argv.empty()) return fail(Code::InvalidArgument, "no command is given");
  if (Status made = make_directories(directory_, 0700); !made) return fail(made.error());
  const auto process = process_of(request);
  if (!process) return fail(process.error());
  return Run(client_, request, directory_).go(*process, cancel);
}

}  // namespace wherry::runtime

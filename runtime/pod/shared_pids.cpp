#include "runtime/pod/shared_pids.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/run_process.h"
#include "base/text.h"
#include "runtime/volume/directory.h"

namespace wherry::runtime {
namespace {

constexpr int kDeathMs = 10'000;
// As Kubernetes does for its own: the last to be killed for want of memory.
constexpr const char* kOomScore = "-998";

Status fail_errno(const std::string& what) {
  return fail(Code::Internal, what + ": " + std::strerror(errno));
}

Fd open_process(int pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

bool has_ended(const Fd& process, int wait_ms) {
  pollfd poll_for{process.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&poll_for, 1, wait_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

int parse_pid(std::string_view text) {
  int pid = 0;
  text = trim(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() && pid > 0 ? pid : 0;
}

// Where it cannot be written, nothing depends on it.
void write_if_possible(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

}  // namespace

SharedPids::SharedPids(std::string directory, std::string program)
    : directory_(std::move(directory)), program_(std::move(program)) {}

int SharedPids::first_process(const std::string& pod) const {
  const Result<std::string> text = read_file(note(pod));
  const int pid = text ? parse_pid(*text) : 0;
  if (pid == 0) return 0;
  const Fd process = open_process(pid);
  // Its number may be another's by now, who is in another namespace.
  struct stat mounted {
  }, own{};
  const std::string own_path = "/proc/" + std::to_string(pid) + "/ns/pid";
  const bool same = process.valid() && stat(path(pod).c_str(), &mounted) == 0 &&
                    stat(own_path.c_str(), &own) == 0 && mounted.st_ino == own.st_ino &&
                    mounted.st_dev == own.st_dev;
  return same && !has_ended(process, 0) ? pid : 0;
}

Status SharedPids::prepare(const std::string& pod, const std::string& netns,
                           const std::vector<std::string>& cgroups) {
  if (first_process(pod) != 0) return {};
  if (Status removed = remove(pod); !removed) return removed;
  if (Status made = make_directories(directory_, 0700); !made) return made;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  Fd go(ends[1]);
  ProcessCall call;
  {
    const Fd waiting(ends[0]);
    call.program = program_;
    call.args = {netns};
    call.held_fd = waiting.get();
    const Result<ProcessResult> ran = run_process(call, {});
    if (!ran) return fail(ran.error());
    const int pid = ran->exit_code == 0 ? parse_pid(ran->output) : 0;
    if (pid == 0) {
      return fail(Code::Internal, "the process that holds a PID namespace did not start: " +
                                      std::string(trim(ran->errors)));
    }
    if (Status adopted = adopt(pod, pid, cgroups); !adopted) return adopted;
  }
  // From here on it stays without us.
  if (write(go.get(), "", 1) != 1) return fail_errno("release the first process of " + pod);
  return failpoint("pids.prepare.released");
}

Status SharedPids::adopt(const std::string& pod, int pid, const std::vector<std::string>& cgroups) {
  if (Status ok = failpoint("pids.prepare.started"); !ok) return ok;
  const std::string process = "/proc/" + std::to_string(pid);
  write_if_possible(process + "/oom_score_adj", kOomScore);
  for (const std::string& cgroup : cgroups) {
    static_cast<void>(make_directories(cgroup));
    write_if_possible(cgroup + "/cgroup.procs", std::to_string(pid));
  }
  if (Status noted = write_file_atomic(note(pod), std::to_string(pid) + "\n", 0600); !noted) {
    return noted;
  }
  if (Status ok = failpoint("pids.prepare.noted"); !ok) return ok;
  const Fd file(open(path(pod).c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file.valid()) return fail_errno("make " + path(pod));
  if (mount((process + "/ns/pid").c_str(), path(pod).c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail_errno("mount the PID namespace on " + path(pod));
  }
  return failpoint("pids.prepare.mounted");
}

Status SharedPids::remove(const std::string& pod) {
  if (const int pid = first_process(pod); pid != 0) {
    const Fd process = open_process(pid);
    if (process.valid()) {
      syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
      if (!has_ended(process, kDeathMs)) {
        return fail(Code::DeadlineExceeded, "the first process of " + pod + " does not end");
      }
    }
  }
  if (Status ok = failpoint("pids.remove.killed"); !ok) return ok;
  if (Status done = unmount(path(pod)); !done) return done;
  // The namespace, the note, and a note that a crash left half written.
  const Result<std::vector<std::string>> names = names_in(directory_);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    if (name.substr(0, name.find('.')) != pod) continue;
    const std::string file = directory_ + "/" + name;
    if (unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("delete " + file);
  }
  return {};
}

Result<std::vector<std::string>> SharedPids::list() const {
  const Result<std::vector<std::string>> names = names_in(directory_);
  if (!names) return fail(names.error());
  std::set<std::string> pods;
  for (const std::string& name : *names) pods.insert(name.substr(0, name.find('.')));
  return std::vector<std::string>(pods.begin(), pods.end());
}

}  // namespace wherry::runtime

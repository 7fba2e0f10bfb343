#include "agent/forward/log_forwarder.h"

#include <algorithm>
#include <dirent.h>
#include <unistd.h>
#include <utility>

#include "base/executor.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr Duration kDrainWithin = std::chrono::seconds(5);
constexpr std::string_view kSuffix = ".log";
constexpr const char* kNote = "/forward";  // beside a Pod's logs: none, errors or all

bool any(const std::map<std::string, LogForward>& modes) {
  return std::any_of(modes.begin(), modes.end(),
                     [](const auto& one) { return one.second != LogForward::None; });
}

}  // namespace

LogForwarder::LogForwarder(LogForwarderOptions options, telemetry::Telemetry& telemetry,
                           const Clock& clock)
    : options_(std::move(options)), telemetry_(telemetry), clock_(clock) {}

LogForwarder::~LogForwarder() { stop(); }

void LogForwarder::set(const Modes& modes, bool complete) {
  const std::lock_guard noting(noting_);
  Modes said;
  std::map<std::string, LogForward> now;
  {
    const std::lock_guard lock(mutex_);
    if (modes == said_ && complete == complete_) return;
    said = said_;
    now = modes_;
  }
  std::erase_if(now, [&](const auto& pod) { return !modes.contains(pod.first); });
  Modes kept = modes;
  for (const auto& [pod, mode] : modes) {
    const auto before = said.find(pod);
    const bool same = before != said.end() && before->second == mode;
    if (mode) {
      now[pod] = *mode;
      if (!same && !note_mode(pod, *mode)) kept.erase(pod);
    } else if (!now.contains(pod)) {
      now[pod] = noted(pod);
    }
  }
  const std::lock_guard lock(mutex_);
  said_ = std::move(kept);
  modes_ = std::move(now);
  complete_ = complete;
  changed_ = true;
  if (running_ || any(modes_)) begin();
}

LogForward LogForwarder::noted(const std::string& pod) const {
  const auto text = read_file(options_.log_dir + "/" + pod + kNote, 16);
  return (text ? log_forward_of(*text) : std::nullopt).value_or(options_.otherwise);
}

// Where it says so already, and before there are logs, nothing is written. False: try again.
bool LogForwarder::note_mode(const std::string& pod, LogForward mode) const {
  const std::string directory = options_.log_dir + "/" + pod;
  if (access(directory.c_str(), F_OK) != 0 || noted(pod) == mode) return true;
  const Status written = write_file_atomic(directory + kNote, to_string(mode), 0640);
  if (written) return true;
  log_warn("what goes upstream of a workload's logs is not noted beside them",
           {{"workload", pod}, {"error", written.error().full()}});
  return false;
}

void LogForwarder::prepared(const std::string& pod) {
  const std::lock_guard noting(noting_);
  std::optional<LogForward> mode;
  {
    const std::lock_guard lock(mutex_);
    const auto known = modes_.find(pod);
    if (known != modes_.end()) mode = known->second;
  }
  if (!mode || note_mode(pod, *mode)) return;
  const std::lock_guard lock(mutex_);
  said_.erase(pod);  // tried again with the next picture
}

bool LogForwarder::begin() {
  if (stopping_) return false;
  if (!watch_) {
    auto made = runtime::LogWatch::make(options_.log_dir);
    if (!made) {
      log_error("logs do not go upstream", {{"error", made.error().full()}});
      said_.clear();  // tried again with the next picture
      return false;
    }
    watch_ = std::move(*made);
  }
  if (!running_) {
    if (thread_.joinable()) thread_.join();  // it has said that it ends
    running_ = true;
    thread_ = std::thread([this] { run(); });
  }
  watch_->wake();
  return true;
}

Status LogForwarder::drain(const std::string& pod) {
  const LogForward earlier = noted(pod);
  std::future<bool> drained;
  {
    const std::lock_guard lock(mutex_);
    const auto known = modes_.find(pod);
    const LogForward mode = known == modes_.end() ? earlier : known->second;
    if (mode == LogForward::None) return {};
    if (begin()) {
      drains_.push_back({pod, mode, std::make_shared<std::promise<bool>>()});
      drained = drains_.back().done->get_future();
      watch_->wake();
    }
  }
  const bool done = drained.valid() && drained.wait_for(kDrainWithin) == std::future_status::ready;
  if (done && drained.get()) return {};
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Code::Cancelled, "the agent stops; the next removes its logs");
  }
  log_warn("logs are removed before their last lines are kept", {{"workload", pod}});
  return {};
}

void LogForwarder::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (watch_) watch_->wake();
  }
  if (thread_.joinable()) thread_.join();
}

void LogForwarder::run() {
  name_this_thread("logs");
  while (take_orders()) {
    const bool more = forward_due();
    if (pods_.empty()) continue;
    note(watch_->wait(more ? Duration::zero() : until_due()));
  }
  pods_.clear();
}

// False: there is nothing to do any more.
bool LogForwarder::take_orders() {
  std::map<std::string, LogForward> modes;
  std::deque<Drain> drains;
  bool changed = false, complete = false, stopping = false;
  {
    const std::lock_guard lock(mutex_);
    changed = std::exchange(changed_, false);
    if (changed) modes = modes_;
    complete = complete_;
    drains.swap(drains_);
    stopping = stopping_;
    if (stopping || (!changed && drains.empty() && !any(modes_))) running_ = false;
    if (!running_ && !stopping) return false;
  }
  // First those that go: a new picture may not have them any more.
  for (const Drain& drain : drains) drain.done->set_value(!stopping && drain_now(drain));
  if (!stopping && changed) {
    apply(modes);
    if (complete) forget_others(modes);
  }
  return !stopping;
}

void LogForwarder::apply(const std::map<std::string, LogForward>& modes) {
  std::erase_if(pods_, [&](const auto& pod) {
    const auto mode = modes.find(pod.first);
    const bool wanted = mode != modes.end() && mode->second != LogForward::None;
    if (!wanted) watch_->leave(pod.first);
    return !wanted;
  });
  for (const auto& [name, mode] : modes) {
    if (mode == LogForward::None) continue;
    const auto [place, fresh] = pods_.try_emplace(name);
    place->second.mode = mode;
    if (fresh) follow(name, place->second);
  }
}

void LogForwarder::forget_others(const std::map<std::string, LogForward>& modes) {
  for (const telemetry::StreamState& stream : telemetry_.streams()) {
    const std::vector<std::string> parts = split(stream.name, '/');
    if (parts[0] != "logs" || stream.records > 0 || modes.contains(parts[1])) continue;
    static_cast<void>(telemetry_.forget(stream.name));
  }
}

void LogForwarder::follow(const std::string& name, Pod& pod) {
  const Status followed = watch_->follow(name, true);
  pod.followed = followed.has_value();
  pod.look = true;
  pod.due.reset();
  if (pod.wait == Duration::zero()) pod.wait = options_.first_wait;
  if (followed) {
    pod.due = clock_.now();
  } else if (followed.error().code() != Code::NotFound) {
    log_warn("logs are only looked at now and then",
             {{"workload", name}, {"error", followed.error().full()}});
    pod.due = clock_.now() + options_.longest_wait;
  }
}

void LogForwarder::find_containers(const std::string& name, Pod& pod) {
  const std::string directory = options_.log_dir + "/" + name;
  DIR* open = opendir(directory.c_str());
  if (open == nullptr) return;
  while (const dirent* entry = readdir(open)) {
    const std::string_view file(entry->d_name);
    if (!file.ends_with(kSuffix)) continue;
    const std::string container(file.substr(0, file.size() - kSuffix.size()));
    pod.containers.try_emplace(container, directory + "/" + std::string(file),
                               "logs/" + name + "/" + container, options_.limits, telemetry_);
  }
  closedir(open);
}

// True: there is more to read.
bool LogForwarder::forward(const std::string& name, Pod& pod, bool settle, bool& failed) {
  if (std::exchange(pod.look, false)) find_containers(name, pod);
  bool more = false;
  for (auto& [container, log] : pod.containers) {
    const Result<bool> done = log.forward(pod.mode, settle);
    if (done) {
      more = more || *done;
      continue;
    }
    failed = true;
    log_warn("lines wait in the log",
             {{"workload", name}, {"container", container}, {"error", done.error().full()}});
  }
  return more;
}

bool LogForwarder::drain_now(const Drain& drain) {
  const auto known = pods_.find(drain.pod);
  Pod other;
  Pod& pod = known == pods_.end() ? other : known->second;
  pod.mode = drain.mode;
  pod.look = true;
  bool failed = false;
  while (forward(drain.pod, pod, true, failed) && !failed) {
  }
  return !failed;
}

bool LogForwarder::forward_due() {
  bool busy = false;
  for (auto& [name, pod] : pods_) {
    const MonoTime now = clock_.now();
    const bool due = pod.due && now >= *pod.due;
    if (!due && !pod.at_once) continue;
    pod.at_once = false;
    // Before it is read, so that nothing is written unseen in between.
    if (due && pod.followed) static_cast<void>(watch_->follow(name, true));
    bool failed = false;
    if (forward(name, pod, due, failed)) {
      pod.at_once = busy = true;
    } else if (failed) {
      pod.due = now + options_.try_again;
    } else if (due && !pod.followed) {
      follow(name, pod);
    } else if (due) {
      const bool again = now - pod.last < 2 * pod.wait;
      pod.wait = again ? std::min(2 * pod.wait, options_.longest_wait) : options_.first_wait;
      pod.last = now;
      pod.due.reset();
    }
  }
  return busy;
}

// Until then writes do not count: that there is something is known.
void LogForwarder::schedule(const std::string& name, Pod& pod) {
  if (pod.due) return;
  pod.due = std::max(clock_.now() + options_.first_wait, pod.last + pod.wait);
  static_cast<void>(watch_->follow(name, false));
}

void LogForwarder::note(const runtime::LogWatch::Seen& seen) {
  for (auto& [name, pod] : pods_) {
    const bool gone = seen.gone.contains(name);
    if (gone) {
      bool failed = false;  // what is still open can be read to its end
      while (forward(name, pod, true, failed) && !failed) {
      }
      pod.containers.clear();
    }
    if (gone || (!pod.followed && (seen.missed || seen.appeared.contains(name)))) {
      follow(name, pod);
      continue;
    }
    const bool renamed = seen.missed || seen.renamed.contains(name);
    if (renamed) pod.look = pod.at_once = true;
    if (renamed || seen.written.contains(name)) schedule(name, pod);
  }
}

std::optional<Duration> LogForwarder::until_due() const {
  std::optional<Duration> least;
  const MonoTime now = clock_.now();
  for (const auto& [name, pod] : pods_) {
    if (!pod.due && !pod.at_once) continue;
    const Duration left =
        pod.at_once ? Duration::zero() : std::max(*pod.due - now, Duration::zero());
    least = least ? std::min(*least, left) : left;
  }
  return least;
}

}  // namespace wherry

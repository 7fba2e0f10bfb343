#include "agent/check/checker.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "agent/check/probes.h"
#include "base/executor.h"

namespace wherry::check {
namespace {

constexpr Duration kLastWords = std::chrono::seconds(1);

Findings look(const Probe& probe, const Scene& scene) {
  try {
    return probe.look(scene);
  } catch (const std::exception& error) {
    return {failed(probe.name, "", std::string("the check itself failed: ") + error.what(),
                   "tell the makers of wherry, with wherry support-bundle")};
  }
}

}  // namespace

std::vector<Probe> all_probes() {
  return {{"configuration", look_at_configuration, "look at the disk that /etc is on"},
          {"permissions", look_at_permissions, "look at the disks that these files are on"},
          {"daemon", look_at_daemon, "systemctl restart wherryd"},
          {"containerd", look_at_containerd, "systemctl restart containerd"},
          {"cgroups", look_at_cgroups, "look at dmesg"},
          {"kernel", look_at_kernel, "look at dmesg"},
          {"cni", look_at_cni, "look at the disk that network.cni_bin_dir is on"},
          {"iptables", look_at_iptables, "see who else holds the lock /run/xtables.lock"},
          {"dns", look_at_dns, "see whether the name servers of /etc/resolv.conf answer"},
          {"broker", look_at_brokers, "see what is said of dns, and whether a firewall is between"},
          {"certificate", look_at_certificates, "look at the disk that the files are on"},
          {"clock", look_at_clock, "look at dmesg"},
          {"disk", look_at_disk, "look at the disk: dmesg, smartctl"},
          {"logs", look_at_logs, "look at the disk: dmesg, smartctl"},
          {"documents", look_at_documents, "look at the disk: dmesg, smartctl"}};
}

std::vector<Probe> bare_probes() {
  std::vector<Probe> probes = all_probes();
  std::erase_if(probes, [](const Probe& each) {
    return each.look != look_at_configuration && each.look != look_at_cgroups &&
           each.look != look_at_iptables;
  });
  return probes;
}

// Shared with the threads, which may outlive the checker.
struct Checker::Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<size_t> running;  // by their place among the probes
  bool taken = false;        // somebody's turn
};

class Checker::Turn {
 public:
  // Not had where `ending` fires before it comes; whoever fires it wakes the board.
  Turn(Board& board, Duration patience, const CancelToken& ending) : board_(board) {
    std::unique_lock lock(board_.mutex);
    board_.changed.wait_for(lock, patience, [&] { return !board_.taken || ending.cancelled(); });
    mine_ = !board_.taken && !ending.cancelled();
    if (mine_) board_.taken = true;
  }
  ~Turn() {
    if (!mine_) return;
    const std::lock_guard lock(board_.mutex);
    board_.taken = false;
    board_.changed.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool mine() const { return mine_; }

 private:
  Board& board_;
  bool mine_ = false;
};

Checker::Checker(Subject subject, std::vector<Probe> probes, Duration within)
    : subject_(std::make_shared<const Subject>(std::move(subject))),
      probes_(std::move(probes)),
      within_(within),
      board_(std::make_shared<Board>()) {}

Checker::~Checker() { stop(); }

Result<Findings> Checker::run(const std::optional<Knowledge>& knowledge,
                              const CancelToken& cancel) {
  CancelToken ending;
  const auto wish = cancel.on_cancel([ending]() mutable { ending.cancel(); });
  const auto stop = stopping_.on_cancel([ending]() mutable { ending.cancel(); });
  const auto woken = ending.on_cancel([board = board_] {
    const std::lock_guard lock(board->mutex);
    board->changed.notify_all();
  });
  const Turn turn(*board_, within_, ending);
  const auto broken_off = [] { return fail(Code::Cancelled, "the check was broken off"); };
  if (ending.cancelled()) return broken_off();
  if (!turn.mine()) return fail(Code::Unavailable, "other checks are under way; try again");
  const auto results = begin({subject(), knowledge, ending});
  std::unique_lock lock(board_->mutex);
  board_->changed.wait_for(lock, within_, [&] {
    return ending.cancelled() || std::all_of(results->begin(), results->end(),
                                             [](const auto& each) { return each.has_value(); });
  });
  const bool wanted = !ending.cancelled();
  Findings findings = gather(*results);
  lock.unlock();
  ending.cancel();  // what hangs in a helper program ends with it
  if (!wanted) return broken_off();
  return findings;
}

std::shared_ptr<const Subject> Checker::subject() const {
  const std::lock_guard lock(board_->mutex);
  return subject_;
}

void Checker::use(const Config& config) {
  auto next = std::make_shared<Subject>(*subject());
  next->config = config;
  const std::lock_guard lock(board_->mutex);
  subject_ = std::move(next);
}

std::shared_ptr<Checker::Results> Checker::begin(const Scene& scene) {
  const auto results = std::make_shared<Results>(probes_.size());
  const std::lock_guard lock(board_->mutex);
  for (size_t i = 0; i < probes_.size(); ++i) {
    if (!board_->running.insert(i).second) continue;  // it hangs since an earlier run
    try {
      std::thread([board = board_, results, scene, probe = probes_[i], i] {
        name_this_thread(std::string("chk-") + probe.name);
        Findings found = look(probe, scene);
        const std::lock_guard guard(board->mutex);
        (*results)[i] = std::move(found);
        board->running.erase(i);
        board->changed.notify_all();
      }).detach();
    } catch (const std::system_error&) {
      board_->running.erase(i);
      (*results)[i] =
          Findings{failed(probes_[i].name, "", "there is no thread to be had",
                          "raise TasksMax of wherryd.service, or see who has them all")};
    }
  }
  return results;
}

Findings Checker::gather(Results& results) const {
  Findings findings;
  for (size_t i = 0; i < probes_.size(); ++i) {
    if (!results[i]) {
      findings.push_back(failed(probes_[i].name, "",
                                "the look at it did not end within " + format_duration(within_),
                                probes_[i].late_mend));
      continue;
    }
    for (Finding& each : *results[i]) findings.push_back(std::move(each));
  }
  return findings;
}

bool Checker::stop() {
  stopping_.cancel();
  std::unique_lock lock(board_->mutex);
  return board_->changed.wait_for(lock, kLastWords, [&] { return board_->running.empty(); });
}

}  // namespace wherry::check

#include "agent/reconcile/reporter.h"

#include "base/digest.h"

namespace wherry {
namespace {

constexpr Duration kGather = std::chrono::seconds(1);

std::string digest_of(const StateView& view) { return sha256_hex(to_reported_json(view)); }

}  // namespace

Condition::Condition(std::string type, std::string reason, std::string message) {
  view_.type = std::move(type);
  view_.reason = std::move(reason);
  view_.message = std::move(message);
}

bool Condition::set(bool status, std::string reason, std::string message, WallTime now) {
  const bool same = status == view_.status && reason == view_.reason;
  view_.message = std::move(message);
  if (same && view_.since != WallTime{}) return false;
  view_.status = status;
  view_.reason = std::move(reason);
  view_.since = now;
  return !same;
}

void Reporter::show(StateView view, bool publish) {
  view.at = clock_.wall();
  board_.set(std::make_shared<const StateView>(std::move(view)));
  if (publish && !wake_at_) wake_at_ = not_before_;
  tick();
}

void Reporter::tick() {
  const MonoTime now = clock_.now();
  if (!wake_at_ || now < *wake_at_) return;
  wake_at_.reset();
  const std::shared_ptr<const StateView> shown = board_.get();
  StateView view = *shown;
  view.at = {};
  if (!pulls_.due(view, now)) {
    pulls_.hold_back(view);
    if (digest_of(view) == published_) return;
    // It goes up anyway: the newest numbers cost nothing more.
    view.workloads = shown->workloads;
  }
  std::string digest = digest_of(view);
  if (digest == published_) return;
  published_ = std::move(digest);
  pulls_.told(view, now);
  not_before_ = now + kGather;
  view.at = shown->at;
  publish_(to_reported_json(view));
}

}  // namespace wherry

#include "runtime/image/slots.h"

#include <algorithm>
#include <tuple>

namespace wherry::runtime {

size_t Slots::held_by(const void* pull) const {
  const auto found = held_.find(pull);
  return found == held_.end() ? 0 : found->second;
}

size_t Slots::held_for(const std::string& registry) const {
  const auto found = registries_.find(registry);
  return found == registries_.end() ? 0 : found->second.held;
}

Slots::Queue::const_iterator Slots::next() const {
  const auto rank = [this](const Owner& owner) {
    const Registry& registry = registries_.at(owner.registry);
    return std::tuple(registry.held, registry.turn, held_by(owner.pull));
  };
  return std::min_element(waiting_.begin(), waiting_.end(),
                          [&](const Owner& a, const Owner& b) { return rank(a) < rank(b); });
}

void Slots::count(const Owner& owner, int change) {
  size_t& held = held_[owner.pull];
  held += static_cast<size_t>(change);
  free_ -= static_cast<size_t>(change);
  if (held == 0) held_.erase(owner.pull);
  const auto registry = registries_.try_emplace(owner.registry).first;
  registry->second.held += static_cast<size_t>(change);
  if (change > 0) registry->second.turn = ++turns_;
  forget_idle(registry);
}

void Slots::forget_idle(Registries::iterator registry) {
  if (registry->second.held + registry->second.waiting == 0) registries_.erase(registry);
}

// Frees one whose holder gets nothing. Returns when there may be another such one.
std::optional<MonoTime> Slots::lend() {
  std::optional<MonoTime> due;
  const MonoTime now = clock_.now();
  for (Entry& entry : entries_) {
    if (entry.used || entry.lent) continue;
    const MonoTime at = entry.since + silent_;
    if (at <= now) {
      entry.lent = true;
      count(entry.owner, -1);
      changed_.notify_all();
      return std::nullopt;
    }
    if (!due || at < *due) due = at;
  }
  return due;
}

Status Slots::wait_for_one(const Owner& owner, const CancelToken& cancel,
                           std::unique_lock<std::mutex>& lock) {
  const auto place = waiting_.insert(waiting_.end(), owner);
  const auto registry = registries_.try_emplace(owner.registry).first;
  ++registry->second.waiting;
  while (true) {
    std::optional<MonoTime> due;
    if (free_ == 0) due = lend();
    if (cancel.cancelled() || (free_ > 0 && next() == place)) break;
    if (due) {
      changed_.wait_for(lock, *due - clock_.now());
    } else {
      changed_.wait(lock);
    }
  }
  waiting_.erase(place);
  --registry->second.waiting;
  changed_.notify_all();
  if (cancel.cancelled()) {
    forget_idle(registry);
    return fail(Code::Cancelled, "cancelled");
  }
  count(owner, 1);
  return {};
}

Result<Slots::Hold> Slots::take(const Owner& owner, const CancelToken& cancel) {
  // Goes after the lock does: whoever cancels may be waiting for it.
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  if (Status waited = wait_for_one(owner, cancel, lock); !waited) return fail(waited.error());
  return Hold(*this, entries_.insert(entries_.end(), {owner, clock_.now()}));
}

Status Slots::Hold::keep(const CancelToken& cancel) const {
  {
    const std::lock_guard lock(slots_->mutex_);
    entry_->used = true;
    if (!entry_->lent) return {};
  }
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(slots_->mutex_);
    slots_->changed_.notify_all();
  });
  std::unique_lock lock(slots_->mutex_);
  if (Status waited = slots_->wait_for_one(entry_->owner, cancel, lock); !waited) return waited;
  entry_->lent = false;
  entry_->since = slots_->clock_.now();
  return {};
}

Slots::Hold::~Hold() {
  if (slots_ == nullptr) return;
  {
    const std::lock_guard lock(slots_->mutex_);
    if (!entry_->lent) slots_->count(entry_->owner, -1);
    slots_->entries_.erase(entry_);
  }
  slots_->changed_.notify_all();
}

bool Slots::Hold::must_yield() const {
  if (slots_->clock_.now() - entry_->since < slots_->slice_) return false;  // written by us only
  const std::lock_guard lock(slots_->mutex_);
  const auto next = slots_->next();
  if (slots_->free_ > 0 || next == slots_->waiting_.end()) return false;
  const Owner& mine = entry_->owner;
  if (next->registry == mine.registry) {
    return slots_->held_by(next->pull) < slots_->held_by(mine.pull);
  }
  return slots_->held_for(next->registry) < slots_->held_for(mine.registry);
}

}  // namespace wherry::runtime

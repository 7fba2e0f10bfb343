#include "runtime/image/slots.h"

#include <algorithm>

namespace wherry::runtime {

size_t Slots::held_by(Owner owner) const {
  const auto found = held_.find(owner);
  return found == held_.end() ? 0 : found->second;
}

Slots::Queue::const_iterator Slots::next() const {
  return std::min_element(waiting_.begin(), waiting_.end(),
                          [this](Owner a, Owner b) { return held_by(a) < held_by(b); });
}

void Slots::count(Owner owner, int change) {
  size_t& held = held_[owner];
  held += static_cast<size_t>(change);
  free_ -= static_cast<size_t>(change);
  if (held == 0) held_.erase(owner);
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

Status Slots::wait_for_one(Owner owner, const CancelToken& cancel,
                           std::unique_lock<std::mutex>& lock) {
  const auto place = waiting_.insert(waiting_.end(), owner);
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
  changed_.notify_all();
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  count(owner, 1);
  return {};
}

Result<Slots::Hold> Slots::take(Owner owner, const CancelToken& cancel) {
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
  return slots_->free_ == 0 && next != slots_->waiting_.end() &&
         slots_->held_by(*next) < slots_->held_by(entry_->owner);
}

}  // namespace wherry::runtime

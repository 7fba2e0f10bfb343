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

Result<Slots::Hold> Slots::take(Owner owner, const CancelToken& cancel) {
  // Goes after the lock does: whoever cancels may be waiting for it.
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  const auto place = waiting_.insert(waiting_.end(), owner);
  while (free_ == 0 || next() != place) {
    if (cancel.cancelled()) {
      waiting_.erase(place);
      changed_.notify_all();
      return fail(Code::Cancelled, "cancelled");
    }
    changed_.wait(lock);
  }
  waiting_.erase(place);
  --free_;
  ++held_[owner];
  changed_.notify_all();
  return Hold(*this, owner, clock_.now());
}

void Slots::give_back(Owner owner) {
  {
    const std::lock_guard lock(mutex_);
    ++free_;
    const auto found = held_.find(owner);
    if (--found->second == 0) held_.erase(found);
  }
  changed_.notify_all();
}

Slots::Hold::~Hold() {
  if (slots_ != nullptr) slots_->give_back(owner_);
}

bool Slots::Hold::must_yield() const {
  if (slots_->clock_.now() - since_ < slots_->slice_) return false;
  const std::lock_guard lock(slots_->mutex_);
  const auto next = slots_->next();
  return slots_->free_ == 0 && next != slots_->waiting_.end() &&
         slots_->held_by(*next) < slots_->held_by(owner_);
}

}  // namespace wherry::runtime

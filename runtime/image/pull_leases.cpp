#include "runtime/image/pull_leases.h"

#include <algorithm>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr Duration kLife = std::chrono::hours(24);
constexpr Duration kRenew = std::chrono::hours(12);
constexpr Duration kRenewAgain = std::chrono::minutes(1);
constexpr std::string_view kPull = "wherry-pull-";

std::string prefix_of(const std::string& image) {
  return std::string(kPull) + sha256_hex(image).substr(0, 16) + "-";
}

// Only what the image itself says will not get better.
bool may_pass(const Status& outcome) {
  return !outcome && outcome.error().code() != Code::InvalidArgument &&
         outcome.error().code() != Code::Unimplemented;
}

}  // namespace

// Containerd counts in wall time, which a device without a battery for its clock may set late.
bool PullLeases::outdated(const Entry& entry) const {
  return clock_.now() - entry.since >= kRenew || entry.expires - clock_.wall() <= kLife - kRenew;
}

std::string PullLeases::new_id(const std::string& image) const {
  return prefix_of(image) + random_hex(8);
}

// Once in a life: who else makes leases of these names is gone.
Status PullLeases::learn() {
  {
    const std::lock_guard lock(mutex_);
    if (learnt_) return {};
  }
  const auto all = backend_.list_leases();
  if (!all) return fail(all.error());
  const std::lock_guard lock(mutex_);
  if (learnt_) return {};
  std::set<std::string> ours;
  for (const auto& [image, entry] : entries_) {
    ours.insert(entry.id);
    ours.insert(entry.older.begin(), entry.older.end());
  }
  for (const std::string& id : *all) {
    if (id.starts_with(kPull) && !ours.contains(id)) unclaimed_.insert(id);
  }
  learnt_ = true;
  return {};
}

// What earlier lives have left of this image comes under the lease `id`, and theirs go.
Status PullLeases::adopt(const std::string& image, const std::string& id) {
  std::vector<std::string> found;
  {
    const std::lock_guard lock(mutex_);
    const std::string prefix = prefix_of(image);
    for (const std::string& each : unclaimed_) {
      if (each.starts_with(prefix)) found.push_back(each);
    }
    if (!found.empty()) entries_[image].debris = true;
  }
  for (const std::string& each : found) {
    if (Status shared = backend_.share_lease(each, id); !shared) return shared;
    if (Status dropped = backend_.drop_lease(each); !dropped) return dropped;
    const std::lock_guard lock(mutex_);
    unclaimed_.erase(each);
  }
  return {};
}

Result<std::string> PullLeases::take(const std::string& image) {
  if (Status learnt = learn(); !learnt) return fail(learnt.error());
  std::string id;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[image];
    if (entry.id.empty()) {
      entry.id = new_id(image);
      entry.since = clock_.now();
      entry.expires = clock_.wall() + kLife;
    }
    ++entry.users;
    id = entry.id;
  }
  // Also where we know it: the container stack may have lost it.
  Status made = backend_.create_lease(id, kLife);
  if (made) made = adopt(image, id);
  if (made) return current(image);
  settle(image, made);
  return fail(made.error());
}

std::string PullLeases::current(const std::string& image) {
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_.at(image);
    const bool waits = entry.renewing || clock_.now() < entry.not_before;
    if (waits || !outdated(entry)) return entry.id;
    entry.renewing = true;
  }
  renew(image);
  const std::lock_guard lock(mutex_);
  return entries_.at(image).id;
}

// The old one stays until the end, for what was begun under it.
void PullLeases::renew(const std::string& image) {
  std::string old, fresh;
  const MonoTime since = clock_.now();
  const WallTime expires = clock_.wall() + kLife;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_.at(image);
    if (entry.next.empty()) entry.next = new_id(image);
    old = entry.id;
    fresh = entry.next;
  }
  Status renewed = backend_.create_lease(fresh, kLife);
  if (renewed) renewed = backend_.share_lease(old, fresh);
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(image);
  entry.renewing = false;
  if (!renewed) {
    log_warn("lease of a pull not renewed, trying again",
             {{"image", image}, {"error", renewed.error().full()}});
    entry.not_before = clock_.now() + kRenewAgain;
    return;
  }
  entry.older.push_back(old);
  entry.next.clear();
  entry.id = fresh;
  entry.since = since;
  entry.expires = expires;
}

void PullLeases::settle(const std::string& image, const Status& outcome) {
  release(image, may_pass(outcome), !outcome);
}

void PullLeases::end(const std::string& image, const Status& outcome) {
  release(image, false, !outcome);
}

// `debris`: something half made may be left.
void PullLeases::release(const std::string& image, bool keep, bool debris) {
  std::vector<std::string> unneeded;
  bool collect = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(image);
    Entry& entry = found->second;
    entry.settled = entry.settled || !keep;
    // Containerd collects on its own account only after many changes.
    entry.debris = entry.debris || debris;
    if (--entry.users > 0 || !entry.settled) return;
    unneeded = std::move(entry.older);
    if (!entry.next.empty()) unneeded.push_back(entry.next);
    unneeded.push_back(entry.id);
    collect = entry.debris;
    entries_.erase(found);
  }
  drop(unneeded, collect);
}

void PullLeases::drop(const std::vector<std::string>& ids, bool collect) {
  for (const std::string& id : ids) {
    if (Status dropped = backend_.drop_lease(id, collect && id == ids.back()); !dropped) {
      log_warn("lease of a pull not dropped; it goes later, or expires by itself",
               {{"lease", id}, {"error", dropped.error().full()}});
      const std::lock_guard lock(mutex_);
      unclaimed_.insert(id);
    }
  }
}

Status PullLeases::drop_abandoned(const std::set<std::string>& wanted) {
  if (Status learnt = learn(); !learnt) return learnt;
  std::vector<std::string> unneeded;
  {
    const std::lock_guard lock(mutex_);
    std::set<std::string> kept;
    for (const std::string& image : wanted) kept.insert(prefix_of(image));
    for (const auto& [image, entry] : entries_) {
      if (entry.users > 0) kept.insert(prefix_of(image));
    }
    std::erase_if(entries_, [&](const auto& each) {
      const Entry& entry = each.second;
      if (entry.users > 0 || kept.contains(prefix_of(each.first))) return false;
      unclaimed_.insert(entry.id);
      unclaimed_.insert(entry.older.begin(), entry.older.end());
      if (!entry.next.empty()) unclaimed_.insert(entry.next);
      return true;
    });
    for (const std::string& id : unclaimed_) {
      const size_t end = id.rfind('-');
      if (!kept.contains(id.substr(0, end + 1))) unneeded.push_back(id);
    }
  }
  for (const std::string& id : unneeded) {
    Status dropped = backend_.drop_lease(id, id == unneeded.back());
    if (!dropped) return dropped;
    const std::lock_guard lock(mutex_);
    unclaimed_.erase(id);
  }
  return {};
}

}  // namespace wherry::runtime

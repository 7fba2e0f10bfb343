#pragma once
// The leases under which pulls and imports work. One image has one at a time; it outlives a pull
// that may be continued, and the agent: the next life finds it by the image's name and takes it
// over.

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {

// Thread-safe. containerd cannot prolong a lease, so a pull that takes long gets a new one that
// holds what the old one held; every lease expires by itself once nobody renews it.
class PullLeases {
 public:
  // Both must outlive it.
  PullLeases(ImageBackend& backend, const Clock& clock) : backend_(backend), clock_(clock) {}

  // For one pull of `image`; must be followed by settle() or end(). Takes over what an earlier life
  // of the agent, or an earlier attempt, has left. Returns the id.
  Result<std::string> take(const std::string& image);
  // The lease to work under now; renewed where half its life is over, be it by a clock that was
  // set. Ask again before each longer step. Only between take() and settle() or end().
  std::string current(const std::string& image);
  // The pull is over. After a failure that another attempt may mend, what has arrived stays; else,
  // once no other pull of this image goes on, the lease is dropped.
  void settle(const std::string& image, const Status& outcome);
  // The same for what nobody continues: nothing is kept, whatever the outcome.
  void end(const std::string& image, const Status& outcome);

  // Drops every lease of an image that is not in `wanted` and is not being pulled, of this life and
  // of earlier ones; waits until what only they held is gone. Costs no call where there is none.
  Status drop_abandoned(const std::set<std::string>& wanted);

 private:
  struct Entry {
    std::string id;
    MonoTime since{};
    WallTime expires{};
    std::vector<std::string> older;  // still in use by steps that began under them
    int users = 0;                   // pulls of this image that go on now
    bool settled = false;            // one of them came to an end that needs no lease any more
    bool debris = false;             // an earlier attempt may have left something half made
    std::string next;                // the one that is to follow
    bool renewing = false;
    MonoTime not_before{};  // after a renewal that failed
  };

  bool outdated(const Entry& entry) const;
  std::string new_id(const std::string& image) const;
  Status learn();
  Status adopt(const std::string& image, const std::string& id);
  void renew(const std::string& image);
  void release(const std::string& image, bool keep, bool debris);
  void drop(const std::vector<std::string>& ids, bool collect);

  ImageBackend& backend_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // by image name
  bool learnt_ = false;
  std::set<std::string> unclaimed_;  // leases that nobody works under, by id
};

}  // namespace wherry::runtime

#pragma once
// What the reconciler is told, by anybody. Bounded by its form: what is newer replaces or joins
// what was not read yet, and each action in flight has one result.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/fleet/fleet_link.h"
#include "agent/reconcile/actions.h"
#include "agent/reconcile/document_requests.h"
#include "agent/reconcile/eviction.h"
#include "agent/reconcile/order.h"
#include "agent/store/store.h"
#include "base/clock.h"
#include "runtime/devices.h"
#include "runtime/runtime.h"
#include "runtime/services.h"

namespace wherry {

struct LocalManifest {
  std::string file;  // name, without directory
  std::string payload;
};
// What lies in manifests.dir. `error`: it could not be read, and what is wanted is not known.
struct LocalManifests {
  std::vector<LocalManifest> files;
  std::string error;
};

struct LookResult {
  uint64_t begun = 0;  // the ledger's count when the look was asked for
  Result<std::vector<runtime::PodStatus>> pods;
};
struct PullResult {
  std::string reference;
  Result<runtime::Image> image;
  bool progressed = false;  // something worth keeping has arrived, even if it failed
};

// How the device is doing; `usage` where it runs short, and where limits were asked about.
struct GaugeResult {
  Pressure pressure;
  bool limits = false;
  std::map<std::string, runtime::PodUsage> usage;
};

// Somebody waits for it: called once, from the reconciler's thread; must not block.
using PruneAnswer = std::function<void(const Result<runtime::PruneReport>&)>;

// Likewise: that it was taken, or why not.
struct OrderMail {
  Order order;
  std::function<void(const Status&)> answer;
};

// Likewise: what came of a document, or why that is not known.
struct ApplyMail {
  ApplyRequest request;
  std::function<void(const Result<Applied>&)> answer;
};

struct Rehearsal;
// Likewise.
using RehearsalAnswer = std::function<void(const Result<std::shared_ptr<const Rehearsal>>&)>;

struct Mail {
  std::map<std::string, std::string> documents;  // newest payload by source
  std::optional<LocalManifests> manifests;
  std::optional<LinkStatus> link;
  // Runtime events.
  std::optional<bool> connected;
  std::string detail;  // why it is not connected
  bool look_at_all = false;
  std::set<std::string> look_at;  // Pods
  bool images_changed = false;    // or something was left that nobody continues
  // Results.
  std::vector<ActionResult> acted;
  std::vector<LookResult> looked;
  std::vector<PullResult> pulled;
  std::vector<runtime::ProbeNews> probed;  // in order; one a change, and changes need probes
  std::vector<runtime::HookDone> hooked;   // one a hook
  std::map<std::string, runtime::PullProgress> progress;  // newest by reference
  std::optional<Result<std::vector<runtime::Image>>> images;
  std::optional<Status> collected;
  // That were to be brought up to date, with those that were left out.
  std::optional<Result<std::vector<runtime::ServiceFault>>> services;
  std::optional<GaugeResult> gauged;
  std::optional<runtime::DeviceInventory> devices;
  bool devices_changed = false;    // what resources stand for
  std::optional<Status> dropped;   // what abandoned pulls had left
  std::vector<EventRecord> notes;  // for the event log
  std::optional<std::string> runtime_version;

  // Remove every image that is not needed, and tell these what came of it.
  std::vector<PruneAnswer> prunes;
  std::optional<Result<runtime::PruneReport>> pruned;  // of the round under way

  // Bounded by those who wait for them.
  std::vector<OrderMail> orders;
  std::vector<ApplyMail> applies;
  std::vector<RehearsalAnswer> rehearsals;

  bool stop = false;
};

// Thread-safe.
class Mailbox {
 public:
  void post_event(const runtime::Event& event);
  // `add` runs under the lock: it only moves something into its place.
  template <typename Add>
  void post(Add add) {
    {
      const std::lock_guard lock(mutex_);
      add(mail_);
      filled_ = true;
    }
    changed_.notify_one();
  }
  // How far a pull has got: no reason to wake up a reader before its patience (see wait) is over.
  void post_progress(const std::string& reference, const runtime::PullProgress& progress);
  Mail take();
  bool empty() const;
  // Until there is mail, or `timeout` is over; until `patience` is over progress is no mail.
  void wait(Duration timeout, Duration patience = Duration::zero());

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Mail mail_;
  bool filled_ = false;
  bool progressed_ = false;
  bool patient_ = false;  // somebody waits, and not for progress
};

}  // namespace wherry

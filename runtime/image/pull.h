#pragma once
// A pull from beginning to end: resolve, documents, layers side by side, unpack from the bottom,
// record. Everything is made under a lease, so that containerd's collector leaves it alone.

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "runtime/image/blob_turns.h"
#include "runtime/image/host_notes.h"
#include "runtime/image/layer_board.h"
#include "runtime/image/pull_leases.h"
#include "runtime/image/reference.h"
#include "runtime/image/registry.h"
#include "runtime/image/slots.h"
#include "runtime/image/space.h"
#include "runtime/image/store.h"
#include "runtime/image/throttle.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

struct PullOptions {
  std::string hosts_dir;
  DeviceCredentials credentials{};
  ProxySettings proxies{};
  std::string snapshotter = "overlayfs";
  size_t max_parallel = 3;  // downloads at once, over all pulls
  // After so long a download makes room for another pull that waits; it goes on later from there.
  Duration slice = std::chrono::seconds(30);
  // After so long a crawling download of a layer that another pull wants from another registry,
  // too, may be taken over by that one.
  Duration trial = std::chrono::seconds(5);
  PullPace pace{};
  int64_t bandwidth_limit = 0;  // bytes per second over all pulls; 0: none
  Platform platform = host_platform();
  HttpTimeouts timeouts{};
  Backoff retry{std::chrono::milliseconds(300), std::chrono::seconds(8), 0.3};  // inside a pull
  SpaceCheck* space = nullptr;  // null: everything fits; must outlive the puller
};

// Thread-safe; any number of pulls at once, also of the same image. A pull has a thread for each
// download at once that it may get, all pulls together 96 and one each; it goes on with those that
// the system gives it, and fails as Unavailable where it gives none.
class Puller {
 public:
  Puller(ImageBackend& backend, PullOptions options);

  // Returns the layout of what is now in the store, unpacked and recorded as reference.name().
  // A failure that may pass keeps its lease, and with it what has arrived, for the next attempt, of
  // this life of the agent or another; see drop_abandoned().
  Result<ImageLayout> pull(const Reference& reference, const PullRequest& request,
                           const CancelToken& cancel);

  // What a pull would bring, by the documents of the registry, or of the store where they are there
  // and a digest is asked for; stores nothing. Errors as of a pull.
  Result<ImageLayout> look(const Reference& reference, const PullRequest& request,
                           const CancelToken& cancel);

  // Unpacks what is in the store already; for images whose snapshots went missing.
  Status unpack(const ImageLayout& layout, const CancelToken& cancel);

  // Of images that are neither named here nor being pulled, nothing of an unfinished pull is left.
  Status drop_abandoned(const std::set<std::string>& wanted) {
    return leases_.drop_abandoned(wanted);
  }
  void set_bandwidth_limit(int64_t limit) { throttle_.set_limit(limit); }
  PullLeases& leases() { return leases_; }
  // Passed by whoever changes what a name means, one at a time.
  Gate& names() { return names_; }

 private:
  struct Job;

  Result<ImageLayout> pull_once(const Reference& reference, const PullRequest& request,
                                const CancelToken& cancel);
  HttpTimeouts http_timeouts() const;
  Result<Registry*> connect(Job& job);
  Result<std::string> fetch_document(Job& job, const Descriptor& blob);
  Status store_documents(Job& job, const Descriptor& target);
  Status put_document(const Job& job, std::string_view kind, const Descriptor& blob,
                      std::string_view bytes, const StringMap& labels);
  Status fetch_config(Job& job);
  Status fetch_and_unpack(Job& job);
  int64_t stored(const Descriptor& layer);
  bool start_fetcher(Job& job, std::vector<std::thread>& threads);
  void fetch_layers(Job& job, bool first);
  Status fetch_layer(Job& job, size_t index);
  Status await_layer(Job& job, size_t index);
  Status run(Job& job);

  ImageBackend& backend_;
  const PullOptions options_;
  const SystemClock clock_;
  PullLeases leases_;
  Slots slots_;
  Throttle throttle_;
  HostNotes notes_;
  std::atomic<size_t> fetchers_{0};  // threads, of all pulls
  BlobTurns blobs_;
  Gate chains_;
  Gate names_;
};

}  // namespace wherry::runtime

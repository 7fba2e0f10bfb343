#pragma once
// Room for images: what a pull or an import needs, what the filesystems have, and the refusal where
// the two do not fit together.

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/store.h"

namespace wherry::runtime {

// Directories on this machine; empty where they are not known.
struct StorePlaces {
  std::string content;
  std::string snapshots;
};

// What the image room asks of a container stack about its disk. Owned here, implemented by
// runtime/containerd. Thread-safe; calls block and have deadlines of their own.
class StoreFacts {
 public:
  virtual ~StoreFacts() = default;
  virtual Result<StorePlaces> places() = 0;
  virtual Result<int64_t> ingested(const std::string& ref) = 0;  // bytes; 0 without such an ingest
  // Bytes that the layer of this chain id takes unpacked, without those below it. NotFound.
  virtual Result<int64_t> unpacked(const std::string& chain_id) = 0;
};

// Asked on the way of a pull and an import. Thread-safe.
class SpaceCheck {
 public:
  virtual ~SpaceCheck() = default;
  // The documents are there, no layer is asked for yet. ResourceExhausted with the reason
  // InsufficientStorage and the numbers where it does not fit, also after making room.
  // Cancelled where it was while room was made.
  virtual Status before_fetch(const std::string& name, const ImageLayout& layout,
                              const CancelToken& cancel) = 0;
  // The same for one layer that is in the store and not unpacked: by now its size is known.
  virtual Status before_unpack(const Descriptor& layer, const CancelToken& cancel) = 0;
};

// Estimated bytes still to be written.
struct SpaceNeed {
  int64_t content = 0;    // of layers not in the store, without what their ingests hold
  int64_t snapshots = 0;  // of layers not unpacked
};

struct Filesystem {
  std::string path;
  std::string holds;  // "containerd's content and snapshots"
  bool content = false, snapshots = false;
  int64_t total = 0, used = 0, free = 0;  // bytes, as df counts them

  int64_t share(const SpaceNeed& need) const {
    return (content ? need.content : 0) + (snapshots ? need.snapshots : 0);
  }
  // Of what may be used, as df shows it: 0 … 100.
  double percent() const;
};

// By what it unpacks to where that is known: a plain tar, or the end of a gzip file in the store.
// Else compressed layers are taken to double.
int64_t unpacked_estimate(ImageBackend& backend, const Descriptor& layer, bool in_store);
Result<SpaceNeed> space_needed(ImageBackend& backend, StoreFacts& facts, const ImageLayout& layout);
// The same beside others: without what was `counted` for them (digests, chain ids), which grows.
Result<SpaceNeed> space_needed_besides(ImageBackend& backend, StoreFacts& facts,
                                       const ImageLayout& layout, std::set<std::string>& counted);
int64_t free_of(const std::vector<Filesystem>& disks);  // bytes, of all
bool is_disk_full(const Error& error);                  // of the container stack, not of a registry

class DiskSpace final : public SpaceCheck {
 public:
  // Would it do if so much more were free?
  using Enough = std::function<bool(const SpaceNeed& freed)>;
  // Tries to free what `enough` asks for, until the cancel; called with no lock held.
  using MakeRoom = std::function<void(const Enough& enough, const CancelToken& cancel)>;

  // `facts` may be null: then everything fits. All must outlive it. `reserve`: bytes.
  DiskSpace(ImageBackend& backend, StoreFacts* facts, int64_t reserve, MakeRoom make_room)
      : backend_(backend), facts_(facts), reserve_(reserve), make_room_(std::move(make_room)) {}

  Status before_fetch(const std::string& name, const ImageLayout& layout,
                      const CancelToken& cancel) override;
  Status before_unpack(const Descriptor& layer, const CancelToken& cancel) override;

  // One more pull or import of `name`; each ends with settle() or done(). What it was promised
  // lasts until the last one has ended.
  void begin(const std::string& name);

  // Those that hold content or snapshots, each once. Empty where they cannot be looked at.
  std::vector<Filesystem> filesystems();

  // What `name` came to: a failure for want of space is remembered with its need, and told with
  // numbers; everything else is given back as it is, and nothing is remembered.
  Error settle(const std::string& name, const Error& error);
  void done(const std::string& name);
  // A refusal is not remembered.
  void forget(const std::string& name);
  // Remembers only those of `names`.
  void forget_all_but(const std::vector<std::string>& names);
  // A refused one would fit if so much more were free; also true for what was not refused.
  bool fits(const std::string& name, const SpaceNeed& freed = {});

 private:
  struct Case {
    ImageLayout layout;
    uint64_t turn = 0;  // when it began: those before it have their room promised
    int users = 0;      // pulls of this name that go on
    bool refused = false;
    int64_t free_then = 0;  // where the estimate was wrong: more than this must be free
  };
  // What one needs, and what those need besides that were promised room before it and are not done.
  struct Claim {
    SpaceNeed own, before;
  };
  Result<Claim> claim(const ImageLayout& layout, uint64_t turn);
  Status check(const std::string& what, const Claim& claim, const CancelToken& cancel);
  const Filesystem* short_of(const std::vector<Filesystem>& disks, const Claim& claim,
                             const SpaceNeed& freed = {}) const;
  Error refusal(const std::string& what, const Filesystem& disk, const Claim& claim) const;

  ImageBackend& backend_;
  StoreFacts* const facts_;
  const int64_t reserve_;
  const MakeRoom make_room_;
  std::mutex mutex_;
  uint64_t turns_ = 0;
  std::map<std::string, Case> cases_;  // of pulls under way or refused; by name of the image
};

}  // namespace wherry::runtime

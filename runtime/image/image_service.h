#pragma once
// Images in containerd's store: the Images door of runtime.h, and what is laid ready on the device.

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/estimate.h"
#include "runtime/image/import.h"
#include "runtime/image/pull.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

struct ImageServiceOptions : PullOptions {
  RemovableImages removable{};     // empty: none is
  StoreFacts* facts = nullptr;     // null: nothing is known of the disk; must outlive the service
  int64_t disk_reserve = 0;        // bytes that images leave free
  int gc_high = 100, gc_low = 99;  // percent of the disk: where removal begins and ends
  // Told what was removed to make room for a pull or an import, from its thread; may be empty.
  std::function<void(const PruneReport&)> made_room{};
};

struct PreloadReport {
  struct Failure {
    std::string path;
    Error error;
  };
  std::vector<Image> imported;
  std::vector<Failure> failed;  // those that no earlier report had in the same state, or may pass
  size_t unchanged = 0;         // files that were imported before
  bool unsettled = false;       // a directory is still being copied: look again in a moment
};

// Thread-safe. `backend` must outlive it.
class ImageService final : public Images, public Estimates {
 public:
  ImageService(ImageBackend& backend, const ImageServiceOptions& options);

  // Two or three calls to the backend once an image is known. By digest, an image is found under
  // any name; Image::name is that of its record.
  Result<Image> find(const std::string& reference) override;
  // Without network where the reference has a digest and the content is there, or where the
  // registry cannot be reached and only unpacking is left to do.
  Result<Image> pull(const PullRequest& request, CancelToken cancel) override;
  Result<std::vector<Image>> list() override;
  // Also takes the directory of an OCI layout. For names see Importer.
  Result<std::vector<Image>> import_archive(const std::string& path, CancelToken cancel) override;
  Status remove(const std::string& reference) override;
  Status drop_abandoned(const std::vector<std::string>& wanted) override;

  // Bytes per second over all pulls, from now on; 0: no limit.
  void set_bandwidth_limit(int64_t limit) { puller_.set_bandwidth_limit(limit); }
  Result<PruneReport> prune(const PruneRequest& request, CancelToken cancel) override;
  Result<StoreEstimate> estimate(const std::vector<PullRequest>& wanted,
                                 CancelToken cancel) override;

  // Imports every archive and OCI layout in `dir` (not below), in name order; hidden files are left
  // alone. What was imported before and has the same name, size and time of change is skipped while
  // its images exist: their records carry the label wherry/preload. A file that fails does not keep
  // the others from being imported, but where the container stack is not there the rest is left for
  // another time. A directory that changed within the last seconds may be on its way here: that it
  // is no layout yet is no failure. Missing directory: nothing to do. Error: Cancelled, Unavailable
  // before the first file, or the directory cannot be read.
  Result<PreloadReport> preload(const std::string& dir, CancelToken cancel);

 private:
  Result<ImageLayout> layout_of(const Descriptor& target);
  Result<ImageLayout> complete(const Descriptor& target);
  Result<ImageRecord> record_of(const Reference& reference, const CancelToken& cancel = {});
  void await_removal(const Reference& reference, const CancelToken& cancel);
  Result<ImageLayout> pull_as(const std::string& name, const Reference& reference,
                              const PullRequest& request, const CancelToken& cancel);
  Result<std::vector<ImportedImage>> import(const std::string& path, const StringMap& labels,
                                            const CancelToken& cancel);
  bool has_all_of(const std::vector<ImageRecord>& records, const std::string& print,
                  const CancelToken& cancel);
  Result<Image> unpack_local(const ImageRecord& record, const CancelToken& cancel);
  bool is_pressing(int percent);
  Status remove_until(const std::function<bool()>& enough, const CancelToken& cancel,
                      PruneReport& report);
  SpaceNeed could_free();
  void make_room(const DiskSpace::Enough& enough, const CancelToken& cancel, PruneReport& report);
  void finish(PruneReport& report, int64_t free_before);
  Result<std::optional<Image>> remove_next(std::set<std::string>& tried, const CancelToken& cancel);
  bool may_still_go(const RemovableImage& image, const ImageRecord& record) const;
  Result<std::optional<Image>> remove_one(const RemovableImage& chosen, const CancelToken& cancel);
  PullOptions with_space(ImageServiceOptions options);
  void forget_unused(const std::vector<ImageRecord>& records);

  ImageBackend& backend_;
  const RemovableImages removable_;
  StoreFacts* const facts_;
  const std::function<void(const PruneReport&)> made_room_;
  const int gc_high_, gc_low_;
  const int64_t disk_reserve_;
  const Platform platform_;
  DiskSpace space_;
  Gate pruning_;  // one at a time
  Puller puller_;
  Importer importer_;
  std::mutex mutex_;
  std::multiset<std::string> pulling_;  // names
  // While images are removed: names that were pulled or imported since that began.
  std::optional<std::set<std::string>> came_;
  std::optional<RemovableImage> going_;  // decided; whoever looks for it waits until it is gone
  std::condition_variable gone_;
  // By target digest: content never changes, so what was read once stays true. Only images whose
  // content was whole when they were read.
  std::map<std::string, ImageLayout> known_;
  std::set<std::string> told_;  // files of the preload directory whose failure was reported
};

}  // namespace wherry::runtime

#pragma once
// Which images are on the device, who uses them and why each is kept. The uses survive the agent:
// they say what was unused for longest, and what a workload ran before.

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"
#include "agent/reconcile/records.h"
#include "agent/reconcile/state_view.h"

namespace wherry {

// References in the template of a Job, a CronJob or one of those with replicas. They are wanted
// also while no Pod is: before the next run, after the last, while it is suspended.
struct ControllerImages {
  std::string name;
  std::vector<std::string> references;
};

struct KeepInput {
  const std::vector<runtime::Image>& images;
  const std::vector<ImageUse>& uses;
  const PlanInput& plan;  // desired, observed, pulls and held sources are read
  const std::vector<ControllerImages>& controllers;
};
// Pure. One view an image, sorted by name. Where it is not known what a source wants, whatever a
// workload that is in no document has used counts as wanted.
std::vector<ImageView> view_images(const KeepInput& input);
// Those of Kept::Unused, the one unused for longest first.
std::vector<runtime::RemovableImage> removable_images(const std::vector<ImageView>& views,
                                                      const std::vector<ImageUse>& uses);

// The images that may go, for whoever removes them, on any thread.
class KeepingBoard {
 public:
  void set(std::vector<runtime::RemovableImage> removable);
  std::vector<runtime::RemovableImage> removable() const;

 private:
  mutable std::mutex mutex_;
  std::vector<runtime::RemovableImage> removable_;
};

// Used by the reconciler's thread only.
class ImageBook {
 public:
  explicit ImageBook(UseRecords* records) : records_(records) {}  // null: nothing is remembered

  Status load();  // call once, first
  void listed(const std::vector<runtime::Image>& images, WallTime now);
  // What runs now: takes note of what began and ceased to be used.
  void observed(const std::map<std::string, runtime::PodStatus>& pods, WallTime now);
  void look_over(const PlanInput& input, const std::vector<ControllerImages>& controllers);
  bool is_listed() const { return listed_; }
  const std::vector<ImageView>& views() const { return views_; }
  // What came lately and was not needed yet is left out unless `also_fresh`: it may have been
  // brought for a workload that is still to come.
  std::vector<runtime::RemovableImage> removable(bool also_fresh) const;
  Status flush();  // writes only what changed

 private:
  using Key = std::pair<std::string, std::string>;  // workload, digest
  struct InUse {
    std::string name, hash;
    bool operator==(const InUse&) const = default;
  };
  void touch(const Key& key, const InUse& use, WallTime now);
  std::vector<ImageUse> uses() const;

  UseRecords* const records_;
  std::vector<runtime::Image> images_;
  bool listed_ = false;
  std::map<Key, ImageUse> uses_;
  std::map<Key, InUse> in_use_;
  std::set<std::string> came_;             // digests, since the last look over
  std::map<std::string, MonoTime> fresh_;  // digests that nobody has needed yet; until when
  uint64_t order_ = 0;
  std::vector<ImageView> views_;
  std::set<Key> unsaved_;
  std::set<std::string> gone_;
};

}  // namespace wherry

// Images off the device again: those that nobody needs, the ones unused for longest first.

#include <algorithm>
#include <memory>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/quantity.h"
#include "runtime/image/image_service.h"

namespace wherry::runtime {

bool ImageService::is_pressing(int percent) {
  const auto disks = space_.filesystems();
  return std::any_of(disks.begin(), disks.end(),
                     [&](const Filesystem& disk) { return disk.percent() >= percent; });
}

// By now it may have become another image, or one that is kept for where it came from.
bool ImageService::may_still_go(const RemovableImage& image, const ImageRecord& record) const {
  if (record.target.digest != image.digest || is_preloaded(record) || is_imported(record)) {
    return false;
  }
  const auto removable = removable_();
  return std::find(removable.begin(), removable.end(), image) != removable.end();
}

// Nothing where it may not go any more. What is looked at is looked at again under the gate through
// which pulls and imports record, and after everybody who looks for the image waits.
Result<std::optional<Image>> ImageService::remove_one(const RemovableImage& chosen,
                                                      const CancelToken& cancel) {
  if (Status reached = failpoint("image.prune"); !reached) return fail(reached.error());
  const auto pass = puller_.names().enter(chosen.name, cancel);
  if (!pass) return fail(pass.error());
  {
    const std::lock_guard lock(mutex_);
    if (pulling_.contains(chosen.name) || came_->contains(chosen.name))
      return std::optional<Image>();
    going_ = chosen;
  }
  const std::shared_ptr<void> ended(nullptr, [this](void*) {
    const std::lock_guard lock(mutex_);
    going_.reset();
    gone_.notify_all();
  });
  const auto records = backend_.images();
  if (!records) return fail(records.error());
  const auto record = std::find_if(records->begin(), records->end(), [&](const ImageRecord& each) {
    return each.name == chosen.name;
  });
  if (record == records->end() || !may_still_go(chosen, *record)) return std::optional<Image>();
  const auto layout = layout_of(record->target);
  if (Status removed = backend_.remove_image(chosen.name); !removed) return fail(removed.error());
  log_info("image removed: nobody needs it", {{"image", chosen.name}, {"digest", chosen.digest}});
  return std::optional<Image>(
      Image{chosen.name, chosen.digest, layout ? layout->size() : record->target.size});
}

// The next that may go: asked each time, for what is wanted changes meanwhile. None: no more.
Result<std::optional<Image>> ImageService::remove_next(std::set<std::string>& tried,
                                                       const CancelToken& cancel) {
  while (true) {
    const auto removable = removable_();
    const auto next =
        std::find_if(removable.begin(), removable.end(),
                     [&](const RemovableImage& each) { return !tried.contains(each.name); });
    if (next == removable.end()) return std::optional<Image>();
    tried.insert(next->name);
    auto removed = remove_one(*next, cancel);
    if (!removed || *removed) return removed;
  }
}

// How much one removal frees cannot be told beforehand, for layers are shared: remove, look again.
// Goes on with the next where one cannot be removed; the first such failure is what is returned.
Status ImageService::remove_until(const std::function<bool()>& enough, const CancelToken& cancel,
                                  PruneReport& report) {
  const auto alone = pruning_.enter("", cancel);
  if (!alone) return fail(alone.error());
  Status first;
  if (!removable_) return first;
  {
    const std::lock_guard lock(mutex_);
    came_.emplace();
  }
  const std::shared_ptr<void> ended(nullptr, [this](void*) {
    const std::lock_guard lock(mutex_);
    came_.reset();
  });
  std::set<std::string> tried;
  while (!cancel.cancelled() && !enough()) {
    auto removed = remove_next(tried, cancel);
    if (!removed) {
      log_warn("an image is not removed", {{"error", removed.error().full()}});
      if (first) first = fail(removed.error());
      if (removed.error().code() == Code::Unavailable) return first;
      continue;
    }
    if (!*removed) return first;
    report.removed.push_back(std::move(**removed));
  }
  return first;
}

// At most so much comes free when all that may go is gone; what others have, too, stays.
SpaceNeed ImageService::could_free() {
  SpaceNeed freed;
  const auto removable = removable_ ? removable_() : std::vector<RemovableImage>();
  const auto records = backend_.images();
  if (removable.empty() || !records || facts_ == nullptr) return freed;
  std::set<std::string> kept;  // digests and chain ids
  std::map<std::string, ImageLayout> going;
  for (const ImageRecord& record : *records) {
    const auto layout = layout_of(record.target);
    if (!layout) continue;
    const RemovableImage image{record.name, record.target.digest};
    if (std::find(removable.begin(), removable.end(), image) != removable.end()) {
      going.emplace(image.digest, *layout);
      continue;
    }
    for (const Descriptor& layer : layout->content.layers) kept.insert(layer.digest);
    kept.insert(layout->chains.begin(), layout->chains.end());
  }
  for (const auto& [digest, layout] : going) {
    freed.content += layout.size();
    for (const Descriptor& layer : layout.content.layers) {
      if (!kept.insert(layer.digest).second) freed.content -= layer.size;
    }
    for (const std::string& chain : layout.chains) {
      if (kept.insert(chain).second) freed.snapshots += facts_->unpacked(chain).value_or(0);
    }
  }
  return freed;
}

// Where all of them together would not do, none is given up.
void ImageService::make_room(const DiskSpace::Enough& enough, const CancelToken& cancel,
                             PruneReport& report) {
  if (enough({}) || !enough(could_free())) return;
  static_cast<void>(remove_until([&] { return enough({}); }, cancel, report));
}

void ImageService::finish(PruneReport& report, int64_t free_before) {
  if (report.removed.empty()) return;
  report.freed_bytes = std::max<int64_t>(0, free_of(space_.filesystems()) - free_before);
  log_info("images pruned", {{"images", std::to_string(report.removed.size())},
                             {"freed", format_bytes(report.freed_bytes)}});
}

Result<PruneReport> ImageService::prune(const PruneRequest& request, CancelToken cancel) {
  PruneReport report;
  std::vector<std::pair<std::string, std::string>> waiting;  // as asked for -> name
  std::vector<std::string> names;
  for (const std::string& text : request.waiting) {
    const auto reference = parse_reference(text);
    if (!reference) continue;
    names.push_back(reference->name());
    waiting.emplace_back(text, names.back());
  }
  space_.forget_all_but(names);
  const int64_t before = free_of(space_.filesystems());
  Status removal;
  if (request.all) {
    removal = remove_until([] { return false; }, cancel, report);
  } else if (is_pressing(gc_high_)) {
    // Down to the low mark means: not above it.
    removal = remove_until([&] { return !is_pressing(gc_low_ + 1); }, cancel, report);
  }
  for (const auto& [text, name] : waiting) {
    make_room([&, &name = name](const SpaceNeed& freed) { return space_.fits(name, freed); },
              cancel, report);
    if (space_.fits(name)) report.fits.push_back(text);
  }
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  if (request.all && report.removed.empty() && !removal) return fail(removal.error());
  finish(report, before);
  return report;
}

}  // namespace wherry::runtime

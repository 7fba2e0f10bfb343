#include "agent/reconcile/image_book.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/reconcile/wanted_image.h"

namespace wherry {
namespace {

using runtime::Image;

constexpr Duration kGrace = std::chrono::minutes(10);

// `name`: the image's, in its full form.
bool is(const WantedImage& wanted, const Image& image, const std::string& name) {
  return name == wanted.name() || (!wanted.digest().empty() && image.digest == wanted.digest());
}

// The digests that each workload ran in the version before the present one.
class PreviousVersions {
 public:
  explicit PreviousVersions(const KeepInput& input) {
    std::set<std::string> workloads;
    for (const auto& [name, spec] : input.plan.desired) workloads.insert(name);
    for (const auto& [name, pod] : input.plan.observed) workloads.insert(name);
    for (const std::string& name : workloads) one(input, name);
  }
  bool contains(const std::string& digest) const { return digests_.contains(digest); }

 private:
  void one(const KeepInput& input, const std::string& name) {
    std::string hash;  // of the present version
    std::set<std::string> present;
    const auto pod = input.plan.observed.find(name);
    if (pod != input.plan.observed.end()) {
      hash = pod->second.hash;
      for (const auto& container : pod->second.containers) present.insert(container.image_digest);
      for (const auto& [volume, shown] : pod->second.volume_images) present.insert(shown.second);
    } else {
      hash = input.plan.desired.at(name)->pod.hash;
    }
    const ImageUse* newest = nullptr;
    for (const ImageUse& use : input.uses) {
      if (use.workload != name || use.spec_hash == hash || present.contains(use.digest)) continue;
      if (newest == nullptr || use.order > newest->order) newest = &use;
    }
    if (newest == nullptr) return;
    for (const ImageUse& use : input.uses) {
      const bool same = use.workload == name && use.spec_hash == newest->spec_hash;
      if (same) digests_.insert(use.digest);
    }
  }

  std::set<std::string> digests_;
};

class ImageViewer {
 public:
  explicit ImageViewer(const KeepInput& input) : input_(input), previous_(input) {
    for (const auto& [name, spec] : input.plan.desired) {
      for (const auto& need : images_of(spec->pod)) {
        wanted_.emplace_back(name, WantedImage(need.reference));
      }
    }
    for (const ControllerImages& controller : input.controllers) {
      for (const std::string& reference : controller.references) {
        templates_.emplace_back(controller.name, WantedImage(reference));
      }
    }
    for (const auto& [reference, pull] : input.plan.pulls) {
      if (pull.busy) pulling_.emplace_back(reference);
    }
  }

  ImageView view(const Image& image) const {
    ImageView view{image.name, image.digest, image.size, {}, {}, Kept::Unused};
    const std::string full = WantedImage(image.name).name();
    std::set<std::string> running, wanted;
    for (const auto& [name, pod] : input_.plan.observed) {
      for (const auto& container : pod.containers) {
        if (container.image_digest == image.digest) running.insert(name);
      }
      for (const auto& [volume, shown] : pod.volume_images) {
        if (shown.second == image.digest) running.insert(name);
      }
    }
    for (const auto& [name, each] : wanted_) {
      if (is(each, image, full)) wanted.insert(name);
    }
    // Its Pods are named where there are any.
    for (const auto& [name, each] : templates_) {
      if (running.empty() && wanted.empty() && is(each, image, full)) view.users.push_back(name);
    }
    const bool may_be_wanted = used(image, view) || !view.users.empty();
    const bool pulled = std::any_of(pulling_.begin(), pulling_.end(),
                                    [&](const WantedImage& each) { return is(each, image, full); });
    if (!running.empty()) {
      view.kept = Kept::Running;
    } else if (!wanted.empty() || may_be_wanted) {
      view.kept = Kept::Wanted;
    } else if (pulled) {
      view.kept = Kept::Pulling;
    } else if (previous_.contains(image.digest)) {
      view.kept = Kept::Previous;
    } else if (image.preloaded) {
      view.kept = Kept::Preloaded;
    } else if (image.imported) {
      view.kept = Kept::Imported;
    }
    wanted.merge(running);
    if (!wanted.empty()) view.users.assign(wanted.begin(), wanted.end());
    return view;
  }

 private:
  // Fills in the last use; true when one of its users may still be wanted.
  bool used(const Image& image, ImageView& view) const {
    bool held = false;
    uint64_t last = 0;
    for (const ImageUse& use : input_.uses) {
      if (use.digest != image.digest) continue;
      if (use.order >= last) view.last_used = use.used_at;
      last = std::max(last, use.order);
      const bool unknown = !use.workload.empty() && !input_.plan.desired.contains(use.workload);
      held = held || (unknown && !input_.plan.held_sources.empty());
    }
    return held;
  }

  const KeepInput& input_;
  const PreviousVersions previous_;
  std::vector<std::pair<std::string, WantedImage>> wanted_, templates_;
  std::vector<WantedImage> pulling_;
};

}  // namespace

std::vector<ImageView> view_images(const KeepInput& input) {
  std::vector<ImageView> views;
  if (input.images.empty()) return views;
  const ImageViewer viewer(input);
  for (const Image& image : input.images) views.push_back(viewer.view(image));
  std::sort(views.begin(), views.end(),
            [](const ImageView& a, const ImageView& b) { return a.name < b.name; });
  return views;
}

std::vector<runtime::RemovableImage> removable_images(const std::vector<ImageView>& views,
                                                      const std::vector<ImageUse>& uses) {
  std::map<std::string, uint64_t> last;  // by digest
  for (const ImageUse& use : uses) last[use.digest] = std::max(last[use.digest], use.order);
  std::vector<std::tuple<uint64_t, std::string, std::string>> order;
  for (const ImageView& view : views) {
    if (view.kept == Kept::Unused) order.emplace_back(last[view.digest], view.name, view.digest);
  }
  std::sort(order.begin(), order.end());
  std::vector<runtime::RemovableImage> removable;
  for (auto& [when, name, digest] : order) {
    removable.push_back({std::move(name), std::move(digest)});
  }
  return removable;
}

void KeepingBoard::set(std::vector<runtime::RemovableImage> removable) {
  const std::lock_guard lock(mutex_);
  removable_ = std::move(removable);
}

std::vector<runtime::RemovableImage> KeepingBoard::removable() const {
  const std::lock_guard lock(mutex_);
  return removable_;
}

Status ImageBook::load() {
  if (records_ == nullptr) return {};
  const auto uses = records_->image_uses();
  if (!uses) return fail(uses.error());
  for (const ImageUse& use : *uses) {
    order_ = std::max(order_, use.order);
    uses_[{use.workload, use.digest}] = use;
  }
  return {};
}

void ImageBook::touch(const Key& key, const InUse& use, WallTime now) {
  uses_[key] = {key.first, key.second, use.name, use.hash, ++order_, now};
  unsaved_.insert(key);
  gone_.erase(key.second);
}

void ImageBook::listed(const std::vector<Image>& images, WallTime now) {
  images_ = images;
  const bool before = std::exchange(listed_, true);
  std::set<std::string> known, there;
  for (const auto& [key, use] : uses_) known.insert(key.second);
  for (const Image& image : images) {
    there.insert(image.digest);
    if (known.contains(image.digest)) continue;
    touch({"", image.digest}, {image.name, ""}, now);
    if (before) came_.insert(image.digest);
  }
  for (const auto& [key, use] : in_use_) there.insert(key.second);
  std::erase_if(uses_, [&](const auto& entry) {
    if (there.contains(entry.first.second)) return false;
    gone_.insert(entry.first.second);
    unsaved_.erase(entry.first);
    return true;
  });
}

void ImageBook::observed(const std::map<std::string, runtime::PodStatus>& pods, WallTime now) {
  std::map<Key, InUse> present;
  for (const auto& [name, pod] : pods) {
    for (const auto& container : pod.containers) {
      if (container.image_digest.empty()) continue;
      present[{name, container.image_digest}] = {container.image, pod.hash};
    }
    for (const auto& [volume, shown] : pod.volume_images) {
      present[{name, shown.second}] = {shown.first, pod.hash};
    }
  }
  for (const auto& [key, use] : present) {
    const auto known = uses_.find(key);
    // What an earlier life of the agent saw begin goes on.
    if (known == uses_.end() || known->second.spec_hash != use.hash) touch(key, use, now);
  }
  for (const auto& [key, use] : in_use_) {
    if (!present.contains(key)) touch(key, use, now);
  }
  in_use_ = std::move(present);
}

std::vector<ImageUse> ImageBook::uses() const {
  std::vector<ImageUse> all;
  all.reserve(uses_.size());
  for (const auto& [key, use] : uses_) all.push_back(use);
  return all;
}

void ImageBook::look_over(const PlanInput& input,
                          const std::vector<ControllerImages>& controllers) {
  views_ = view_images({images_, uses(), input, controllers});
  for (const std::string& digest : std::exchange(came_, {})) fresh_[digest] = input.now + kGrace;
  std::erase_if(fresh_, [&](const auto& each) { return each.second <= input.now; });
  for (const ImageView& view : views_) {
    if (view.kept != Kept::Unused && view.kept != Kept::Pulling) fresh_.erase(view.digest);
  }
}

std::vector<runtime::RemovableImage> ImageBook::removable(bool also_fresh) const {
  if (also_fresh) return removable_images(views_, uses());
  std::vector<ImageView> views = views_;
  std::erase_if(views, [this](const ImageView& view) { return fresh_.contains(view.digest); });
  return removable_images(views, uses());
}

Status ImageBook::flush() {
  if (unsaved_.empty() && gone_.empty()) return {};
  if (records_ != nullptr) {
    std::vector<ImageUse> uses;
    for (const Key& key : unsaved_) {
      if (const auto use = uses_.find(key); use != uses_.end()) uses.push_back(use->second);
    }
    Status saved = records_->save_image_uses(uses, {gone_.begin(), gone_.end()});
    if (!saved) return saved;
  }
  unsaved_.clear();
  gone_.clear();
  return {};
}

}  // namespace wherry

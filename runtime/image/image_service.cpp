#include "runtime/image/image_service.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "runtime/image/fetch.h"

namespace wherry::runtime {
namespace {

Image image_of(const ImageRecord& record, int64_t size) {
  Image image{record.name, record.target.digest, size};
  image.preloaded = is_preloaded(record);
  image.imported = is_imported(record);
  return image;
}
Image image_of(const ImageRecord& record, const ImageLayout& layout) {
  return image_of(record, layout.size());
}

// What to tell where a pull fails: the reference, and a reason a person knows from Kubernetes.
Error pull_error(const Error& error, const std::string& reference) {
  Error told = error.wrap("pull " + reference);
  return error.reason().empty() ? told.with_reason("ErrImagePull") : told;
}

}  // namespace

ImageService::ImageService(ImageBackend& backend, const ImageServiceOptions& options)
    : backend_(backend),
      removable_(options.removable),
      facts_(options.facts),
      made_room_(options.made_room),
      gc_high_(options.gc_high),
      gc_low_(options.gc_low),
      disk_reserve_(options.disk_reserve),
      platform_(options.platform),
      space_(backend, options.facts, options.disk_reserve,
             [this](const DiskSpace::Enough& enough, const CancelToken& cancel) {
               PruneReport report;
               const int64_t before = free_of(space_.filesystems());
               make_room(enough, cancel, report);
               finish(report, before);
               if (!report.removed.empty() && made_room_) made_room_(report);
             }),
      puller_(backend, with_space(options)),
      importer_(backend, options.snapshotter, options.platform, puller_.leases(), &space_,
                &puller_.names()) {}

PullOptions ImageService::with_space(ImageServiceOptions options) {
  options.space = &space_;
  return options;
}

Result<ImageLayout> ImageService::layout_of(const Descriptor& target) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(target.digest); known != known_.end()) return known->second;
  }
  auto layout = read_layout(backend_, target, platform_);
  if (!layout) return layout;
  if (Status whole = check_content(backend_, *layout); !whole) return fail(whole.error());
  const std::lock_guard lock(mutex_);
  known_[target.digest] = *layout;
  return layout;
}

// Whole and unpacked. Costs one or two calls where the image is known; the config is looked at each
// time because a container cannot be made without it.
Result<ImageLayout> ImageService::complete(const Descriptor& target) {
  auto layout = layout_of(target);
  if (!layout) return layout;
  Status there = check_unpacked(backend_, *layout);
  if (there) {
    const auto config = backend_.stat_blob(layout->content.config.digest);
    if (!config) there = fail(config.error());
  }
  if (there) return layout;
  if (there.error().code() == Code::NotFound) {
    const std::lock_guard lock(mutex_);
    known_.erase(target.digest);
  }
  return fail(there.error());
}

// What is found is to be there still when it is used, and who uses it has said so before: then it
// is going already, or stays.
void ImageService::await_removal(const Reference& reference, const CancelToken& cancel) {
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    gone_.notify_all();
  });
  std::unique_lock lock(mutex_);
  gone_.wait(lock, [&] {
    return cancel.cancelled() || !going_ ||
           (going_->name != reference.name() && going_->digest != reference.digest);
  });
}

// By name; by digest also another name of the same repository, or of any.
Result<ImageRecord> ImageService::record_of(const Reference& reference, const CancelToken& cancel) {
  await_removal(reference, cancel);
  auto records = backend_.images();
  if (!records) return fail(records.error());
  forget_unused(*records);
  const std::string name = reference.name();
  const std::string repository = reference.repository_name();
  const ImageRecord* best = nullptr;
  int best_rank = 0;
  for (const ImageRecord& record : *records) {
    int rank = 0;
    if (record.name == name) {
      rank = 3;
    } else if (!reference.digest.empty() && record.target.digest == reference.digest) {
      const bool same = record.name.starts_with(repository) &&
                        record.name.find_first_of(":@", repository.size()) == repository.size();
      rank = same ? 2 : 1;
    }
    if (rank > best_rank) best = &record, best_rank = rank;
  }
  if (best != nullptr) return *best;
  return fail(Code::NotFound, "image " + name + " is not on the device");
}

void ImageService::forget_unused(const std::vector<ImageRecord>& records) {
  std::set<std::string_view> used;
  for (const ImageRecord& record : records) used.insert(record.target.digest);
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& known) { return !used.contains(known.first); });
}

Result<Image> ImageService::find(const std::string& text) {
  const auto reference = parse_reference(text);
  if (!reference) return fail(reference.error());
  const auto record = record_of(*reference);
  if (!record) return fail(record.error());
  const auto layout = complete(record->target);
  if (!layout) return fail(layout.error(), "image " + record->name);
  return image_of(*record, *layout);
}

Result<Image> ImageService::unpack_local(const ImageRecord& record, const CancelToken& cancel) {
  const auto layout = layout_of(record.target);
  if (!layout) return fail(layout.error());
  if (Status unpacked = puller_.unpack(*layout, cancel); !unpacked) return fail(unpacked.error());
  return image_of(record, *layout);
}

Result<ImageLayout> ImageService::pull_as(const std::string& name, const Reference& reference,
                                          const PullRequest& request, const CancelToken& cancel) {
  {
    const std::lock_guard lock(mutex_);
    pulling_.insert(name);
  }
  space_.begin(name);
  auto layout = puller_.pull(reference, request, cancel);
  if (layout) space_.done(name);
  if (!layout) layout = fail(space_.settle(name, layout.error()));
  const std::lock_guard lock(mutex_);
  pulling_.erase(pulling_.find(name));
  if (came_) came_->insert(name);
  if (layout) known_[layout->target.digest] = *layout;
  return layout;
}

Result<Image> ImageService::pull(const PullRequest& request, CancelToken cancel) {
  const std::string& text = request.reference;
  const auto reference = parse_reference(text);
  if (!reference) return fail(reference.error());
  const auto record = record_of(*reference, cancel);
  if (!record && record.error().code() != Code::NotFound)
    return fail(pull_error(record.error(), text));
  if (record && !reference->digest.empty()) {
    if (const auto layout = complete(record->target)) return image_of(*record, *layout);
    if (auto image = unpack_local(*record, cancel)) return image;
  }
  const auto layout = pull_as(reference->name(), *reference, request, cancel);
  if (layout) {
    ImageRecord made{reference->name(), layout->target, {{kPulledLabel, "true"}}, {}, {}};
    if (record && record->name == made.name && record->target.digest == made.target.digest) {
      made.labels.insert(record->labels.begin(), record->labels.end());
    }
    return image_of(made, *layout);
  }
  // A device without network must not lose an image over a snapshot that went missing.
  const bool offline = is_temporary(layout.error()) && record && !complete(record->target);
  if (offline) {
    if (auto image = unpack_local(*record, cancel)) {
      log_warn("registry not reachable; the image on the device was unpacked again",
               {{"image", record->name}, {"error", layout.error().full()}});
      return image;
    }
  }
  return fail(pull_error(layout.error(), text));
}

Result<std::vector<Image>> ImageService::list() {
  auto records = backend_.images();
  if (!records) return fail(records.error());
  forget_unused(*records);
  std::vector<Image> images;
  for (const ImageRecord& record : *records) {
    const auto layout = layout_of(record.target);
    if (!layout && layout.error().code() == Code::Unavailable) return fail(layout.error());
    // What is not whole, or for other machines, is listed with what is known of it.
    images.push_back(image_of(record, layout ? layout->size() : record.target.size));
  }
  std::sort(images.begin(), images.end(),
            [](const Image& a, const Image& b) { return a.name < b.name; });
  return images;
}

Result<std::vector<ImportedImage>> ImageService::import(const std::string& path,
                                                        const StringMap& labels,
                                                        const CancelToken& cancel) {
  const std::string name = "in " + path;
  space_.begin(name);
  auto imported = bring_damaged([&] { return importer_.import(path, labels, cancel); });
  if (imported) {
    space_.done(name);
    const std::lock_guard lock(mutex_);
    for (const ImportedImage& each : *imported) {
      if (came_) came_->insert(each.name);
    }
    return imported;
  }
  imported = fail(space_.settle(name, imported.error()));
  space_.forget(name);  // whoever brought it tries again, not we
  return imported;
}

Result<std::vector<Image>> ImageService::import_archive(const std::string& path,
                                                        CancelToken cancel) {
  const StringMap labels{{kImportedLabel, "true"}};
  const auto imported = import(path, labels, cancel);
  if (!imported) return fail(imported.error());
  std::vector<Image> images;
  for (const ImportedImage& each : *imported) {
    images.push_back(image_of({each.name, each.layout.target, labels, {}, {}}, each.layout));
  }
  return images;
}

Status ImageService::drop_abandoned(const std::vector<std::string>& wanted) {
  std::set<std::string> names;
  for (const std::string& text : wanted) {
    if (const auto reference = parse_reference(text)) names.insert(reference->name());
  }
  return puller_.drop_abandoned(names);
}

Status ImageService::remove(const std::string& text) {
  const auto reference = parse_reference(text);
  if (!reference) return fail(reference.error());
  return backend_.remove_image(reference->name());
}

}  // namespace wherry::runtime

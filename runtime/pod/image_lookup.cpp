#include "runtime/pod/image_lookup.h"

#include <algorithm>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "runtime/image/platform.h"
#include "runtime/image/reference.h"
#include "runtime/image/store.h"
#include "runtime/pod/layer_files.h"

namespace wherry::runtime {
namespace {

constexpr size_t kRemembered = 64;  // images; a few hundred bytes each
constexpr const char* kNotPresent = "ImageNotPresent";

}  // namespace

ImageLookup::ImageLookup(Client& client, ImageBackend& backend, std::string cache_dir)
    : client_(client), backend_(backend), cache_dir_(std::move(cache_dir)) {}

Result<RunnableImage> ImageLookup::find(const std::string& reference) {
  const auto record = find_record(reference);
  if (!record) return fail(record.error());
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_digest_.find(record->target.digest);
    if (found != by_digest_.end()) {
      RunnableImage image = found->second;
      image.image.name = record->name;
      return image;
    }
  }
  auto image = read(*record);
  if (!image) {
    if (image.error().code() != Code::NotFound) return image;
    return fail(
        image.error().wrap("image " + record->name + " is not complete").with_reason(kNotPresent));
  }
  const std::lock_guard lock(mutex_);
  if (by_digest_.size() >= kRemembered) by_digest_.clear();
  by_digest_.emplace(record->target.digest, *image);
  return image;
}

Result<ImageRecord> ImageLookup::find_record(const std::string& reference) {
  const auto parsed = parse_reference(reference);
  if (!parsed) return fail(parsed.error());
  auto record = client_.images().get(parsed->name());
  if (record || record.error().code() != Code::NotFound) return record;
  // By digest it may be there under a tag.
  if (!parsed->digest.empty()) {
    const auto all = client_.images().list();
    if (!all) return fail(all.error());
    const auto found = std::find_if(all->begin(), all->end(), [&](const ImageRecord& candidate) {
      return candidate.target.digest == parsed->digest;
    });
    if (found != all->end()) return *found;
  }
  return fail(Code::NotFound, "image " + parsed->name() + " is not in the store", kNotPresent);
}

Result<RunnableImage> ImageLookup::read(const ImageRecord& record) {
  const auto layout = read_layout(backend_, record.target, host_platform());
  if (!layout) return fail(layout.error());
  RunnableImage image;
  image.image = {record.name, record.target.digest, layout->size()};
  image.chain_id = layout->top_chain();
  image.artifact = layout->content.artifact;
  if (layout->is_artifact()) return image;
  const auto json = read_document(backend_, layout->content.config);
  if (!json) return fail(json.error());
  auto config = parse_image_config(*json);
  if (!config) return fail(config.error());
  image.config = std::move(*config);
  return image;
}

Result<std::string> ImageLookup::users_of(const RunnableImage& image, const CancelToken& cancel) {
  const std::string directory = cache_dir_ + "/" + image.image.digest.substr(7, 24);
  const std::string complete = directory + "/complete";
  if (access(complete.c_str(), F_OK) == 0) return directory;
  // A look at the layers for a moment. The lease lets containerd clean up after us if we crash.
  const std::string key = "wherry-look-" + random_hex(12);
  const SystemClock clock;
  if (Status made = client_.leases().create(key, std::chrono::minutes(10), clock); !made) {
    return fail(made.error());
  }
  const auto mounts = client_.snapshots().view(key, image.chain_id, key, &cancel);
  const auto layers =
      mounts ? layer_directories(*mounts) : Result<std::vector<std::string>>(fail(mounts.error()));
  Status status;
  if (layers) {
    status = make_directories(directory + "/etc", 0700);
    for (const char* file : {"etc/passwd", "etc/group"}) {
      if (status)
        status = write_file_atomic(directory + "/" + file, read_from_layers(*layers, file));
    }
    if (status) status = write_file_atomic(complete, "");
  } else {
    status = fail(layers.error());
  }
  const Status removed = client_.snapshots().remove(key);
  const Status dropped = client_.leases().remove(key);
  for (const Status& each : {status, removed, dropped}) {
    if (!each) return fail(each.error(), "read the users of image " + image.image.name);
  }
  return directory;
}

void ImageLookup::forget(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  by_digest_.erase(digest);
}

void ImageLookup::clear_cache_dir() { static_cast<void>(remove_tree(cache_dir_)); }

}  // namespace wherry::runtime

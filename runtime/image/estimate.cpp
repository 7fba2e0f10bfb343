// What pulls would bring and take.

#include <algorithm>
#include <set>

#include "runtime/image/image_service.h"

namespace wherry::runtime {
namespace {

// Documents that a pull would fetch besides the layers.
int64_t missing_documents(ImageBackend& backend, const ImageLayout& layout) {
  int64_t bytes = 0;
  std::vector<Descriptor> documents{layout.manifest, layout.content.config};
  if (layout.index_size > 0) documents.push_back(layout.target);
  for (const Descriptor& document : documents) {
    if (!backend.stat_blob(document.digest)) bytes += document.size;
  }
  return bytes;
}

}  // namespace

Result<StoreEstimate> ImageService::estimate(const std::vector<PullRequest>& wanted,
                                             CancelToken cancel) {
  StoreEstimate all;
  SpaceNeed need;
  std::set<std::string> counted;
  for (const PullRequest& request : wanted) {
    ImageEstimate& image = all.images.emplace_back();
    image.reference = request.reference;
    const auto reference = parse_reference(request.reference);
    const auto layout = reference ? puller_.look(*reference, request, cancel)
                                  : Result<ImageLayout>(fail(reference.error()));
    if (!layout) {
      const Error told = layout.error().wrap("pull " + request.reference);
      image.error = told.reason().empty() ? told.with_reason("ErrImagePull") : told;
      continue;
    }
    image.name = reference->name();
    image.digest = layout->target.digest;
    if (facts_ == nullptr) {
      image.download_bytes = layout->size();
      continue;
    }
    const auto own = space_needed_besides(backend_, *facts_, *layout, counted);
    if (!own) return fail(own.error());
    const int64_t documents = missing_documents(backend_, *layout);
    image.download_bytes = own->content + documents;
    image.disk_bytes = own->content + own->snapshots + documents;
    need.content += own->content + documents;
    need.snapshots += own->snapshots;
  }
  const SpaceNeed removable = could_free();
  for (const Filesystem& disk : space_.filesystems()) {
    all.disks.push_back(
        {disk.path, disk.holds, disk.share(need), disk.free, disk_reserve_, disk.share(removable)});
  }
  return all;
}

}  // namespace wherry::runtime

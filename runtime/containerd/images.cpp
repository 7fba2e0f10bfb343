#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

ImageRecord to_record(const rpc::images::Image& image) {
  return {image.name(), to_descriptor(image.target()), to_map(image.labels()),
          to_wall(image.created_at()), to_wall(image.updated_at())};
}

void set_image(const ImageRecord& from, rpc::images::Image& to) {
  to.set_name(from.name);
  set_map(from.labels, *to.mutable_labels());
  set_descriptor(from.target, *to.mutable_target());
}

}  // namespace

ImageRecords::ImageRecords(std::shared_ptr<Transport> transport)
    : transport_(std::move(transport)) {}

Result<ImageRecord> ImageRecords::get(const std::string& name) {
  rpc::images::GetImageRequest request;
  request.set_name(name);
  const auto response = transport_->call(rpc::kImageGet, request, {kShort});
  if (!response) return fail(response.error());
  return to_record(response->image());
}

Result<std::vector<ImageRecord>> ImageRecords::list() {
  const auto response =
      transport_->call(rpc::kImageList, rpc::images::ListImagesRequest(), {kShort});
  if (!response) return fail(response.error());
  std::vector<ImageRecord> records;
  for (const auto& image : response->images()) records.push_back(to_record(image));
  return records;
}

Status ImageRecords::put(const ImageRecord& image, const std::string& lease) {
  rpc::images::CreateImageRequest create;
  set_image(image, *create.mutable_image());
  const auto created = transport_->call(rpc::kImageCreate, create, {kShort, lease});
  if (created) return {};
  if (created.error().code() != Code::AlreadyExists) return fail(created.error());
  rpc::images::UpdateImageRequest update;
  set_image(image, *update.mutable_image());
  return done(transport_->call(rpc::kImageUpdate, update, {kShort, lease}));
}

Status ImageRecords::remove(const std::string& name) {
  rpc::images::DeleteImageRequest request;
  request.set_name(name);
  request.set_sync(true);
  return ignore_missing(done(transport_->call(rpc::kImageDelete, request, {kLong})));
}

}  // namespace wherry::runtime

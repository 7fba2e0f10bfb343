#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

// Type URLs that containerd's clients use for a spec and for the options of the runc shim.
constexpr const char* kSpecType = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
constexpr const char* kRuncOptionsType = "containerd.runc.v1.Options";

ContainerRecord to_record(const rpc::containers::Container& container, bool with_spec) {
  ContainerRecord record;
  record.id = container.id();
  record.labels = to_map(container.labels());
  record.image = container.image();
  record.runtime_name = container.runtime().name();
  if (with_spec) {
    record.runtime_options = container.runtime().options().value();
    record.spec_json = container.spec().value();
  }
  record.snapshotter = container.snapshotter();
  record.snapshot_key = container.snapshot_key();
  record.created_at = to_wall(container.created_at());
  return record;
}

}  // namespace

Containers::Containers(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

Result<std::vector<ContainerRecord>> Containers::list(const std::vector<std::string>& filters) {
  rpc::containers::ListContainersRequest request;
  for (const std::string& filter : filters) request.add_filters(filter);
  // Streamed: each record carries its whole spec, and only one at a time has to fit in memory.
  auto stream = transport_->read_stream(rpc::kContainerList, request, {kShort});
  if (!stream) return fail(stream.error());
  std::vector<ContainerRecord> records;
  rpc::containers::ListContainerMessage message;
  for (;;) {
    const auto more = (*stream)->read(message);
    if (!more) return fail(more.error());
    if (!*more) return records;
    records.push_back(to_record(message.container(), false));
  }
}

Result<ContainerRecord> Containers::get(const std::string& id) {
  rpc::containers::GetContainerRequest request;
  request.set_id(id);
  const auto response = transport_->call(rpc::kContainerGet, request, {kShort});
  if (!response) return fail(response.error());
  return to_record(response->container(), true);
}

Status Containers::create(const ContainerRecord& container, const CancelToken* cancel) {
  rpc::containers::CreateContainerRequest request;
  auto& entry = *request.mutable_container();
  entry.set_id(container.id);
  set_map(container.labels, *entry.mutable_labels());
  entry.set_image(container.image);
  entry.mutable_runtime()->set_name(container.runtime_name);
  if (!container.runtime_options.empty()) {
    auto& options = *entry.mutable_runtime()->mutable_options();
    options.set_type_url(kRuncOptionsType);
    options.set_value(container.runtime_options);
  }
  entry.mutable_spec()->set_type_url(kSpecType);
  entry.mutable_spec()->set_value(container.spec_json);
  entry.set_snapshotter(container.snapshotter);
  entry.set_snapshot_key(container.snapshot_key);
  return done(transport_->call(rpc::kContainerCreate, request, {kShort, "", cancel}));
}

Status Containers::update(const std::string& id, const StringMap& labels,
                          const std::string& spec_json) {
  rpc::containers::UpdateContainerRequest request;
  auto& entry = *request.mutable_container();
  entry.set_id(id);
  set_map(labels, *entry.mutable_labels());
  entry.mutable_spec()->set_type_url(kSpecType);
  entry.mutable_spec()->set_value(spec_json);
  request.mutable_update_mask()->add_paths("labels");
  request.mutable_update_mask()->add_paths("spec");
  return done(transport_->call(rpc::kContainerUpdate, request, {kShort}));
}

Status Containers::remove(const std::string& id) {
  rpc::containers::DeleteContainerRequest request;
  request.set_id(id);
  return ignore_missing(done(transport_->call(rpc::kContainerDelete, request, {kShort})));
}

}  // namespace wherry::runtime

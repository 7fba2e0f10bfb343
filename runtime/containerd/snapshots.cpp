#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

SnapshotInfo to_info(const rpc::snapshots::Info& info) {
  return {info.name(), info.parent(), info.kind() == rpc::snapshots::COMMITTED,
          to_map(info.labels())};
}

// A containerd that was killed while it made a snapshot may have left its directory, whose number
// it then gives again: it fails once, and takes that directory away in failing.
bool met_an_orphan(const Error& error) {
  const std::string said = error.full();
  return said.find("failed to rename") != std::string::npos &&
         said.find("file exists") != std::string::npos;
}

template <typename Method, typename Request>
Result<std::vector<Mount>> made(Transport& transport, const Method& method, const Request& request,
                                const CallOptions& options) {
  auto response = transport.call(method, request, options);
  if (!response && met_an_orphan(response.error())) {
    response = transport.call(method, request, options);
  }
  if (!response) return fail(response.error());
  return to_mounts(response->mounts());
}

}  // namespace

Snapshots::Snapshots(std::shared_ptr<Transport> transport, std::string snapshotter)
    : transport_(std::move(transport)), snapshotter_(std::move(snapshotter)) {}

Result<std::vector<Mount>> Snapshots::prepare(const std::string& key, const std::string& parent,
                                              const StringMap& labels, const std::string& lease,
                                              const CancelToken* cancel) {
  rpc::snapshots::PrepareSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  request.set_parent(parent);
  set_map(labels, *request.mutable_labels());
  return made(*transport_, rpc::kSnapshotPrepare, request, {kShort, lease, cancel});
}

Result<std::vector<Mount>> Snapshots::view(const std::string& key, const std::string& parent,
                                           const std::string& lease, const CancelToken* cancel,
                                           const StringMap& labels) {
  rpc::snapshots::ViewSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  request.set_parent(parent);
  set_map(labels, *request.mutable_labels());
  return made(*transport_, rpc::kSnapshotView, request, {kShort, lease, cancel});
}

Result<std::vector<Mount>> Snapshots::mounts(const std::string& key) {
  rpc::snapshots::MountsRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  const auto response = transport_->call(rpc::kSnapshotMounts, request, {kShort});
  if (!response) return fail(response.error());
  return to_mounts(response->mounts());
}

Status Snapshots::commit(const std::string& name, const std::string& key, const std::string& lease,
                         const StringMap& labels) {
  rpc::snapshots::CommitSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_name(name);
  request.set_key(key);
  set_map(labels, *request.mutable_labels());
  // The snapshotter may have to sync what was written.
  return done(transport_->call(rpc::kSnapshotCommit, request, {kLong, lease}));
}

Status Snapshots::remove(const std::string& key) {
  rpc::snapshots::RemoveSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  return ignore_missing(done(transport_->call(rpc::kSnapshotRemove, request, {kLong})));
}

Result<SnapshotInfo> Snapshots::stat(const std::string& key) {
  rpc::snapshots::StatSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  const auto response = transport_->call(rpc::kSnapshotStat, request, {kShort});
  if (!response) return fail(response.error());
  return to_info(response->info());
}

Status Snapshots::remove_label(const std::string& key, const std::string& label) {
  rpc::snapshots::UpdateSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.mutable_info()->set_name(key);
  request.mutable_update_mask()->add_paths("labels." + label);  // to what is not there
  return ignore_missing(done(transport_->call(rpc::kSnapshotUpdate, request, {kShort})));
}

Result<std::vector<SnapshotInfo>> Snapshots::list(const std::vector<std::string>& filters) {
  rpc::snapshots::ListSnapshotsRequest request;
  request.set_snapshotter(snapshotter_);
  for (const std::string& filter : filters) request.add_filters(filter);
  auto stream = transport_->read_stream(rpc::kSnapshotList, request, {kShort});
  if (!stream) return fail(stream.error());
  std::vector<SnapshotInfo> result;
  rpc::snapshots::ListSnapshotsResponse message;
  for (;;) {
    const auto more = (*stream)->read(message);
    if (!more) return fail(more.error());
    if (!*more) return result;
    for (const auto& info : message.info()) result.push_back(to_info(info));
  }
}

Result<int64_t> Snapshots::usage(const std::string& key) {
  rpc::snapshots::UsageRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  const auto response = transport_->call(rpc::kSnapshotUsage, request, {kLong});
  if (!response) return fail(response.error());
  return response->size();
}

}  // namespace wherry::runtime

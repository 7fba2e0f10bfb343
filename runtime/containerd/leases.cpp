#include "runtime/containerd/convert.h"

namespace wherry::runtime {

Leases::Leases(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

Status Leases::create(const std::string& id, Duration expires_in, const Clock& clock) {
  rpc::leases::CreateRequest request;
  request.set_id(id);
  (*request.mutable_labels())["containerd.io/gc.expire"] = to_rfc3339(clock.wall() + expires_in);
  return done(transport_->call(rpc::kLeaseCreate, request, {kShort}));
}

Status Leases::remove(const std::string& id, bool collect) {
  rpc::leases::DeleteRequest request;
  request.set_id(id);
  request.set_sync(collect);
  const Duration timeout = collect ? kLong : kShort;
  return ignore_missing(done(transport_->call(rpc::kLeaseDelete, request, {timeout})));
}

Result<std::vector<std::string>> Leases::list() {
  const auto response = transport_->call(rpc::kLeaseList, rpc::leases::ListRequest(), {kShort});
  if (!response) return fail(response.error());
  std::vector<std::string> ids;
  for (const auto& lease : response->leases()) ids.push_back(lease.id());
  return ids;
}

Result<std::vector<LeaseResource>> Leases::resources(const std::string& id) {
  rpc::leases::ListResourcesRequest request;
  request.set_id(id);
  const auto response = transport_->call(rpc::kLeaseResources, request, {kShort});
  if (!response) return fail(response.error());
  std::vector<LeaseResource> resources;
  for (const auto& each : response->resources()) resources.push_back({each.id(), each.type()});
  return resources;
}

Status Leases::add(const std::string& id, const LeaseResource& resource) {
  rpc::leases::AddResourceRequest request;
  request.set_id(id);
  request.mutable_resource()->set_id(resource.id);
  request.mutable_resource()->set_type(resource.type);
  return done(transport_->call(rpc::kLeaseAdd, request, {kShort}));
}

Status Leases::take_off(const std::string& id, const LeaseResource& resource) {
  rpc::leases::DeleteResourceRequest request;
  request.set_id(id);
  request.mutable_resource()->set_id(resource.id);
  request.mutable_resource()->set_type(resource.type);
  return ignore_missing(done(transport_->call(rpc::kLeaseTakeOff, request, {kShort})));
}

}  // namespace wherry::runtime

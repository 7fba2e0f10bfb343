#include "runtime/containerd/client.h"

#include "runtime/containerd/convert.h"

namespace wherry::runtime {

Client::Client(const ClientOptions& options)
    : transport_(std::make_shared<Transport>(
          Transport::Options{options.address, options.containerd_namespace})),
      containers_(transport_),
      tasks_(transport_),
      snapshots_(transport_, options.snapshotter),
      images_(transport_),
      content_(transport_),
      leases_(transport_) {}

Client::~Client() = default;

Result<DaemonVersion> Client::version() {
  const auto response = transport_->call(rpc::kVersion, rpc::Empty(), {kShort});
  if (!response) return fail(response.error());
  return DaemonVersion{response->version(), response->revision()};
}

}  // namespace wherry::runtime

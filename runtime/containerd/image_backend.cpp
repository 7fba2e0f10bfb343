#include "runtime/containerd/image_backend.h"

#include <atomic>

#include "base/text.h"
#include "runtime/containerd/convert.h"
#include "runtime/containerd/file_layer.h"
#include "runtime/containerd/layer_disk.h"

namespace wherry::runtime {
namespace {

// In the key of a snapshot that is being unpacked; no digest and no name of an ingest has it.
constexpr const char* kHalfMade = " ";

class ContainerdBackend final : public ImageBackend {
 public:
  ContainerdBackend(Client& client, const Clock& clock) : client_(client), clock_(clock) {}

  Result<Blob> stat_blob(const std::string& digest) override {
    return client_.content().stat(digest);
  }
  Result<std::string> read_blob(const std::string& digest, int64_t offset, int64_t size) override {
    return client_.content().read(digest, offset, size);
  }
  Result<std::unique_ptr<BlobWriter>> open_blob(const std::string& ref, const Descriptor& blob,
                                                const std::string& lease,
                                                const CancelToken& cancel) override {
    return client_.content().open(ref, blob, lease, cancel);
  }
  Result<int64_t> ingested(const std::string& ref) override {
    return client_.content().ingested(ref);
  }
  // Until the collector has been by, a writer of this digest would be given the old bytes again.
  Status remove_blob(const std::string& digest) override {
    if (Status removed = client_.content().remove(digest); !removed) return removed;
    const auto lease = collecting_lease();
    if (!lease) return fail(lease.error());
    return client_.leases().remove(*lease, true);
  }
  Status set_blob_labels(const std::string& digest, const StringMap& labels) override {
    return client_.content().set_labels(digest, labels);
  }

  Result<std::vector<ImageRecord>> images() override { return client_.images().list(); }
  Status put_image(const ImageRecord& image, const std::string& lease) override {
    return client_.images().put(image, lease);
  }
  Status remove_image(const std::string& name) override { return client_.images().remove(name); }

  Result<bool> has_snapshot(const std::string& chain_id) override {
    const auto info = client_.snapshots().stat(chain_id);
    if (info) return true;
    if (info.error().code() == Code::NotFound) return false;
    return fail(info.error());
  }

  Status unpack_layer(const Descriptor& layer, const std::string& parent,
                      const std::string& chain_id, const std::string& diff_id,
                      const std::string& lease, CancelToken cancel) override {
    const auto exists = has_snapshot(chain_id);
    if (!exists) return fail(exists.error());
    if (*exists) return {};
    // A key of its own for each try: two images that share a layer do not get in each other's way,
    // and what a crash leaves is collected with the lease.
    const std::string key = random_hex(16) + kHalfMade + chain_id;
    Status status = unpack_as(key, layer, parent, chain_id, diff_id, lease, cancel);
    if (status) return status;
    if (status.error().code() == Code::AlreadyExists) status = {};  // another was quicker
    const bool full = !status && status.error().reason() == kDiskFull;
    if (const Status removed = client_.snapshots().remove(key); !removed && status) return removed;
    if (full) {
      filled_ = true;
      sweep();  // others need the room now, and what is free without it is to be measured
    }
    return status;
  }

  Status create_lease(const std::string& id, Duration expires_in) override {
    Status status = client_.leases().create(id, expires_in, clock_);
    if (!status && status.error().code() == Code::AlreadyExists) return {};
    return status;
  }
  Status drop_lease(const std::string& id, bool collect) override {
    Status dropped = client_.leases().remove(id, collect);
    if (collect && filled_.exchange(false)) sweep();
    return dropped;
  }
  Result<std::vector<std::string>> list_leases() override { return client_.leases().list(); }

  Status share_lease(const std::string& from, const std::string& to) override {
    const auto resources = client_.leases().resources(from);
    if (!resources) return ignore_missing(fail(resources.error()));
    for (const LeaseResource& each : *resources) {
      if (each.id.find(kHalfMade) != std::string::npos) continue;
      if (Status added = client_.leases().add(to, each); !added) return added;
    }
    return {};
  }
  Status lease_snapshot(const std::string& chain_id, const std::string& lease) override {
    return client_.leases().add(lease,
                                {chain_id, "snapshots/" + client_.snapshots().snapshotter()});
  }

 private:
  // The end of such a lease has the collector run, and waits for it.
  Result<std::string> collecting_lease() {
    std::string lease = "wherry-collect-" + random_hex(8);
    const Status made = client_.leases().create(lease, std::chrono::minutes(1), clock_);
    if (!made) return fail(made.error());
    return lease;
  }

  // On a full disk the collector could not write down that it removes snapshots. It freed content,
  // and there is room now; but it looks at snapshots only after one of them was removed.
  void sweep() {
    const auto lease = collecting_lease();
    if (!lease) return;
    const std::string key = random_hex(16) + kHalfMade;
    if (client_.snapshots().prepare(key, "", {}, *lease)) (void)client_.snapshots().remove(key);
    (void)client_.leases().remove(*lease, true);
  }

  // The diff service has no code for what is wrong with a layer, only words.
  static Error apply_error(const Error& error) {
    if (error.code() != Code::Internal) return error;
    const std::string words = error.full();
    const auto says = [&](const char* part) { return words.find(part) != std::string::npos; };
    if (says("archive/tar") || says("unexpected EOF") || says("gzip:") || says("zstd")) {
      return {Code::DataLoss, words + "; the layer is no tar archive, or a damaged one"};
    }
    return error;
  }

  Status unpack_as(const std::string& key, const Descriptor& layer, const std::string& parent,
                   const std::string& chain_id, const std::string& diff_id,
                   const std::string& lease, const CancelToken& cancel) {
    const auto mounts = client_.snapshots().prepare(key, parent, {}, lease, &cancel);
    if (!mounts) return fail(mounts.error());
    const LayerDisk disk(*mounts);
    Status filled = layer.file.empty() ? apply(*mounts, layer, diff_id, lease, cancel)
                                       : write_file(*mounts, layer, cancel);
    if (!filled) return filled;
    // Each layer for itself: also one of a pull that goes on after the power was away counts.
    if (Status synced = disk.sync(); !synced) return synced;
    return client_.snapshots().commit(chain_id, key, lease);
  }

  Status write_file(const std::vector<Mount>& mounts, const Descriptor& blob,
                    const CancelToken& cancel) {
    const auto directory = writable_directory(mounts);
    if (!directory) return fail(directory.error());
    const auto read = [&](int64_t offset, int64_t size) {
      return client_.content().read(blob.digest, offset, size);
    };
    return write_file_layer(*directory, blob, read, cancel);
  }

  Status apply(const std::vector<Mount>& mounts, const Descriptor& layer,
               const std::string& diff_id, const std::string& lease, const CancelToken& cancel) {
    rpc::diff::ApplyRequest request;
    set_descriptor(layer, *request.mutable_diff());
    set_mounts(mounts, *request.mutable_mounts());
    const Duration timeout = kUnpack + reading_time(layer.size);
    const auto response =
        client_.transport()->call(rpc::kDiffApply, request, {timeout, lease, &cancel});
    if (!response) return fail(apply_error(response.error()), "unpack layer " + layer.digest);
    if (diff_id.empty() || response->applied().digest() == diff_id) return {};
    return fail(Code::DataLoss, "layer " + layer.digest + " unpacks to " +
                                    response->applied().digest() + " instead of " + diff_id);
  }

  Client& client_;
  std::atomic<bool> filled_{false};  // unpacking found the disk full
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<ImageBackend> make_containerd_backend(Client& client, const Clock& clock) {
  return std::make_unique<ContainerdBackend>(client, clock);
}

}  // namespace wherry::runtime

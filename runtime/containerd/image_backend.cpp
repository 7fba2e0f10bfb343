#include "runtime/containerd/image_backend.h"

#include <atomic>

#include "base/text.h"
#include "runtime/containerd/convert.h"
#include "runtime/containerd/file_layer.h"
#include "runtime/containerd/layer_disk.h"
#include "runtime/containerd/layer_sync.h"

namespace wherry::runtime {
namespace {

// In the key of a snapshot that is being unpacked; no digest and no name of an ingest has it.
constexpr const char* kHalfMade = " ";
// On a snapshot that may not be on the disk yet. In the life of an agent that did not make it, it
// never will be for certain.
constexpr const char* kUnsynced = "wherry/unsynced";

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
    const bool pending = layers_.is_pending(chain_id);
    const auto info = client_.snapshots().stat(chain_id);
    if (!info && info.error().code() == Code::NotFound) return false;
    if (!info) return fail(info.error());
    return !is_unsynced(*info) || pending || layers_.is_pending(chain_id);
  }

  Status unpack_layer(const Descriptor& layer, const std::string& parent,
                      const std::string& chain_id, const std::string& diff_id,
                      const std::string& lease, CancelToken cancel) override {
    const auto exists = has_snapshot(chain_id);
    if (!exists) return fail(exists.error());
    if (*exists) return {};
    if (Status dropped = drop_unsynced(chain_id); !dropped) return dropped;
    // A key of its own for each try: two images that share a layer do not get in each other's way,
    // and what a crash leaves is collected with the lease.
    const std::string key = random_hex(16) + kHalfMade + chain_id;
    Status status = unpack_as(key, layer, parent, chain_id, diff_id, lease, cancel);
    if (status) return status;
    if (status.error().code() == Code::AlreadyExists) status = {};  // another was quicker
    const bool full = !status && status.error().reason() == kDiskFull;
    if (const Status removed = client_.snapshots().remove(key); !removed && status) return removed;
    if (full) free_room();
    return status;
  }
  Status keep_snapshot(const std::string& chain_id, const CancelToken& cancel) override {
    auto info = client_.snapshots().stat(chain_id);
    if (!info) return fail(info.error());
    if (!is_unsynced(*info)) return {};
    Status kept = layers_.wait(chain_id, cancel);
    if (kept) {
      info = client_.snapshots().stat(chain_id);
      if (!info) return fail(info.error());
      if (!is_unsynced(*info)) return {};
      return fail(Code::NotFound, "snapshot " + chain_id + " was not written to the disk in time");
    }
    if (kept.error().code() == Code::Cancelled) return kept;
    const bool full = kept.error().reason() == kDiskFull;
    for (; info && is_unsynced(*info); info = client_.snapshots().stat(info->parent)) {
      if (!drop_unsynced(info->name)) break;  // another goes on with it, and will notice
    }
    if (full) free_room();
    return kept;
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
    return client_.leases().add(lease, as_resource(chain_id));
  }

 private:
  LeaseResource as_resource(const std::string& snapshot) const {
    return {snapshot, "snapshots/" + client_.snapshots().snapshotter()};
  }

  // The end of such a lease has the collector run, and waits for it.
  Result<std::string> collecting_lease() {
    std::string lease = "wherry-collect-" + random_hex(8);
    const Status made = client_.leases().create(lease, std::chrono::minutes(1), clock_);
    if (!made) return fail(made.error());
    return lease;
  }

  static bool is_unsynced(const SnapshotInfo& info) {
    const auto label = info.labels.find(kUnsynced);
    return label != info.labels.end() && !label->second.empty();
  }

  // One that does not count goes, and with it what was built on it, which counts as little.
  Status drop_unsynced(const std::string& key) {
    const auto above = client_.snapshots().list({"parent==\"" + key + "\""});
    if (!above) return fail(above.error());
    for (const SnapshotInfo& each : *above) {
      const bool half_made = each.name.find(kHalfMade) != std::string::npos;
      if (layers_.is_pending(each.name) || (!half_made && !is_unsynced(each))) {
        return fail(Code::Unavailable, "snapshot " + key + " is to be unpacked again, and " +
                                           each.name + " still uses it");
      }
      if (Status dropped = drop_unsynced(each.name); !dropped) return dropped;
    }
    const Status removed = client_.snapshots().remove(key);
    const bool childless = !removed && removed.error().code() == Code::FailedPrecondition;
    return childless ? leave_to_collector(key, removed) : removed;
  }

  // Containerd's collector does not tell a snapshot that a child of it is gone. Asked to remove it,
  // containerd then refuses for ever, for a child that no list has; the collector does not ask.
  Status leave_to_collector(const std::string& key, const Status& refused) {
    const auto leases = client_.leases().list();
    if (!leases) return fail(leases.error());
    for (const std::string& lease : *leases) {
      if (Status off = client_.leases().take_off(lease, as_resource(key)); !off) return off;
    }
    const auto collecting = collecting_lease();
    if (!collecting) return fail(collecting.error());
    if (Status ended = client_.leases().remove(*collecting, true); !ended) return ended;
    const auto left = client_.snapshots().stat(key);
    if (left) return refused;
    return ignore_missing(fail(left.error()));
  }

  // Others need it now, and what is free without the half-made is to be measured.
  void free_room() {
    filled_ = true;
    sweep();
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
    const auto disk = layers_.disk([&] {
      const auto written = std::make_shared<LayerDisk>(*mounts);
      return LayerSync::Disk{[written] { return written->sync(); }};
    });
    Status filled = layer.file.empty() ? apply(*mounts, layer, diff_id, lease, cancel)
                                       : write_file(*mounts, layer, cancel);
    if (!filled) return filled;
    // Containerd syncs its own records, not the files: after a power cut the snapshot would be
    // there with empty files in it.
    const StringMap labels{{kUnsynced, "true"}};
    if (Status done = client_.snapshots().commit(chain_id, key, lease, labels); !done) return done;
    layers_.add(chain_id, parent, disk, [this, chain_id, digest = layer.digest, diff_id] {
      Status noted;
      if (!diff_id.empty()) {
        noted =
            ignore_missing(client_.content().set_labels(digest, {{kUncompressedLabel, diff_id}}));
      }
      return noted ? client_.snapshots().remove_label(chain_id, kUnsynced) : noted;
    });
    return {};
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
  LayerSync layers_;
};

}  // namespace

std::unique_ptr<ImageBackend> make_containerd_backend(Client& client, const Clock& clock) {
  return std::make_unique<ContainerdBackend>(client, clock);
}

}  // namespace wherry::runtime

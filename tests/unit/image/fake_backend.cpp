#include "tests/unit/image/fake_backend.h"

#include <archive.h>
#include <archive_entry.h>

#include "base/digest.h"

namespace wherry::image_test {

using runtime::Blob;
using runtime::BlobWriter;
using runtime::ImageRecord;

namespace {

// Plain, gzip or zstd; nothing where it is none of these.
std::string decompress(const std::string& bytes) {
  archive* reader = archive_read_new();
  archive_read_support_filter_gzip(reader);
  archive_read_support_filter_zstd(reader);
  archive_read_support_format_raw(reader);
  std::string out;
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(reader, bytes.data(), bytes.size()) == ARCHIVE_OK &&
      archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    std::string block(64 << 10, '\0');
    for (la_ssize_t size = 0; (size = archive_read_data(reader, block.data(), block.size())) > 0;) {
      out.append(block, 0, static_cast<size_t>(size));
    }
  }
  archive_read_free(reader);
  return out;
}

}  // namespace

class FakeWriter final : public BlobWriter {
 public:
  FakeWriter(FakeImageBackend& store, std::string ref, runtime::Descriptor blob, std::string lease)
      : store_(store), ref_(std::move(ref)), blob_(std::move(blob)), lease_(std::move(lease)) {}
  ~FakeWriter() override {
    {
      const std::lock_guard lock(store_.mutex);
      store_.writing.erase(ref_);
    }
    store_.written_.notify_all();
  }

  int64_t offset() const override {
    const std::lock_guard lock(store_.mutex);
    return static_cast<int64_t>(store_.ingests[ref_].size());
  }
  Status write(std::string_view bytes) override {
    if (Status entered = store_.enter("write", blob_.digest); !entered) return entered;
    const std::lock_guard lock(store_.mutex);
    store_.largest_write = std::max(store_.largest_write, bytes.size());
    store_.ingests[ref_] += bytes;
    return {};
  }
  Status settle() override { return {}; }
  Status truncate() override {
    const std::lock_guard lock(store_.mutex);
    store_.ingests[ref_].clear();
    return {};
  }
  Status commit(const runtime::StringMap& labels) override {
    if (Status entered = store_.enter("commit", blob_.digest); !entered) return entered;
    const std::lock_guard lock(store_.mutex);
    if (store_.blobs.contains(blob_.digest)) {  // another was quicker; its labels stay
      store_.ingests.erase(ref_);
      if (!lease_.empty()) store_.leases[lease_].insert(blob_.digest);
      return {};
    }
    const std::string& bytes = store_.ingests[ref_];
    if (static_cast<int64_t>(bytes.size()) != blob_.size || sha256_digest(bytes) != blob_.digest) {
      return fail(Code::DataLoss, "unexpected commit digest or size");
    }
    store_.blobs[blob_.digest] = {bytes, labels};
    store_.ingests.erase(ref_);
    if (!lease_.empty()) store_.leases[lease_].insert(blob_.digest);
    return {};
  }

 private:
  FakeImageBackend& store_;
  const std::string ref_;
  const runtime::Descriptor blob_;
  const std::string lease_;
};

Status FakeImageBackend::enter(const std::string& method, const std::string& what) {
  {
    const std::lock_guard lock(mutex);
    ++calls[method];
  }
  return fault ? fault(method, what) : Status();
}

Result<Blob> FakeImageBackend::stat_blob(const std::string& digest) {
  if (Status entered = enter("stat_blob", digest); !entered) return fail(entered.error());
  const std::lock_guard lock(mutex);
  const auto found = blobs.find(digest);
  if (found == blobs.end()) return fail(Code::NotFound, "content " + digest);
  return Blob{digest, static_cast<int64_t>(found->second.bytes.size()), found->second.labels};
}

Result<std::string> FakeImageBackend::read_blob(const std::string& digest, int64_t offset,
                                                int64_t size) {
  if (Status entered = enter("read_blob", digest); !entered) return fail(entered.error());
  const std::lock_guard lock(mutex);
  const auto found = blobs.find(digest);
  if (found == blobs.end() || lost.contains(digest)) {
    return fail(Code::NotFound, "content " + digest);
  }
  return found->second.bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(size));
}

Result<std::unique_ptr<BlobWriter>> FakeImageBackend::open_blob(const std::string& ref,
                                                                const Descriptor& blob,
                                                                const std::string& lease,
                                                                const CancelToken& cancel) {
  if (Status entered = enter("open_blob", blob.digest); !entered) return fail(entered.error());
  if (const auto there = ingested(ref); reading && there.value_or(0) > 0) reading(ref, cancel);
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  std::unique_lock lock(mutex);
  if (!lease.empty() && !leases.contains(lease)) return fail(Code::NotFound, "lease " + lease);
  written_.wait_for(lock, std::chrono::seconds(2),
                    [&] { return blobs.contains(blob.digest) || !writing.contains(ref); });
  if (blobs.contains(blob.digest)) {
    if (!lease.empty()) leases[lease].insert(blob.digest);
    return fail(Code::AlreadyExists, "content " + blob.digest);
  }
  if (!writing.insert(ref).second) return fail(Code::Unavailable, "ref " + ref + " locked");
  return std::make_unique<FakeWriter>(*this, ref, blob, lease);
}

Result<int64_t> FakeImageBackend::ingested(const std::string& ref) {
  const std::lock_guard lock(mutex);
  const auto found = ingests.find(ref);
  return found == ingests.end() ? 0 : static_cast<int64_t>(found->second.size());
}

Status FakeImageBackend::set_blob_labels(const std::string& digest, const StringMap& labels) {
  if (Status entered = enter("set_blob_labels", digest); !entered) return entered;
  const std::lock_guard lock(mutex);
  const auto found = blobs.find(digest);
  if (found == blobs.end()) return fail(Code::NotFound, "content " + digest);
  for (const auto& [key, value] : labels) found->second.labels[key] = value;
  return {};
}

Status FakeImageBackend::remove_blob(const std::string& digest) {
  if (Status entered = enter("remove_blob", digest); !entered) return entered;
  {
    const std::lock_guard lock(mutex);
    blobs.erase(digest);
    lost.erase(digest);
  }
  collect();
  return {};
}

Result<std::vector<ImageRecord>> FakeImageBackend::images() {
  if (Status entered = enter("images", ""); !entered) return fail(entered.error());
  const std::lock_guard lock(mutex);
  std::vector<ImageRecord> all;
  for (const auto& [name, record] : records) all.push_back(record);
  return all;
}

Status FakeImageBackend::put_image(const ImageRecord& image, const std::string&) {
  if (Status entered = enter("put_image", image.name); !entered) return entered;
  const std::lock_guard lock(mutex);
  records[image.name] = image;
  return {};
}

Status FakeImageBackend::remove_image(const std::string& name) {
  if (Status entered = enter("remove_image", name); !entered) return entered;
  const std::lock_guard lock(mutex);
  records.erase(name);
  return {};
}

Result<bool> FakeImageBackend::has_snapshot(const std::string& chain_id) {
  if (Status entered = enter("has_snapshot", chain_id); !entered) return fail(entered.error());
  const std::lock_guard lock(mutex);
  return snapshots.contains(chain_id);
}

Status FakeImageBackend::keep_snapshot(const std::string& chain_id, const CancelToken&) {
  if (Status entered = enter("keep_snapshot", chain_id); !entered) return entered;
  const std::lock_guard lock(mutex);
  if (snapshots.contains(chain_id)) return {};
  return fail(Code::NotFound, "snapshot " + chain_id);
}

Status FakeImageBackend::unpack_layer(const Descriptor& layer, const std::string& parent,
                                      const std::string& chain_id, const std::string& diff_id,
                                      const std::string& lease, CancelToken) {
  if (Status entered = enter("unpack_layer", chain_id); !entered) return entered;
  const std::lock_guard lock(mutex);
  const auto blob = blobs.find(layer.digest);
  if (blob == blobs.end() || lost.contains(layer.digest)) {
    return fail(Code::NotFound, "content " + layer.digest);
  }
  if (!parent.empty() && !snapshots.contains(parent)) {
    return fail(Code::NotFound, "parent snapshot " + parent);
  }
  if (!layer.file.empty()) {
    files[chain_id] = {layer.file, blob->second.bytes};
  } else if (!diff_id.empty() && sha256_digest(decompress(blob->second.bytes)) != diff_id) {
    return fail(Code::DataLoss, "layer is not what its diff id says");
  }
  if (!diff_id.empty()) blob->second.labels[runtime::kUncompressedLabel] = diff_id;
  snapshots[chain_id] = parent;
  if (!lease.empty()) leases[lease].insert(chain_id);
  return {};
}

Status FakeImageBackend::create_lease(const std::string& id, Duration) {
  if (Status entered = enter("create_lease", id); !entered) return entered;
  const std::lock_guard lock(mutex);
  leases.try_emplace(id);
  return {};
}

Result<std::vector<std::string>> FakeImageBackend::list_leases() {
  if (Status entered = enter("list_leases", ""); !entered) return fail(entered.error());
  const std::lock_guard lock(mutex);
  std::vector<std::string> ids;
  for (const auto& [id, held] : leases) ids.push_back(id);
  return ids;
}

Status FakeImageBackend::share_lease(const std::string& from, const std::string& to) {
  if (Status entered = enter("share_lease", from); !entered) return entered;
  const std::lock_guard lock(mutex);
  const auto found = leases.find(from);
  if (found == leases.end()) return {};
  if (!leases.contains(to)) return fail(Code::NotFound, "lease " + to);
  const std::set<std::string> held = found->second;
  leases[to].insert(held.begin(), held.end());
  return {};
}

Status FakeImageBackend::lease_snapshot(const std::string& chain_id, const std::string& lease) {
  if (Status entered = enter("lease_snapshot", chain_id); !entered) return entered;
  const std::lock_guard lock(mutex);
  const auto found = leases.find(lease);
  if (found == leases.end()) return fail(Code::NotFound, "lease " + lease);
  found->second.insert(chain_id);
  return {};
}

Status FakeImageBackend::drop_lease(const std::string& id, bool) {
  if (Status entered = enter("drop_lease", id); !entered) return entered;
  const std::lock_guard lock(mutex);
  leases.erase(id);
  return {};
}

void FakeImageBackend::collect() {
  const std::lock_guard lock(mutex);
  std::set<std::string> reached;
  std::vector<std::string> todo;
  for (const auto& [name, record] : records) todo.push_back(record.target.digest);
  for (const auto& [id, held] : leases) todo.insert(todo.end(), held.begin(), held.end());
  while (!todo.empty()) {
    const std::string id = todo.back();
    todo.pop_back();
    if (!reached.insert(id).second) continue;
    if (const auto snapshot = snapshots.find(id); snapshot != snapshots.end()) {
      todo.push_back(snapshot->second);
    }
    const auto blob = blobs.find(id);
    if (blob == blobs.end()) continue;
    for (const auto& [key, value] : blob->second.labels) {
      if (key.starts_with("containerd.io/gc.ref.")) todo.push_back(value);
    }
  }
  std::erase_if(blobs, [&](const auto& each) { return !reached.contains(each.first); });
  std::erase_if(snapshots, [&](const auto& each) { return !reached.contains(each.first); });
}

}  // namespace wherry::image_test

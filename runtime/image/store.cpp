#include "runtime/image/store.h"

#include <algorithm>

#include "base/digest.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/image/artifact.h"
#include "runtime/image/reference.h"

namespace wherry::runtime {
namespace {

Status write_whole(BlobWriter& writer, std::string_view bytes) {
  constexpr size_t kPiece = 256u << 10;
  if (writer.offset() != 0) {
    if (Status reset = writer.truncate(); !reset) return reset;
  }
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    if (Status written = writer.write(bytes.substr(0, kPiece)); !written) return written;
  }
  return {};
}

// A name that moves on leaves what it meant under its digest.
Status keep_by_digest(ImageBackend& backend, const ImageRecord& old, const std::string& lease) {
  ImageRecord kept{name_by_digest(old), old.target, old.labels, {}, {}};
  if (kept.name.empty()) return {};
  kept.labels.erase(kPreloadLabel);  // they gave the name, which is another's now
  return backend.put_image(kept, lease);
}

// A label is at most 4096 bytes long; archives of long ago need not be known.
std::string with_archive(const std::string& archives, const std::string& next) {
  constexpr size_t kMaxArchives = 32;
  std::vector<std::string> all = split(archives, ',');
  std::erase(all, next);
  all.push_back(next);
  if (all.size() > kMaxArchives) all.erase(all.begin());
  return join(all, ",");
}

}  // namespace

int64_t ImageLayout::size() const {
  int64_t sum = index_size + manifest.size + content.config.size;
  for (const Descriptor& layer : content.layers) sum += layer.size;
  return sum;
}

std::string ingest_name(std::string_view kind, const std::string& digest) {
  return std::string(kind) + "-" + digest;
}

Result<std::string> read_document(ImageBackend& backend, const Descriptor& blob) {
  if (blob.size > kMaxDocument) {
    return fail(Code::InvalidArgument, blob.digest + " is larger than 4 MiB: no document");
  }
  auto bytes = backend.read_blob(blob.digest, 0, blob.size);
  if (!bytes) return fail(bytes.error(), "read " + blob.digest);
  if (sha256_digest(*bytes) != blob.digest) {
    return fail(Code::DataLoss, "the content of " + blob.digest + " in the store is damaged");
  }
  return bytes;
}

namespace {

// A blob that is there comes under the lease.
Status hold_blob(ImageBackend& backend, const std::string& digest, const std::string& lease) {
  const auto blob = backend.stat_blob(digest);
  if (!blob && blob.error().code() == Code::NotFound) return {};
  if (!blob) return fail(blob.error());
  const auto writer =
      backend.open_blob(ingest_name("hold", digest), {"", digest, blob->size}, lease);
  if (!writer && writer.error().code() != Code::AlreadyExists) return fail(writer.error());
  return {};
}

// What hangs on it by its labels must outlast it.
Status remove_damaged(ImageBackend& backend, const std::string& digest, const std::string& lease) {
  const auto damaged = backend.stat_blob(digest);
  if (!damaged) return fail(damaged.error());
  for (const auto& [key, value] : damaged->labels) {
    Status held;
    if (key.starts_with("containerd.io/gc.ref.content.")) held = hold_blob(backend, value, lease);
    if (key.starts_with("containerd.io/gc.ref.snapshot."))
      held = backend.lease_snapshot(value, lease);
    if (!held) return held;
  }
  log_warn("a document in the store is damaged and will be replaced", {{"blob", digest}});
  return backend.remove_blob(digest);
}

// Success also where it is there already, sound or not; true then.
Result<bool> write_document(ImageBackend& backend, std::string_view kind, const Descriptor& blob,
                            std::string_view bytes, const StringMap& labels,
                            const std::string& lease) {
  auto writer = backend.open_blob(ingest_name(kind, blob.digest), blob, lease);
  if (!writer && writer.error().code() == Code::AlreadyExists) return true;
  if (!writer) return fail(writer.error());
  if ((*writer)->offset() == blob.size) {
    // At its end either the store has it, or a writer died before its commit.
    if (const auto there = backend.stat_blob(blob.digest)) return true;
  }
  if (Status written = write_whole(**writer, bytes); !written) return fail(written.error());
  if (Status committed = (*writer)->commit(labels); !committed) return fail(committed.error());
  return false;
}

}  // namespace

Status store_document(ImageBackend& backend, std::string_view kind, const Descriptor& blob,
                      std::string_view bytes, const StringMap& labels, const std::string& lease) {
  auto there = write_document(backend, kind, blob, bytes, labels, lease);
  if (there && *there) {
    const auto local = read_document(backend, blob);
    const Code code = local ? Code::AlreadyExists : local.error().code();
    if (code == Code::DataLoss || code == Code::NotFound) {
      Status removed = remove_damaged(backend, blob.digest, lease);
      if (!removed) return fail(removed.error(), "replace " + blob.digest);
      there = write_document(backend, kind, blob, bytes, labels, lease);
    } else if (!local) {
      return fail(local.error());
    }
  }
  if (!there) return fail(there.error(), "store " + blob.digest);
  // The labels of a commit are lost on a blob that was there before.
  return *there && !labels.empty() ? backend.set_blob_labels(blob.digest, labels) : Status();
}

Status add_rootfs(ImageLayout& layout, std::string_view config_json) {
  if (layout.is_artifact()) {
    layout.chains = artifact_chains(layout.content.layers);
    layout.diff_ids.assign(layout.chains.size(), "");
    return {};
  }
  auto rootfs = parse_rootfs(config_json, "config " + layout.content.config.digest);
  if (!rootfs) return fail(rootfs.error());
  if (rootfs->diff_ids.size() != layout.content.layers.size()) {
    return fail(Code::InvalidArgument,
                "the config lists " + std::to_string(rootfs->diff_ids.size()) +
                    " layers, the manifest " + std::to_string(layout.content.layers.size()));
  }
  layout.diff_ids = std::move(rootfs->diff_ids);
  layout.chains = chain_ids(layout.diff_ids);
  return {};
}

Result<ImageLayout> read_layout(ImageBackend& backend, const Descriptor& target,
                                const Platform& platform) {
  ImageLayout layout;
  layout.target = layout.manifest = target;
  auto bytes = read_document(backend, target);
  if (!bytes) return fail(bytes.error());
  // An index may hold indexes; twice is more than anybody does.
  for (int depth = 0; media::is_index(layout.manifest.media_type); ++depth) {
    if (depth == 2) return fail(Code::InvalidArgument, "indexes within indexes within indexes");
    const auto entries = parse_index(*bytes, "index " + layout.manifest.digest);
    if (!entries) return fail(entries.error());
    auto entry = choose(*entries, platform, "index " + layout.manifest.digest);
    if (!entry) return fail(entry.error());
    layout.index_size += layout.manifest.size;
    layout.manifest = entry->target;
    bytes = read_document(backend, layout.manifest);
    if (!bytes) return fail(bytes.error());
  }
  auto manifest = parse_manifest(*bytes, "manifest " + layout.manifest.digest);
  if (!manifest) return fail(manifest.error());
  layout.content = std::move(*manifest);
  const auto config = read_document(backend, layout.content.config);
  if (!config) return fail(config.error());
  if (Status added = add_rootfs(layout, *config); !added) return fail(added.error());
  return layout;
}

Status check_content(ImageBackend& backend, const ImageLayout& layout) {
  std::vector<const Descriptor*> blobs{&layout.target, &layout.manifest, &layout.content.config};
  for (const Descriptor& layer : layout.content.layers) blobs.push_back(&layer);
  for (const Descriptor* blob : blobs) {
    const auto there = backend.stat_blob(blob->digest);
    if (!there) return fail(there.error(), "content " + blob->digest);
    if (there->size != blob->size) {
      return fail(Code::NotFound, "content " + blob->digest + " has another size in the store");
    }
  }
  return {};
}

Status check_unpacked(ImageBackend& backend, const ImageLayout& layout, const CancelToken& cancel) {
  if (layout.chains.empty()) return {};
  Status kept = backend.keep_snapshot(layout.top_chain(), cancel);
  if (kept || kept.error().code() != Code::NotFound) return kept;
  return fail(Code::NotFound,
              "the image is not unpacked: snapshot " + layout.top_chain() + " is missing");
}

std::string name_by_digest(const ImageRecord& record) {
  auto reference = parse_reference(record.name);
  if (!reference || !reference->digest.empty()) return {};
  reference->digest = record.target.digest;
  return reference->name();
}

bool is_preloaded(const ImageRecord& record) {
  const auto target = record.labels.find(kPreloadTargetLabel);
  return target != record.labels.end() && target->second == record.target.digest;
}

bool is_imported(const ImageRecord& record) {
  return record.labels.contains(kImportedLabel) || !record.labels.contains(kPulledLabel);
}

Status record_image(ImageBackend& backend, const std::string& name, const Descriptor& target,
                    const StringMap& labels, const std::string& lease) {
  if (Status reached = failpoint("image.record"); !reached) return reached;
  auto records = backend.images();
  if (!records) return fail(records.error());
  ImageRecord record{name, target, {}, {}, {}};
  for (const ImageRecord& each : *records) {
    if (each.name != name) continue;
    if (each.target.digest == target.digest) {
      record.labels = each.labels;
    } else {
      if (Status kept = keep_by_digest(backend, each, lease); !kept) return kept;
      const auto archives = each.labels.find(kPreloadLabel);
      if (archives != each.labels.end()) record.labels.insert(*archives);
    }
  }
  for (const auto& [key, value] : labels) {
    std::string& label = record.labels[key];
    label = key == kPreloadLabel ? with_archive(label, value) : value;
  }
  if (labels.contains(kPreloadLabel)) record.labels[kPreloadTargetLabel] = target.digest;
  return backend.put_image(record, lease);
}

Gate::Pass::~Pass() {
  if (gate_ != nullptr) gate_->leave(name_);
}

Result<Gate::Pass> Gate::enter(const std::string& name, const CancelToken& cancel) {
  // Goes after the lock does: whoever cancels may be waiting for it.
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !busy_.contains(name) || cancel.cancelled(); });
  if (busy_.contains(name)) return fail(Code::Cancelled, "cancelled");
  busy_.insert(name);
  return Pass(*this, name);
}

void Gate::leave(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    busy_.erase(name);
  }
  changed_.notify_all();
}

namespace {

// False where it is not there.
Result<bool> hold_snapshot(ImageBackend& backend, const std::string& chain,
                           const std::string& lease) {
  auto there = backend.has_snapshot(chain);
  if (!there || !*there) return there;
  if (Status held = backend.lease_snapshot(chain, lease); !held) return fail(held.error());
  return backend.has_snapshot(chain);  // it may have gone before
}

}  // namespace

Result<size_t> hold_unpacked(ImageBackend& backend, const ImageLayout& layout,
                             const std::string& lease) {
  for (size_t count = layout.chains.size(); count > 0; --count) {
    const auto there = hold_snapshot(backend, layout.chains[count - 1], lease);
    if (!there) return fail(there.error());
    if (*there) return count;
  }
  return size_t{0};
}

namespace {

// Of an error in reading a blob that there is a record of: its file is gone, too short or on a bad
// spot of the disk. Others (too many open files, say) tell nothing of the blob.
bool says_damaged(const Error& error) {
  const Code code = error.code();
  return code == Code::NotFound || code == Code::FailedPrecondition || code == Code::DataLoss ||
         error.message().find("input/output error") != std::string::npos;
}

// Whether its bytes are what the store says it has. An error where that cannot be told now.
Result<bool> is_sound(ImageBackend& backend, const Descriptor& blob, const CancelToken& cancel) {
  constexpr int64_t kPiece = 1 << 20;
  Sha256 sha;
  for (int64_t at = 0; at < blob.size;) {
    if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    const auto bytes = backend.read_blob(blob.digest, at, std::min(kPiece, blob.size - at));
    if (!bytes && !says_damaged(bytes.error())) return fail(bytes.error());
    if (!bytes || bytes->empty()) return false;
    sha.update(*bytes);
    at += static_cast<int64_t>(bytes->size());
  }
  return "sha256:" + sha.finish_hex() == blob.digest;
}

// Containerd syncs a blob before it renames it, and not the directory: after a power cut its books
// may have one whose file is gone. It would be neither fetched nor unpacked, for ever.
Status blame_content(ImageBackend& backend, const Descriptor& layer, const Error& error,
                     const CancelToken& cancel) {
  const Code code = error.code();
  if (code != Code::NotFound && code != Code::DataLoss && code != Code::Internal) {
    return fail(error);
  }
  const auto sound = is_sound(backend, layer, cancel);
  if (!sound || *sound || !backend.stat_blob(layer.digest)) return fail(error);
  log_warn("a layer in the store is damaged and will be fetched again",
           {{"blob", layer.digest}, {"error", error.full()}});
  if (Status removed = backend.remove_blob(layer.digest); !removed) return removed;
  return fail(Code::Unavailable,
              "the content of " + layer.digest + " in the store was damaged, and is removed",
              kContentDamaged);
}

}  // namespace

Status unpack_one(ImageBackend& backend, Gate& chains, const ImageLayout& layout, size_t index,
                  const std::string& lease, const CancelToken& cancel) {
  const std::string& chain = layout.chains[index];
  const Descriptor& layer = layout.content.layers[index];
  const auto pass = chains.enter(chain, cancel);
  if (!pass) return fail(pass.error());
  if (Status reached = failpoint("image.unpack"); !reached) return reached;
  const auto there = hold_snapshot(backend, chain, lease);
  if (!there) return fail(there.error());
  if (*there) {
    // It may have been unpacked from another blob.
    if (layout.is_artifact()) return {};
    return backend.set_blob_labels(layer.digest, {{kUncompressedLabel, layout.diff_ids[index]}});
  }
  Status unpacked = backend.unpack_layer(layer, index == 0 ? "" : layout.chains[index - 1], chain,
                                         layout.diff_ids[index], lease, cancel);
  if (!unpacked) unpacked = blame_content(backend, layer, unpacked.error(), cancel);
  if (unpacked) return {};
  return fail(unpacked.error(), "unpack layer " + std::to_string(index + 1) + " of " +
                                    std::to_string(layout.chains.size()));
}

}  // namespace wherry::runtime

#include "runtime/image/import.h"

#include <algorithm>
#include <functional>

#include "base/digest.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/image/import_plan.h"

namespace wherry::runtime {
namespace {

// What the steps of one import have in common.
struct Work {
  ImageBackend& backend;
  Gate& layers;
  Gate& chains;
  Gate& names;
  std::function<std::string()> lease;  // the one to work under now; may change under way
  const CancelToken& cancel;
};

// One file of the archive into the store, unless it is there. The ingest is not the one of a pull:
// that may be writing into it, or have left there what it will continue.
Status store_layer(const Work& work, const Descriptor& layer, const ArchiveEntry& entry,
                   const ChunkReader& next) {
  const std::string name = printable(entry.name);
  if (entry.size != layer.size) {
    return fail(Code::DataLoss, name + " has " + std::to_string(entry.size) +
                                    " bytes, the manifest says " + std::to_string(layer.size));
  }
  if (Status reached = failpoint("image.import-layer"); !reached) return reached;
  const auto pass = work.layers.enter(layer.digest, work.cancel);
  if (!pass) return fail(pass.error());
  auto writer =
      work.backend.open_blob(ingest_name("import", layer.digest), layer, work.lease(), work.cancel);
  if (!writer && writer.error().code() == Code::AlreadyExists) return {};
  if (!writer) return fail(writer.error(), name);
  if ((*writer)->offset() != 0) {
    if (Status reset = (*writer)->truncate(); !reset) return reset;
  }
  Sha256 hash;
  while (true) {
    const auto bytes = next();
    if (!bytes) return fail(bytes.error(), name);
    if (bytes->empty()) break;
    hash.update(*bytes);
    if (Status written = (*writer)->write(*bytes); !written) return fail(written.error(), name);
  }
  if ("sha256:" + hash.finish_hex() != layer.digest) {
    static_cast<void>((*writer)->truncate());
    return fail(Code::DataLoss, name + " does not match the digest " + layer.digest);
  }
  Status committed = (*writer)->commit({});
  if (!committed) return fail(committed.error(), name);
  return {};
}

Status store_layers(const Work& work, ImageArchive& archive, const ImportPlan& plan) {
  if (plan.layers().empty()) return {};
  return archive.each(
      [&](const ArchiveEntry& entry, const ChunkReader& next) -> Status {
        const auto wanted = plan.layers().find(entry.name);
        if (wanted == plan.layers().end() || entry.is_link) return {};
        return store_layer(work, wanted->second, entry, next);
      },
      work.cancel);
}

Status store_image(const Work& work, PlannedImage& image) {
  ImageBackend& backend = work.backend;
  for (const PlannedDocument& each : image.documents) {
    Status stored =
        store_document(backend, each.kind, each.blob, each.bytes, each.labels, work.lease());
    if (!stored) return stored;
  }
  image.documents.clear();
  const auto unpacked = hold_unpacked(backend, image.layout, work.lease());
  if (!unpacked) return fail(unpacked.error());
  for (size_t i = *unpacked; i < image.layout.chains.size(); ++i) {
    Status done = unpack_one(backend, work.chains, image.layout, i, work.lease(), work.cancel);
    if (!done) return done;
  }
  if (Status whole = check_content(backend, image.layout); !whole) return whole;
  return check_unpacked(backend, image.layout, work.cancel);
}

// Back to how the record was.
void undo_record(const Work& work, const std::string& name,
                 const std::vector<ImageRecord>& before) {
  const auto find = [&](const std::string& wanted) {
    return std::find_if(before.begin(), before.end(),
                        [&](const ImageRecord& each) { return each.name == wanted; });
  };
  const auto old = find(name);
  Status undone = old == before.end() ? work.backend.remove_image(name)
                                      : work.backend.put_image(*old, work.lease());
  const std::string kept = old == before.end() ? "" : name_by_digest(*old);
  if (undone && !kept.empty() && find(kept) == before.end()) {
    undone = work.backend.remove_image(kept);
  }
  if (undone) return;
  log_warn("an image of an import that failed stays recorded",
           {{"image", name}, {"error", undone.error().full()}});
}

Status record_one(const Work& work, const std::string& name, const Descriptor& target,
                  const StringMap& labels) {
  const auto pass = work.names.enter(name, work.cancel);
  if (!pass) return fail(pass.error());
  return record_image(work.backend, name, target, labels, work.lease());
}

// All of them or none.
Result<std::vector<ImportedImage>> record_all(const Work& work,
                                              const std::vector<PlannedImage>& images,
                                              const StringMap& labels) {
  const auto before = work.backend.images();
  if (!before) return fail(before.error());
  std::vector<ImportedImage> imported;
  for (const PlannedImage& image : images) {
    for (const std::string& name : image.names) {
      Status recorded = record_one(work, name, image.layout.target, labels);
      if (!recorded) {
        for (const ImportedImage& each : imported) undo_record(work, each.name, *before);
        return fail(recorded.error());
      }
      imported.push_back({name, image.layout});
    }
  }
  return imported;
}

// Of all images of an archive together.
Status check_space(SpaceCheck* space, const CancelToken& cancel, const std::string& path,
                   const std::vector<PlannedImage>& images) {
  if (space == nullptr) return {};
  ImageLayout all;
  for (const PlannedImage& image : images) {
    const auto& layers = image.layout.content.layers;
    all.content.layers.insert(all.content.layers.end(), layers.begin(), layers.end());
    all.chains.insert(all.chains.end(), image.layout.chains.begin(), image.layout.chains.end());
  }
  return space->before_fetch("in " + path, all, cancel);
}

}  // namespace

Importer::Importer(ImageBackend& backend, std::string snapshotter, Platform platform,
                   PullLeases& leases, SpaceCheck* space, Gate* names)
    : backend_(backend),
      snapshotter_(std::move(snapshotter)),
      platform_(std::move(platform)),
      leases_(leases),
      space_(space),
      names_(names != nullptr ? *names : own_names_) {}

Result<std::vector<ImportedImage>> Importer::import(const std::string& path,
                                                    const StringMap& labels,
                                                    const CancelToken& cancel) {
  auto archive = open_archive(path);
  if (!archive) return fail(archive.error());
  auto index = ArchiveIndex::scan(**archive, cancel);
  if (!index) return fail(index.error());
  ImportPlan plan(backend_, *index, path, platform_, snapshotter_, cancel);
  if (Status made = plan.make(); !made) return fail(made.error(), path);
  if (Status fits = check_space(space_, cancel, path, plan.images()); !fits)
    return fail(fits.error());

  const std::string name = "import " + random_hex(16);  // each import has a lease of its own
  if (const auto lease = leases_.take(name); !lease) return fail(lease.error());
  const Work work{backend_, layers_, chains_, names_, [&] { return leases_.current(name); },
                  cancel};
  Status outcome = failpoint("image.import");
  if (outcome) outcome = store_layers(work, **archive, plan);
  for (PlannedImage& image : plan.images()) {
    if (outcome) outcome = store_image(work, image);
  }
  Result<std::vector<ImportedImage>> imported;
  if (outcome) imported = record_all(work, plan.images(), labels);
  if (!imported) outcome = fail(imported.error());
  leases_.end(name, outcome);
  if (!outcome) return fail(outcome.error(), path);
  return imported;
}

}  // namespace wherry::runtime

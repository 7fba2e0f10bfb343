#pragma once
// What the image room needs from a container stack: content, image records, snapshots, leases.
// Owned here, implemented by runtime/containerd (and by a fake in the tests). Plain types only.
// Thread-safe; every call blocks and has its own deadline.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

using StringMap = std::map<std::string, std::string>;

// OCI content descriptor (image-spec, descriptor.md).
struct Descriptor {
  std::string media_type;
  std::string digest;
  int64_t size = 0;
  std::string file{};  // of an artifact's blob: the path it becomes; empty: a layer to unpack
};

struct Blob {
  std::string digest;
  int64_t size = 0;
  StringMap labels;
};

// One blob on its way into the store. Dropping it keeps what was written for a later resume.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual int64_t offset() const = 0;  // bytes already handed to the store: continue here
  // The store may still be at work on the end of it; what went wrong with that is told by the next
  // call. Who drops the writer may lose it.
  virtual Status write(std::string_view bytes) = 0;
  virtual Status settle() = 0;    // until all that was written is in the store
  virtual Status truncate() = 0;  // start over from byte 0
  // Verified by the store against the digest and size given to open_blob; DataLoss when they
  // differ. A blob that meanwhile exists counts as success.
  virtual Status commit(const StringMap& labels) = 0;
};

struct ImageRecord {
  std::string name;
  Descriptor target;
  StringMap labels;
  WallTime created_at{};
  WallTime updated_at{};
};

// On the blob of a layer: the diff id that it unpacks to. As containerd's own unpacker notes it;
// "ctr image export" and "diff" read it.
inline constexpr const char* kUncompressedLabel = "containerd.io/uncompressed";

// The reason of an error of the store's whose cause is that its own disk is full.
inline constexpr const char* kDiskFull = "DiskFull";

class ImageBackend {
 public:
  virtual ~ImageBackend() = default;

  // --- content
  virtual Result<Blob> stat_blob(const std::string& digest) = 0;  // NotFound
  virtual Result<std::string> read_blob(const std::string& digest, int64_t offset,
                                        int64_t size) = 0;
  // `ref` names the ingest: the same name after a crash continues it. One writer at a time has it;
  // others wait two seconds and get Unavailable. `lease` may be empty. A blob that exists comes
  // under the lease and gives AlreadyExists, or a writer at its end that does nothing more: the
  // labels of its commit are lost. The store reads and hashes what an ingest holds before it gives
  // a writer for it, which takes minutes with gigabytes on a slow card, and may make others wait
  // meanwhile. `cancel` ends the wait at once, though not what the store does.
  virtual Result<std::unique_ptr<BlobWriter>> open_blob(const std::string& ref,
                                                        const Descriptor& blob,
                                                        const std::string& lease,
                                                        const CancelToken& cancel = {}) = 0;
  // Bytes that an ingest holds; 0 where there is none. Answered at once.
  virtual Result<int64_t> ingested(const std::string& ref) = 0;
  virtual Status set_blob_labels(const std::string& digest, const StringMap& labels) = 0;  // merged
  // Waits until its bytes are gone, and with them what only its labels kept. Missing: success.
  virtual Status remove_blob(const std::string& digest) = 0;

  // --- images
  virtual Result<std::vector<ImageRecord>> images() = 0;
  // Creates or updates; containerd.io/gc.ref labels on its content keep children alive.
  virtual Status put_image(const ImageRecord& image, const std::string& lease) = 0;
  virtual Status remove_image(const std::string& name) = 0;  // success when missing

  // --- snapshots of layers, by chain id (image-spec, config.md#layer-chainid)
  // One that can be built upon; of those that were unpacked by us, one that a power cut may still
  // take counts as long as nothing of it is lost.
  virtual Result<bool> has_snapshot(const std::string& chain_id) = 0;
  // Applies one layer blob over `parent` ("" for the first) and commits it as `chain_id`. The diff
  // service verifies `diff_id`, unless it is empty; DataLoss where it differs. A blob with a path
  // is written as that file, root's and readable for all, and checked against its digest on the
  // way. Idempotent; a half-made one is redone, and so is one that may not have reached the disk.
  // By one thread at a time for one chain. Notes the diff id on the blob, at the latest when
  // keep_snapshot() returns.
  virtual Status unpack_layer(const Descriptor& layer, const std::string& parent,
                              const std::string& chain_id, const std::string& diff_id,
                              const std::string& lease, CancelToken cancel) = 0;
  // Waits until the snapshot, with those below it, is on the disk and outlives a power cut. One
  // call where it is already. NotFound where has_snapshot() would not find it. Where it does not
  // reach the disk, what of it may be lost is removed: ResourceExhausted, DataLoss.
  virtual Status keep_snapshot(const std::string& chain_id, const CancelToken& cancel = {}) = 0;

  // --- leases: what is made under one survives garbage collection until it is dropped or expires
  virtual Status create_lease(const std::string& id, Duration expires_in) = 0;  // exists: success
  // Missing: success. `collect` waits until what only it held is gone.
  virtual Status drop_lease(const std::string& id, bool collect = false) = 0;
  virtual Result<std::vector<std::string>> list_leases() = 0;  // ids of all, also of others
  // `to` holds from now on what `from` holds, but for half-made snapshots. Missing `from`: success.
  virtual Status share_lease(const std::string& from, const std::string& to) = 0;
  // The snapshot, and with it those below it, come under the lease. Whether it is still there has
  // to be asked afterwards.
  virtual Status lease_snapshot(const std::string& chain_id, const std::string& lease) = 0;
};

}  // namespace wherry::runtime

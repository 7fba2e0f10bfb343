#pragma once
// An image store in memory that behaves as containerd does where it matters to us: blobs are
// verified at commit, ingests outlive their writer and have one at a time, a writer for a blob that
// exists is refused with AlreadyExists, and collect() takes what no record and no lease reaches.

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "runtime/image/backend.h"

namespace wherry::image_test {

class FakeImageBackend final : public runtime::ImageBackend {
 public:
  using StringMap = runtime::StringMap;
  using Descriptor = runtime::Descriptor;

  Result<runtime::Blob> stat_blob(const std::string& digest) override;
  Result<std::string> read_blob(const std::string& digest, int64_t offset, int64_t size) override;
  Result<std::unique_ptr<runtime::BlobWriter>> open_blob(const std::string& ref,
                                                         const Descriptor& blob,
                                                         const std::string& lease,
                                                         const CancelToken& cancel = {}) override;
  Result<int64_t> ingested(const std::string& ref) override;
  Status set_blob_labels(const std::string& digest, const StringMap& labels) override;
  Status remove_blob(const std::string& digest) override;
  Result<std::vector<runtime::ImageRecord>> images() override;
  Status put_image(const runtime::ImageRecord& image, const std::string& lease) override;
  Status remove_image(const std::string& name) override;
  Result<bool> has_snapshot(const std::string& chain_id) override;
  Status keep_snapshot(const std::string& chain_id, const CancelToken& cancel) override;
  Status unpack_layer(const Descriptor& layer, const std::string& parent,
                      const std::string& chain_id, const std::string& diff_id,
                      const std::string& lease, CancelToken cancel) override;
  Status create_lease(const std::string& id, Duration expires_in) override;
  Status drop_lease(const std::string& id, bool collect) override;
  Result<std::vector<std::string>> list_leases() override;
  Status share_lease(const std::string& from, const std::string& to) override;
  Status lease_snapshot(const std::string& chain_id, const std::string& lease) override;

  // What containerd's collector would take now.
  void collect();

  struct StoredBlob {
    std::string bytes;
    StringMap labels;
  };
  // All guarded by `mutex`; tests may look when nothing runs.
  std::mutex mutex;
  std::map<std::string, StoredBlob> blobs;
  std::set<std::string> lost;                    // blobs of which only the store's record is left
  std::map<std::string, std::string> ingests;    // by ref
  std::set<std::string> writing;                 // refs of those that have a writer
  std::map<std::string, std::string> snapshots;  // chain id -> parent
  std::map<std::string, std::pair<std::string, std::string>> files;  // chain id -> path, content
  std::map<std::string, runtime::ImageRecord> records;
  std::map<std::string, std::set<std::string>> leases;  // what each holds: digests, chain ids
  std::map<std::string, int> calls;                     // by method name
  size_t largest_write = 0;
  // Before an ingest is opened that holds something: the store reads it.
  std::function<void(const std::string& ref, const CancelToken& cancel)> reading;
  // Asked before every change; an error is returned instead of doing it.
  std::function<Status(const std::string& method, const std::string& what)> fault;

 private:
  friend class FakeWriter;
  std::condition_variable written_;
  Status enter(const std::string& method, const std::string& what);
};

}  // namespace wherry::image_test

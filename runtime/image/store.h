#pragma once
// What pulling and importing share: documents into the store, layers out of it, the picture of an
// image that is there.

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/backend.h"
#include "runtime/image/manifest.h"
#include "runtime/types.h"

namespace wherry::runtime {

// An image for one platform, or an artifact, as its documents describe it.
struct ImageLayout {
  Descriptor target;    // what the record names: an index or the manifest
  Descriptor manifest;  // equals target without an index
  Manifest content;
  std::vector<std::string> diff_ids;  // of an artifact empty: not known
  std::vector<std::string> chains;    // as many as layers, bottom first
  int64_t index_size = 0;             // 0 without an index

  int64_t size() const;  // bytes of content for this platform
  std::string top_chain() const { return chains.empty() ? std::string() : chains.back(); }
  bool is_artifact() const { return !content.artifact.empty(); }
  // The document whose label keeps the snapshots. An artifact's config is often the empty one,
  // which it shares with others.
  const Descriptor& keeper() const { return is_artifact() ? manifest : content.config; }
};

// A whole blob of at most kMaxDocument bytes, checked against its digest. NotFound, DataLoss,
// InvalidArgument where it is too large for a document.
Result<std::string> read_document(ImageBackend& backend, const Descriptor& blob);

// Puts a document that was verified already into the store, under the lease; success when it is
// there and sound, and what is damaged there is replaced. `kind` begins the name of the ingest:
// "manifest", "config", …
Status store_document(ImageBackend& backend, std::string_view kind, const Descriptor& blob,
                      std::string_view bytes, const StringMap& labels, const std::string& lease);

// The name of a blob's ingest, the same as containerd's own client gives it.
std::string ingest_name(std::string_view kind, const std::string& digest);

// Checks that config and manifest belong together and fills in diff ids and chains. Those of an
// artifact come of its manifest; its config means nothing to us.
Status add_rootfs(ImageLayout& layout, std::string_view config_json);

// From the documents in the store; NotFound where one is missing. Layers are not looked at.
Result<ImageLayout> read_layout(ImageBackend& backend, const Descriptor& target,
                                const Platform& platform);

// Are all blobs there, and is it unpacked? NotFound names what is missing. The latter waits until
// what is unpacked outlives a power cut.
Status check_content(ImageBackend& backend, const ImageLayout& layout);
Status check_unpacked(ImageBackend& backend, const ImageLayout& layout,
                      const CancelToken& cancel = {});

// How an image came here, on its record.
inline constexpr const char* kPulledLabel = "wherry/pulled";
inline constexpr const char* kImportedLabel = "wherry/imported";
// The archives of the preload directory that ever gave this name, the latest last (preload.cpp).
inline constexpr const char* kPreloadLabel = "wherry/preload";
// The target that the latest of them gave.
inline constexpr const char* kPreloadTargetLabel = "wherry/preload-target";

bool is_preloaded(const ImageRecord& record);
// Also what somebody else put into our namespace: it is not known where it could be had again.
bool is_imported(const ImageRecord& record);

// The name under which an image stays when another takes its own; empty where it has that already.
std::string name_by_digest(const ImageRecord& record);

// Creates or updates the record and adds `labels`. Where the name meant another image, that one
// stays under its digest, for the collector takes what no record names: it may be running, or the
// version to go back to. When it is not needed any more it is pruned like any other.
Status record_image(ImageBackend& backend, const std::string& name, const Descriptor& target,
                    const StringMap& labels, const std::string& lease);

// Lets one thread at a time work on a thing (a blob, a chain), others wait. Thread-safe.
class Gate {
 public:
  class Pass {
   public:
    Pass(Gate& gate, std::string name) : gate_(&gate), name_(std::move(name)) {}
    Pass(Pass&& other) noexcept : gate_(other.gate_), name_(std::move(other.name_)) {
      other.gate_ = nullptr;
    }
    Pass& operator=(Pass&&) = delete;
    ~Pass();

   private:
    Gate* gate_;
    std::string name_;
  };
  Result<Pass> enter(const std::string& name, const CancelToken& cancel);

 private:
  void leave(const std::string& name);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> busy_;
};

// The reason of an error where content turned out to be damaged and was removed: the next attempt
// brings it again.
inline constexpr const char* kContentDamaged = "ContentDamaged";
// Brings an image until none of its content was damaged: what was is gone, and what came in its
// place was verified. `bring` gives a Result.
template <typename Bring>
auto bring_damaged(const Bring& bring) {
  constexpr int kMostDamaged = 32;  // of one image, one after the other
  auto brought = bring();
  for (int left = kMostDamaged; left > 0 && !brought; --left) {
    if (brought.error().reason() != kContentDamaged) break;
    brought = bring();
  }
  return brought;
}

// Unpacks layer `index`, unless its snapshot is there; layers below must be unpacked.
Status unpack_one(ImageBackend& backend, Gate& chains, const ImageLayout& layout, size_t index,
                  const std::string& lease, const CancelToken& cancel);
// How many layers, from the bottom, need no unpacking. From then on they stay, also when the image
// that they came with is removed meanwhile.
Result<size_t> hold_unpacked(ImageBackend& backend, const ImageLayout& layout,
                             const std::string& lease);

}  // namespace wherry::runtime

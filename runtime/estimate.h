#pragma once
// What pulls would bring, before they are begun.

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

// Of one image, beside those before it: what they share is counted once. Bytes.
struct ImageEstimate {
  std::string reference;       // as asked for
  std::string name, digest;    // as the registry has it now: see Image
  int64_t download_bytes = 0;  // not in the store yet
  int64_t disk_bytes = 0;      // what it will take more, about: compressed and unpacked
  std::optional<Error> error;  // it could not be looked at, with the reasons of a pull
};

// A filesystem that the images of the estimate go to. Bytes.
struct DiskEstimate {
  std::string path;
  std::string holds;  // "containerd's content and snapshots"
  int64_t needed = 0, free = 0;
  int64_t reserved = 0;   // is kept free
  int64_t removable = 0;  // what images take that nobody needs, and that would be removed for it
  bool fits() const { return needed == 0 || free + removable - reserved >= needed; }
};

struct StoreEstimate {
  std::vector<ImageEstimate> images;  // in the order asked for
  std::vector<DiskEstimate> disks;    // empty where they are not known
};

// Thread-safe.
class Estimates {
 public:
  virtual ~Estimates() = default;
  // Asks the registries for documents, never for layers; stores nothing. Blocks for seconds where
  // they do not answer, until the cancel. Unavailable where the container stack is away.
  virtual Result<StoreEstimate> estimate(const std::vector<PullRequest>& wanted,
                                         CancelToken cancel) = 0;
};

}  // namespace wherry::runtime

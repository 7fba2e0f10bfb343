#pragma once
// One blob as one file, in a snapshot that is being made.

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/containerd/client.h"

namespace wherry::runtime {

// Where what is written into a prepared snapshot ends up: the upper directory of an overlay, the
// source of a bind mount. FailedPrecondition for other mounts (block devices).
Result<std::string> writable_directory(const std::vector<Mount>& mounts);

// Gives `size` bytes of the blob from `offset`.
using BlobReader = std::function<Result<std::string>(int64_t offset, int64_t size)>;

// Writes `blob` as blob.file below `directory`, with the directories it needs, root's and readable
// for all. Follows no link. DataLoss where the bytes do not match the digest, Cancelled,
// ResourceExhausted where the disk is full.
Status write_file_layer(const std::string& directory, const Descriptor& blob,
                        const BlobReader& read, const CancelToken& cancel);

}  // namespace wherry::runtime

#pragma once
// The files of a configMap, secret, projected or downwardAPI volume, laid out as Kubernetes does:
//
//   config.yaml -> ..data/config.yaml
//   ..data      -> ..2026_11_24_20_31_27.1f0c9a
//   ..2026_11_24_20_31_27.1f0c9a/config.yaml
//
// A change writes a new directory and renames ..data: whoever looks sees all of the old files or
// all of the new ones, and may watch ..data.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// Makes `directory`, which exists, show exactly `files` (sorted by path). Writes nothing where it
// does so already. After a crash at any step the same call completes it. Not synced: what a power
// cut tears is found by its content and written again. `group`: owns the files and may read them.
Status write_volume_files(const std::string& directory, const std::vector<VolumeFile>& files,
                          std::optional<int64_t> group, WallTime now);

}  // namespace wherry::runtime

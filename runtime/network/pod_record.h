#pragma once
// What is known of one Pod's attachment, kept in run_dir/cni/<pod>.json: written before ADD with
// all that DEL will need, and again with the result. Not synced, as no namespace survives a
// power cut either.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/network/cni_plugins.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct PodRecord {
  std::string container_id;
  std::string netns;
  std::string list;  // the network list at the time, which may have changed since
  std::vector<PortMapping> ports;
  std::string result;  // empty: ADD did not end
  std::string ip;
};

// What a crash leaves beside a file that was being written.
inline constexpr const char* kUnfinishedSuffix = ".tmp";
// Replaces atomically.
Status write_volatile(const std::string& path, const std::string& text);

Status write_record(const std::string& path, const PodRecord& record);
// NotFound; DataLoss for what is no record.
Result<PodRecord> read_record(const std::string& path);

}  // namespace wherry::runtime

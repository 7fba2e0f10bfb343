#pragma once
// What SQLite does not say when it opens a database: how much of its write-ahead log it reads.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace wherry::sqlite {

// A log begins anew, with other salts, once all of it has been written back.
inline constexpr size_t kLogSalts = 8, kLogSaltsAt = 16;

struct LogEnd {
  std::string salts;    // kLogSalts bytes, as they stand in its header
  uint64_t frames = 0;  // that count: up to the last commit before the first that does not fit
};

// Of the log beside the closed database at `path`. SQLite takes what lies behind a frame whose
// checksum does not fit for remains of an earlier log, and so does this: whether commits are
// missing tells only who knows how many frames had been synced. Nothing where there is no log, or
// an empty one; DataLoss where its header is damaged, of which SQLite reads nothing.
// The layout: https://sqlite.org/fileformat2.html, "The Write-Ahead Log".
Result<std::optional<LogEnd>> read_log(const std::string& path);

}  // namespace wherry::sqlite

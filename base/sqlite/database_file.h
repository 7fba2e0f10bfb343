#pragma once
// A database's file: opened, known to be ours, brought to the latest schema, and set aside when it
// is damaged.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/sqlite/sqlite.h"

namespace wherry::sqlite {

struct Schema {
  int64_t application_id = 0;   // SQLite's own mark of whose file it is
  std::string_view connection;  // what every connection is set to
  // In order. Each runs in one transaction with the change of user_version.
  std::span<const std::string_view> migrations;
  // Reads every page at the start. Without it damage shows when it is met.
  bool check_whole = true;
};

// Opens or creates (0600, missing directories 0700), sets up the connection, checks, migrates.
// Errors: DataLoss where the file is damaged (set it aside), FailedPrecondition where it is another
// program's or a newer version's, Unavailable where another process holds it, ResourceExhausted,
// PermissionDenied.
Result<Database> open_file(const std::string& path, const Schema& schema, Duration busy_timeout);

// <path>.corrupt-<time>: where a damaged database goes.
std::string aside_path(const std::string& path, WallTime now);
// Renames the closed database and its log. `log_first`: a crash in between leaves the database
// without its log, which is then opened as it was before; else the log without its database, which
// is not opened but found to be damaged.
Status set_aside(const std::string& path, const std::string& aside, bool log_first);
// Removes all but the newest two of those set aside, and syncs the directory.
Status forget_old_asides(const std::string& path);

Status rename_file(const std::string& from, const std::string& to);  // NotFound, Internal
bool has_content(const std::string& path);                           // it is there and not empty
// The file, its log and its shared memory.
void remove_files(const std::string& path);

}  // namespace wherry::sqlite

#pragma once
// What SQLite does not say when it opens a database: that its write-ahead log has lost commits.

#include <string>

namespace wherry::sqlite {

// Whether the log beside the closed database at `path` has commits that SQLite will pass over. It
// reads a log up to the first frame whose checksum does not fit and takes what follows for remains
// of an earlier log. False where there is no log, and for one that ends in half a commit, as a kill
// leaves it, or in one of which frames are missing, as a power cut does: until they are synced they
// reach the disk in any order. A log that was cut right behind a frame looks whole.
// The layout: https://sqlite.org/fileformat2.html, "The Write-Ahead Log".
bool log_is_broken(const std::string& path);

// Cuts off what a failed write, for want of room, left of half a frame at the log's end: SQLite
// writes over it some day, but after a kill it would look like a log that was cut. Not while
// anybody else writes to the database at `path`.
void trim_log(const std::string& path);

}  // namespace wherry::sqlite

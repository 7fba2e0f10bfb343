#pragma once
// The few file operations that every room needs, done so that a power cut leaves old or new.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace wherry {

// The whole file; FailedPrecondition when it is larger than `max_bytes`, or a pipe or socket, whose
// end nobody knows: it never waits.
Result<std::string> read_file(const std::string& path, size_t max_bytes = 16u << 20);
// The same, but waits for the end of a pipe. For a person's programs.
Result<std::string> read_file_or_pipe(const std::string& path, size_t max_bytes = 16u << 20);
// Write to a temporary file beside it, fsync, rename, fsync the directory. Replaces atomically.
Status write_file_atomic(const std::string& path, std::string_view bytes, unsigned mode = 0644);
// So that names made or moved in it are not lost at a power cut.
Status sync_directory(const std::string& path);
// mkdir -p; existing directories are kept as they are.
Status make_directories(const std::string& path, unsigned mode = 0755);
// rm -rf that does not follow symbolic links, refuses to enter anything mounted (bind mounts of the
// same file system too), is safe for any depth, and counts a missing path as success.
Status remove_tree(const std::string& path);

}  // namespace wherry

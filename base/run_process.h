#pragma once
// Runs a short-lived helper program to its end.

#include <cstdint>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry {

struct ProcessCall {
  std::string program;            // a path, or a name searched for in kHelperPath
  std::vector<std::string> args;  // without argv[0]
  std::vector<std::string> env;   // NAME=value; PATH is added
  std::string input;
  Duration deadline = std::chrono::seconds(30);
  // Handed down as descriptor 3, so that a lock on it is held until the program and all its
  // children are gone, whatever becomes of us. -1: none.
  int held_fd = -1;
  // Bytes it may write to its output, or to any file: past that SIGXFSZ ends it. 0: no limit.
  uint64_t max_written = 0;
};

struct ProcessResult {
  int exit_code = 0;   // 128 + signal where one ended it
  std::string output;  // at most 1 MiB
  std::string errors;  // at most 4 KiB
};

inline constexpr const char* kHelperPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// As exec(3) takes arguments and environments: a null pointer at the end. Points into `texts`.
std::vector<char*> pointers(std::vector<std::string>& texts);

// NotFound where the program does not exist; DeadlineExceeded or Cancelled after killing it and
// its children. Starting does not copy our page tables (vfork), so its cost does not depend on us.
Result<ProcessResult> run_process(const ProcessCall& call, const CancelToken& cancel);

}  // namespace wherry

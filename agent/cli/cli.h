#pragma once
// The command-line tool of docs/cli.md, without a process around it.

#include <cstdio>
#include <string>
#include <vector>

#include "base/clock.h"

namespace wherry::cli {

enum Exit { kDone = 0, kFailed = 1, kUsage = 2, kUnreachable = 3, kNotFound = 4, kInvalid = 5 };

struct Io {
  std::FILE* out;
  std::FILE* err;
  size_t width;  // columns of the terminal `out` is; 0: not a terminal, nothing is cut
  const Clock& clock;
  bool redraws = true;  // a terminal that can write over a line
  // Whether `out` is one: what containers print is then shown without what steers terminals.
  bool terminal = false;
};

// `args` without the program's name. Returns the exit code.
int run(const std::vector<std::string>& args, const Io& io);

}  // namespace wherry::cli

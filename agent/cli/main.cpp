#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "agent/cli/cli.h"
#include "base/fd.h"

int main(int argc, char** argv) {
  wherry::open_standard_descriptors();
  const wherry::SystemClock clock;
  size_t width = 0;
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  if (terminal) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  }
  const char* const term = getenv("TERM");
  const bool redraws = term != nullptr && *term != '\0' && std::strcmp(term, "dumb") != 0;
  const wherry::cli::Io io{stdout, stderr, width, clock, redraws, terminal};
  return wherry::cli::run({argv + 1, argv + argc}, io);
}

#include <cstdio>
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
  if (isatty(STDOUT_FILENO) == 1) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  }
  const wherry::cli::Io io{stdout, stderr, width, clock};
  return wherry::cli::run({argv + 1, argv + argc}, io);
}

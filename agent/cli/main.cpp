#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "agent/cli/cli.h"
#include "base/fd.h"

namespace {

// What a terminal is taken for that does not say how wide it is, as a device's serial console.
constexpr size_t kUsualWidth = 80;

// Where nobody can have what is printed, printing must fail rather than go nowhere.
void open_descriptors() {
  const bool closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
  wherry::open_standard_descriptors();
  if (!closed) return;
  const wherry::Fd unwritable(open("/dev/null", O_RDONLY | O_CLOEXEC));
  dup2(unwritable.get(), STDOUT_FILENO);
}

}  // namespace

int main(int argc, char** argv) {
  open_descriptors();
  const wherry::SystemClock clock;
  size_t width = 0;
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  if (terminal) {
    winsize size{};
    const bool said = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    width = said ? size.ws_col : kUsualWidth;
  }
  const char* const term = getenv("TERM");
  const bool redraws = term != nullptr && *term != '\0' && std::strcmp(term, "dumb") != 0;
  const wherry::cli::Io io{stdout, stderr, width, clock, redraws, terminal};
  return wherry::cli::run({argv + 1, argv + argc}, io);
}

// wherry-simulate: a fleet in a box (docs/simulate.md).

#include <cstdio>
#include <malloc.h>
#include <memory>
#include <signal.h>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <vector>

#include "agent/simulate/device_loop.h"
#include "agent/simulate/options.h"
#include "base/fd.h"

namespace {

using namespace wherry;
using namespace wherry::simulate;

constexpr Duration kGoodbye = std::chrono::seconds(10);

// A socket a device, and a few more. True where the system gives them.
bool allow_descriptors(size_t devices) {
  constexpr size_t kOthers = 64;
  const auto wanted = static_cast<rlim_t>(devices + kOthers);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return true;
  limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return true;
  std::fprintf(stderr,
               "wherry-simulate: %zu devices need %zu file descriptors, and %zu are allowed; raise "
               "the limit (ulimit -n %zu) or start fewer devices\n",
               devices, static_cast<size_t>(wanted), static_cast<size_t>(limit.rlim_cur),
               static_cast<size_t>(wanted));
  return false;
}

using Loops = std::vector<std::unique_ptr<DeviceLoop>>;

Loops make_loops(const Options& options, const Clock& clock) {
  std::vector<std::vector<DeviceSetup>> shares(std::min(options.threads, options.count));
  size_t next = 0;
  for (DeviceSetup& setup : plan_fleet(options, clock.now())) {
    shares[next++ % shares.size()].push_back(std::move(setup));
  }
  Loops loops;
  for (std::vector<DeviceSetup>& share : shares) {
    loops.push_back(std::make_unique<DeviceLoop>(std::move(share), clock));
  }
  return loops;
}

// A line when something has changed since the last.
void tell(const Loops& loops, std::string& told) {
  DeviceLoop::Tally all;
  for (const auto& loop : loops) {
    const DeviceLoop::Tally one = loop->tally();
    all.devices += one.devices;
    all.connected += one.connected;
    if (one.connected < one.devices && !one.trouble.empty()) all.trouble = one.trouble;
  }
  std::string line =
      std::to_string(all.connected) + " of " + std::to_string(all.devices) + " devices connected";
  if (!all.trouble.empty()) line += "; one is not, because " + all.trouble;
  if (line == told) return;
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  told = line;
}

void serve(const Loops& loops, const sigset_t& signals) {
  constexpr timespec kLook{1, 0};
  std::string told;
  while (sigtimedwait(&signals, nullptr, &kLook) <= 0) tell(loops, told);
}

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_ARENA_MAX, 2);
  open_standard_descriptors();
  const Parsed parsed = parse_options(argc, argv);
  if (parsed.exit_code >= 0) return parsed.exit_code;
  const Options& options = parsed.options;
  if (!allow_descriptors(options.count)) return 1;
  log_setup(options.log_level, "text");

  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const SystemClock clock;
  try {
    const Loops loops = make_loops(options, clock);
    for (const auto& loop : loops) loop->start();
    serve(loops, signals);
    for (const auto& loop : loops) loop->stop(kGoodbye);
    for (const auto& loop : loops) loop->join();
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "wherry-simulate: %s\n", error.what());
    return 1;
  }
  return 0;
}

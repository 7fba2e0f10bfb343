// wherry-soak [SECONDS] [SEED]: see docs/development.md. Exit code 0: nothing was lost.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>

#include "base/clock.h"
#include "tests/support/soak.h"

namespace {

int run(long seconds, uint32_t seed) {
  using namespace wherry;
  std::printf("seed %u, for %ld s; again with: ./dev soak %ld %u\n", seed, seconds, seconds, seed);
  std::fflush(stdout);
  test::Soak soak(seed);
  const SystemClock clock;
  const MonoTime end = clock.now() + std::chrono::seconds(seconds);
  int troubles = 0;
  for (; clock.now() < end; ++troubles) soak.suffer_at_random();
  const auto verdict = soak.finish();
  std::printf(
      "after %d troubles the receiver has %llu records of %llu streams, %llu more were "
      "announced as dropped, %llu came again\n",
      troubles, static_cast<unsigned long long>(verdict.records),
      static_cast<unsigned long long>(verdict.streams),
      static_cast<unsigned long long>(verdict.dropped),
      static_cast<unsigned long long>(verdict.repeats));
  std::vector<std::string> problems = verdict.problems;
  std::printf("by Batches alone: %s\n",
              problems.empty() ? "no hole, no record out of order" : "SOMETHING IS WRONG");
  const std::vector<std::string> noted = soak.compare();
  std::printf(
      "of %llu records that producers were told are accepted: %s\n",
      static_cast<unsigned long long>(soak.accepted()),
      noted.empty() ? "all arrived as numbered, or were announced as dropped" : "SOME ARE MISSING");
  problems.insert(problems.end(), noted.begin(), noted.end());
  for (const std::string& problem : problems) std::printf("  %s\n", problem.c_str());
  if (!problems.empty()) std::printf("the agent's last words:\n%s\n", soak.agent_log().c_str());
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const long seconds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 600;
  const auto seed =
      argc > 2 ? static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)) : std::random_device()();
  if (seconds <= 0 || argc > 3) {
    std::fprintf(stderr, "usage: wherry-soak [SECONDS [SEED]]\n");
    return 2;
  }
  try {
    return run(seconds, seed);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wherry-soak: %s\n", error.what());
    return 1;
  }
}

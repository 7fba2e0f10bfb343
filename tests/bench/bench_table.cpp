#include "tests/bench/bench_table.h"

#include <algorithm>
#include <cstdio>

namespace wherry::bench {

double ms(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }
double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

void heading(const char* title) {
  std::printf("\n%s\n", title);
  std::fflush(stdout);
}

void row(const std::string& what, double value, const char* unit, double target,
         const std::string& beside) {
  const char* verdict = target <= 0 ? "" : value <= target ? "met" : "MISSED";
  char limit[32] = "";
  if (target > 0) std::snprintf(limit, sizeof limit, "<= %.2f", target);
  std::printf("  %-46s %9.2f %-5s %-10s %-7s %s\n", what.c_str(), value, unit, limit, verdict,
              beside.c_str());
  std::fflush(stdout);
}

}  // namespace wherry::bench

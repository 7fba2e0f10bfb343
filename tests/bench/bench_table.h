#pragma once
// How figures are printed, each with its target.

#include <string>
#include <vector>

#include "base/clock.h"

namespace wherry::bench {

double ms(Duration duration);
double mib(int64_t bytes);
double median(std::vector<double> values);
void heading(const char* title);
// `target` is the most that is allowed; 0: none.
void row(const std::string& what, double value, const char* unit, double target,
         const std::string& beside = "");

}  // namespace wherry::bench

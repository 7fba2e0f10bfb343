#pragma once
// Exponential backoff, capped, jittered, saturating.

#include <cstdint>

#include "base/clock.h"

namespace wherry {

struct Backoff {
  Duration first;       // delay after the first failure
  Duration cap;         // never longer than this
  double jitter = 0.2;  // the delay is spread over [1 - jitter, 1] of its value

  // Delay after `failures` failures in a row (0 -> none). `random` in [0, 1) picks the place in the
  // jitter range, so the function is pure. Any count is safe: it saturates at the cap.
  Duration delay(uint32_t failures, double random) const;
};

// Uniform in [0, 1), from the kernel's generator.
double random_unit();

}  // namespace wherry

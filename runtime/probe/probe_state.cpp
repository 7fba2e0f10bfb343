#include "runtime/probe/probe_state.h"

#include <algorithm>

namespace wherry::runtime {

ProbeState::ProbeState(const Probe& probe, ProbeKind kind, MonoTime since, bool adopted)
    : probe_(probe),
      kind_(kind),
      counts_from_(since + probe.initial_delay),
      due_(adopted ? since : since + probe.initial_delay) {
  if (kind == ProbeKind::Liveness) good_ = true;
}

ProbeState::Change ProbeState::finish(bool good, MonoTime began, MonoTime now) {
  due_ = std::max(began + probe_.period, now);
  if (!good && kind_ != ProbeKind::Readiness && began < counts_from_) return Change::None;
  run_ = run_ > 0 && last_ == good ? run_ + 1 : 1;
  last_ = good;
  // Nobody counts on one that was never ready: why it is not is told at once.
  const bool unasked = kind_ == ProbeKind::Readiness && !good_;
  const uint32_t threshold = good      ? probe_.success_threshold
                             : unasked ? 1
                                       : probe_.failure_threshold;
  if (run_ < threshold || good_ == good) return Change::None;
  good_ = good;
  return good ? Change::Good : Change::Bad;
}

}  // namespace wherry::runtime

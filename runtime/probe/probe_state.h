#pragma once
// One probe of one container over time: when it is due, and what its results together mean. Pure.

#include <optional>

#include "base/clock.h"
#include "runtime/types.h"

namespace wherry::runtime {

enum class ProbeKind { Startup, Liveness, Readiness };

class ProbeState {
 public:
  // `since`: when the container began to run. `adopted`: it did so under another life of the agent:
  // it is asked at once, and failures within the initial delay do not count.
  ProbeState(const Probe& probe, ProbeKind kind, MonoTime since, bool adopted);

  MonoTime due() const { return due_; }
  // Not before: for a probe that waits for the startup probe to pass.
  void hold_until(MonoTime at) { due_ = std::max(due_, at); }

  enum class Change { None, Good, Bad };
  // A check that began at `began` has ended. A startup or liveness probe turns bad once.
  Change finish(bool good, MonoTime began, MonoTime now);
  // It could not be made: asked again after a period, and nothing is concluded.
  void skip(MonoTime now) { due_ = now + probe_.period; }

 private:
  const Probe& probe_;
  const ProbeKind kind_;
  const MonoTime counts_from_;
  MonoTime due_;
  std::optional<bool> good_;  // as said last
  bool last_ = false;
  uint32_t run_ = 0;  // equal results in a row
};

}  // namespace wherry::runtime

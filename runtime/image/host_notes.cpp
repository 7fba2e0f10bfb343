#include "runtime/image/host_notes.h"

namespace wherry::runtime {
namespace {

constexpr Duration kRemember = std::chrono::minutes(1);

}  // namespace

void HostNotes::note(Notes& notes, const std::string& base) {
  const std::lock_guard lock(mutex_);
  const MonoTime now = clock_.now();
  std::erase_if(notes, [now](const auto& each) { return each.second <= now; });
  notes[base] = now + kRemember;
}

void HostNotes::reached(const std::string& base) {
  const std::lock_guard lock(mutex_);
  unreachable_.erase(base);
}

bool HostNotes::noted(const Notes& notes, const std::string& base) const {
  const std::lock_guard lock(mutex_);
  const auto found = notes.find(base);
  return found != notes.end() && clock_.now() < found->second;
}

}  // namespace wherry::runtime

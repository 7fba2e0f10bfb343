#pragma once
// What was learnt about the servers of registries, over all pulls.

#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace wherry::runtime {

// Thread-safe. Servers are named by the base of their URL. Forgets after a minute.
class HostNotes {
 public:
  explicit HostNotes(const Clock& clock) : clock_(clock) {}  // must outlive it

  // It could not be reached, or can again: others are asked before it.
  void unreachable(const std::string& base) { note(unreachable_, base); }
  void reached(const std::string& base);
  bool is_unreachable(const std::string& base) const { return noted(unreachable_, base); }

  // It sent all of a blob when asked for the rest.
  void ignores_ranges(const std::string& base) { note(ignores_ranges_, base); }
  bool is_ignoring_ranges(const std::string& base) const { return noted(ignores_ranges_, base); }

 private:
  using Notes = std::map<std::string, MonoTime>;  // until when
  void note(Notes& notes, const std::string& base);
  bool noted(const Notes& notes, const std::string& base) const;

  const Clock& clock_;
  mutable std::mutex mutex_;
  Notes unreachable_, ignores_ranges_;
};

}  // namespace wherry::runtime

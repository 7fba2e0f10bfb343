#pragma once
// Replacing a damaged database by a new one with all that can still be read of it.

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::store {

struct Repaired {
  std::string set_aside;             // <path>.corrupt-<time>, its log beside it
  std::vector<std::string> sources;  // of the documents that were saved
};

// Whole documents are carried over; an event tells of it, numbered beyond all earlier ones. Until
// the new database is complete and synced the damaged one stays where it is, so a crash or a full
// disk loses nothing. Of those set aside, the newest two are kept.
Result<Repaired> repair(const std::string& path, const std::string& damage, WallTime now,
                        Duration busy_timeout);

// Ends a repair() that was cut off by a crash between its last two steps.
Status finish_repair(const std::string& path);

}  // namespace wherry::store

#pragma once
// Rows of the events table.

#include <string>
#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

// Events are not synced one by one: a power cut may lose those since the last checkpoint, at most
// one for each of its 256 pages. After an unclean end numbering goes on beyond them, so that no
// number is ever given twice.
inline constexpr int64_t kNumbersSkipped = 1000;

// With the number it has; a message longer than 2 KiB is cut.
Status put_event(sqlite::Database& database, const EventRecord& event);
Result<std::vector<EventRecord>> list_events(sqlite::Database& database, int64_t after,
                                             int64_t limit);

}  // namespace wherry::store

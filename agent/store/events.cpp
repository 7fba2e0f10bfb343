#include "agent/store/events.h"

#include "agent/store/rows.h"
#include "sql.h"

namespace wherry::store {
namespace {

constexpr size_t kMaxMessageBytes = 2048;

std::string cut(const std::string& message) {
  if (message.size() <= kMaxMessageBytes) return message;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
  return message.substr(0, end) + "…";
}

}  // namespace

Status put_event(sqlite::Database& database, const EventRecord& event) {
  return change(database, sql::put_event, event.number, event.at, event.workload, event.container,
                event.type, event.reason, cut(event.message), event.revision);
}

Result<std::vector<EventRecord>> list_events(sqlite::Database& database, int64_t after,
                                             int64_t limit) {
  const auto read = [](const sqlite::Statement& row) {
    EventRecord event;
    event.number = row.integer(0);
    event.at = row.time(1);
    event.workload = row.text(2);
    event.container = row.text(3);
    event.type = row.text(4);
    event.reason = row.text(5);
    event.message = row.text(6);
    event.revision = static_cast<uint64_t>(row.integer(7));
    return event;
  };
  return all_rows(database, sql::list_events, read, after, limit);
}

}  // namespace wherry::store

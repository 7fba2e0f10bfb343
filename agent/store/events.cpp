#include "agent/store/events.h"

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
  Result<sqlite::Statement> put = database.prepare(sql::put_event);
  if (!put) return fail(put.error());
  const std::string message = cut(event.message);
  return put
      ->bind(event.number, event.at, event.workload, event.container, event.type, event.reason,
             message, event.revision)
      .run();
}

Result<std::vector<EventRecord>> list_events(sqlite::Database& database, int64_t after,
                                             int64_t limit) {
  Result<sqlite::Statement> list = database.prepare(sql::list_events);
  if (!list) return fail(list.error());
  list->bind(after, limit);
  std::vector<EventRecord> events;
  while (true) {
    const Result<bool> more = list->step();
    if (!more) return fail(more.error());
    if (!*more) return events;
    EventRecord event;
    event.number = list->integer(0);
    event.at = list->time(1);
    event.workload = list->text(2);
    event.container = list->text(3);
    event.type = list->text(4);
    event.reason = list->text(5);
    event.message = list->text(6);
    event.revision = static_cast<uint64_t>(list->integer(7));
    events.push_back(std::move(event));
  }
}

}  // namespace wherry::store

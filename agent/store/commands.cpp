#include "agent/store/commands.h"

#include <algorithm>

#include "agent/store/rows.h"
#include "sql.h"

namespace wherry::store {
namespace {

CommandRecord read_command(const sqlite::Statement& row) {
  CommandRecord command;
  command.number = row.integer(0);
  command.source = row.text(1);
  command.request = row.text(2);
  command.received_at = row.time(3);
  command.asked_on = row.text(4);
  command.response_topic = row.text(5);
  command.correlation = row.text(6);
  command.answer = row.text(7);
  command.delivered = row.integer(8) != 0;
  return command;
}

}  // namespace

Result<int64_t> put_command(sqlite::Database& database, const CommandRecord& command) {
  Result<sqlite::Statement> put = database.prepare(sql::put_command);
  if (!put) return fail(put.error());
  put->bind(command.source, command.request, command.received_at, command.response_topic,
            sqlite::Blob{command.correlation});
  const Result<bool> row = put->step();
  if (!row) return fail(row.error());
  const int64_t number = put->integer(0);
  if (Status done = put->run(); !done) return fail(done.error());
  return number;
}

Status trim_commands(sqlite::Database& database, int64_t most) {
  return change(database, sql::trim_commands, most);
}

Result<std::optional<CommandRecord>> find_command(sqlite::Database& database,
                                                  const std::string& request) {
  Result<sqlite::Statement> find = database.prepare(sql::find_command);
  if (!find) return fail(find.error());
  const Result<bool> row = find->bind(request).step();
  if (!row) return fail(row.error());
  if (!*row) return std::optional<CommandRecord>();
  return std::optional(read_command(*find));
}

Status interrupt_commands(sqlite::Database& database, const std::string& answer) {
  return change(database, sql::interrupt_commands, answer);
}

Status give_up_commands(sqlite::Database& database, size_t most) {
  return change(database, sql::give_up_commands, most);
}

Result<std::vector<CommandRecord>> list_open_commands(sqlite::Database& database, size_t most) {
  auto all = all_rows(database, sql::list_open_commands, read_command, most);
  if (all) std::reverse(all->begin(), all->end());
  return all;
}

Status answer_command(sqlite::Database& database, int64_t number, const std::string& answer) {
  return change(database, sql::answer_command, number, answer);
}

Status readdress_command(sqlite::Database& database, const CommandRecord& command) {
  return change(database, sql::readdress_command, command.number, command.asked_on,
                command.response_topic, sqlite::Blob{command.correlation});
}

Status deliver_command(sqlite::Database& database, int64_t number) {
  return change(database, sql::deliver_command, number);
}

Status put_order(sqlite::Database& database, const OrderRecord& order) {
  return change(database, sql::put_order, order.workload, order.kind, order.given_by,
                order.ordered_at);
}

Status remove_order(sqlite::Database& database, const std::string& workload) {
  return change(database, sql::remove_order, workload);
}

Result<std::vector<OrderRecord>> list_orders(sqlite::Database& database) {
  return all_rows(database, sql::list_orders, [](const sqlite::Statement& row) {
    return OrderRecord{row.text(0), row.text(1), row.text(2), row.time(3)};
  });
}

}  // namespace wherry::store

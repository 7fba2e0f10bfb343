#pragma once
// Rows of the tables commands and workload_orders.

#include <optional>
#include <string>
#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

Result<int64_t> put_command(sqlite::Database& database, const CommandRecord& command);
// Removes what is beyond `most`, those answered first first; what waits for its answer stays.
Status trim_commands(sqlite::Database& database, int64_t most);
Result<std::optional<CommandRecord>> find_command(sqlite::Database& database,
                                                  const std::string& request);
Status interrupt_commands(sqlite::Database& database, const std::string& answer);
Status give_up_commands(sqlite::Database& database, size_t most);
// The newest `most` whose answer is not delivered, oldest first.
Result<std::vector<CommandRecord>> list_open_commands(sqlite::Database& database, size_t most);
Status answer_command(sqlite::Database& database, int64_t number, const std::string& answer);
Status readdress_command(sqlite::Database& database, const CommandRecord& command);
Status deliver_command(sqlite::Database& database, int64_t number);

Status put_order(sqlite::Database& database, const OrderRecord& order);
Status remove_order(sqlite::Database& database, const std::string& workload);
Result<std::vector<OrderRecord>> list_orders(sqlite::Database& database);

}  // namespace wherry::store

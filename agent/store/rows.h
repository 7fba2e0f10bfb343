#pragma once
// One statement of the store: carried out, or read to its end.

#include <string_view>
#include <type_traits>
#include <vector>

#include "base/sqlite/sqlite.h"

namespace wherry::store {

template <typename... Values>
Status change(sqlite::Database& database, std::string_view text, const Values&... values) {
  Result<sqlite::Statement> statement = database.prepare(text);
  if (!statement) return fail(statement.error());
  return statement->bind(values...).run();
}

// What `read` makes of each row.
template <typename Read, typename... Values>
auto all_rows(sqlite::Database& database, std::string_view text, const Read& read,
              const Values&... values)
    -> Result<std::vector<std::invoke_result_t<Read, const sqlite::Statement&>>> {
  Result<sqlite::Statement> statement = database.prepare(text);
  if (!statement) return fail(statement.error());
  statement->bind(values...);
  std::vector<std::invoke_result_t<Read, const sqlite::Statement&>> all;
  while (true) {
    const Result<bool> more = statement->step();
    if (!more) return fail(more.error());
    if (!*more) return all;
    all.push_back(read(*statement));
  }
}

}  // namespace wherry::store

#include "agent/store/schema.h"

#include "sql.h"

namespace wherry::store {

Result<sqlite::Database> open_database(const std::string& path, Duration busy_timeout) {
  constexpr int64_t kApplicationId = 0x57687279;  // "Whry"
  return sqlite::open_file(path, {kApplicationId, sql::connection, sql::migrations}, busy_timeout);
}

}  // namespace wherry::store

#include "agent/store/same_images.h"

#include "agent/store/rows.h"
#include "sql.h"

namespace wherry::store {

Status put_same_images(sqlite::Database& database, const SameImages& same) {
  return change(database, sql::put_same_images, same.workload, same.wanted_hash, same.pod_hash);
}

Status remove_same_images(sqlite::Database& database, const std::string& workload) {
  return change(database, sql::remove_same_images, workload);
}

Result<std::vector<SameImages>> list_same_images(sqlite::Database& database) {
  return all_rows(database, sql::list_same_images, [](const sqlite::Statement& row) {
    return SameImages{row.text(0), row.text(1), row.text(2)};
  });
}

}  // namespace wherry::store

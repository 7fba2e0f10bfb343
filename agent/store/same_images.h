#pragma once
// Rows of the table same_images.

#include <string>
#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

Status put_same_images(sqlite::Database& database, const SameImages& same);
Status remove_same_images(sqlite::Database& database, const std::string& workload);
Result<std::vector<SameImages>> list_same_images(sqlite::Database& database);

}  // namespace wherry::store

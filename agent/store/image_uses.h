#pragma once
// Rows of the image_use table.

#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

Status put_image_use(sqlite::Database& database, const ImageUse& use);
Status forget_image(sqlite::Database& database, const std::string& digest);
Result<std::vector<ImageUse>> list_image_uses(sqlite::Database& database);

}  // namespace wherry::store

#pragma once
// Rows of the image_use table.

#include <vector>

#include "agent/store/sqlite.h"
#include "agent/store/store.h"

namespace wherry::store {

Status put_image_use(Database& database, const ImageUse& use);
Status forget_image(Database& database, const std::string& digest);
Result<std::vector<ImageUse>> list_image_uses(Database& database);

}  // namespace wherry::store

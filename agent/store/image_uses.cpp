#include "agent/store/image_uses.h"

#include "agent/store/rows.h"
#include "sql.h"

namespace wherry::store {

Status put_image_use(sqlite::Database& database, const ImageUse& use) {
  return change(database, sql::put_image_use, use.workload, use.digest, use.name, use.spec_hash,
                use.order, use.used_at);
}

Status forget_image(sqlite::Database& database, const std::string& digest) {
  return change(database, sql::forget_image, digest);
}

Result<std::vector<ImageUse>> list_image_uses(sqlite::Database& database) {
  return all_rows(database, sql::list_image_uses, [](const sqlite::Statement& row) {
    return ImageUse{
        row.text(0), row.text(1), row.text(2), row.text(3), static_cast<uint64_t>(row.integer(4)),
        row.time(5)};
  });
}

}  // namespace wherry::store

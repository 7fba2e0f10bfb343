#include "agent/store/image_uses.h"

#include "sql.h"

namespace wherry::store {

Status put_image_use(sqlite::Database& database, const ImageUse& use) {
  Result<sqlite::Statement> put = database.prepare(sql::put_image_use);
  if (!put) return fail(put.error());
  return put->bind(use.workload, use.digest, use.name, use.spec_hash, use.order, use.used_at).run();
}

Status forget_image(sqlite::Database& database, const std::string& digest) {
  Result<sqlite::Statement> forget = database.prepare(sql::forget_image);
  if (!forget) return fail(forget.error());
  return forget->bind(digest).run();
}

Result<std::vector<ImageUse>> list_image_uses(sqlite::Database& database) {
  Result<sqlite::Statement> list = database.prepare(sql::list_image_uses);
  if (!list) return fail(list.error());
  std::vector<ImageUse> all;
  while (true) {
    const Result<bool> more = list->step();
    if (!more) return fail(more.error());
    if (!*more) return all;
    all.push_back({list->text(0), list->text(1), list->text(2), list->text(3),
                   static_cast<uint64_t>(list->integer(4)), list->time(5)});
  }
}

}  // namespace wherry::store

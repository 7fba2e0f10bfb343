#include "agent/store/same_images.h"

#include "sql.h"

namespace wherry::store {

Status put_same_images(sqlite::Database& database, const SameImages& same) {
  Result<sqlite::Statement> put = database.prepare(sql::put_same_images);
  if (!put) return fail(put.error());
  return put->bind(same.workload, same.wanted_hash, same.pod_hash).run();
}

Status remove_same_images(sqlite::Database& database, const std::string& workload) {
  Result<sqlite::Statement> remove = database.prepare(sql::remove_same_images);
  if (!remove) return fail(remove.error());
  return remove->bind(workload).run();
}

Result<std::vector<SameImages>> list_same_images(sqlite::Database& database) {
  Result<sqlite::Statement> list = database.prepare(sql::list_same_images);
  if (!list) return fail(list.error());
  std::vector<SameImages> all;
  while (true) {
    const Result<bool> more = list->step();
    if (!more) return fail(more.error());
    if (!*more) return all;
    all.push_back({list->text(0), list->text(1), list->text(2)});
  }
}

}  // namespace wherry::store

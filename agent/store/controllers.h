#pragma once
// Rows of the jobs and cron_jobs tables.

#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

// Inside of a transaction.
Status put_controllers(sqlite::Database& database, const ControllerChanges& changes);
Result<std::vector<JobRecord>> list_jobs(sqlite::Database& database);
Result<std::vector<CronRecord>> list_cron_jobs(sqlite::Database& database);

}  // namespace wherry::store

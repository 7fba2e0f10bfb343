#pragma once
// Rows of the jobs and cron_jobs tables.

#include <vector>

#include "agent/store/sqlite.h"
#include "agent/store/store.h"

namespace wherry::store {

// Inside of a transaction.
Status put_controllers(Database& database, const ControllerChanges& changes);
Result<std::vector<JobRecord>> list_jobs(Database& database);
Result<std::vector<CronRecord>> list_cron_jobs(Database& database);

}  // namespace wherry::store

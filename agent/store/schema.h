#pragma once
// The schema's versions and the checks that a database is whole and ours.

#include <string>

#include "base/sqlite/database_file.h"

namespace wherry::store {

// Opens or creates, sets up the connection, checks, migrates. Errors: DataLoss where the file is
// damaged (set it aside), FailedPrecondition where it is another program's or a newer version's.
Result<sqlite::Database> open_database(const std::string& path, Duration busy_timeout);

}  // namespace wherry::store

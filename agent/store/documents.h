#pragma once
// Rows of the documents table, each under a checksum of its own.

#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

Status put_document(sqlite::Database& database, const StoredDocument& document);
// DataLoss when one is not what was written.
Result<std::vector<StoredDocument>> list_documents(sqlite::Database& database);

// What can still be read of a damaged database.
struct Salvage {
  std::vector<StoredDocument> documents;  // whole ones only
  int64_t last_event = 0;
};
Salvage salvage(const std::string& path);

}  // namespace wherry::store

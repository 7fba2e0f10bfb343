#pragma once
// Rows of the documents table, each under a checksum of its own.

#include <vector>

#include "agent/store/store.h"
#include "base/sqlite/sqlite.h"

namespace wherry::store {

// What it replaces stays, as superseded.
Status put_document(sqlite::Database& database, const StoredDocument& document);
// DataLoss when one is not what was written.
Result<std::vector<StoredDocument>> list_documents(sqlite::Database& database);
// Without the payload where it is not what was written: the device can do without.
Result<std::vector<StoredDocument>> list_superseded(sqlite::Database& database);

// What can still be read of a damaged database.
struct Salvage {
  std::vector<StoredDocument> documents;  // whole ones only
  std::vector<SameImages> same_images;
  int64_t last_event = 0;
};
Salvage salvage(const std::string& path);

}  // namespace wherry::store

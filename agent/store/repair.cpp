#include "agent/store/repair.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <unistd.h>
#include <vector>

#include "agent/store/documents.h"
#include "agent/store/events.h"
#include "agent/store/same_images.h"
#include "agent/store/schema.h"
#include "base/files.h"

namespace wherry::store {
namespace {

std::string new_path(const std::string& path) { return path + ".new"; }

// Complete and synced when it returns: closing the last connection writes the log back.
Status write_new(const std::string& path, const Salvage& salvage, const EventRecord& event,
                 Duration busy_timeout) {
  sqlite::remove_files(path);
  Result<sqlite::Database> database = open_database(path, busy_timeout);
  if (!database) return fail(database.error());
  Result<sqlite::Transaction> transaction = sqlite::Transaction::begin(*database);
  if (!transaction) return fail(transaction.error());
  for (const StoredDocument& document : salvage.documents) {
    const Status put = put_document(*database, document);
    if (!put) return put;
  }
  for (const SameImages& same : salvage.same_images) {
    if (Status put = put_same_images(*database, same); !put) return put;
  }
  const Status put = put_event(*database, event);
  if (!put) return put;
  return transaction->commit();
}

}  // namespace

Result<Repaired> repair(const std::string& path, const std::string& damage, WallTime now,
                        Duration busy_timeout) {
  const Salvage saved = salvage(path);
  Repaired repaired;
  repaired.set_aside = sqlite::aside_path(path, now);
  for (const StoredDocument& document : saved.documents) {
    repaired.sources.push_back(document.source);
  }
  EventRecord event;
  event.number = saved.last_event + kNumbersSkipped;
  event.at = now;
  event.type = "Warning";
  event.reason = "DatabaseDamaged";
  event.message = "the database was damaged (" + damage + ") and set aside as " +
                  repaired.set_aside +
                  "; documents kept: " + std::to_string(saved.documents.size());
  Status done = write_new(new_path(path), saved, event, busy_timeout);
  if (done) done = sqlite::set_aside(path, repaired.set_aside, true);
  if (done) done = sqlite::rename_file(new_path(path), path);
  if (!done) return fail(done.error(), "replace the damaged database");
  done = sqlite::forget_old_asides(path);
  if (!done) return fail(done.error());
  return repaired;
}

Status finish_repair(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0 || access(new_path(path).c_str(), F_OK) != 0) return {};
  return sqlite::rename_file(new_path(path), path);
}

}  // namespace wherry::store

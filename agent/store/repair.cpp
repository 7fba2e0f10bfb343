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
#include "agent/store/schema.h"
#include "base/files.h"

namespace wherry::store {
namespace {

constexpr size_t kKept = 2;
constexpr std::array<const char*, 3> kParts{"", "-wal", "-shm"};

struct Place {
  std::string directory;
  std::string name;
};

Place place_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// 2026-11-24T02:41:00.123Z -> 20261124T024100.123Z: sorts by time, needs no quoting.
std::string stamp(WallTime now) {
  std::string text = to_rfc3339(now);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text.empty() ? "0" : text;
}

void remove_oldest(const Place& place) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(place.directory.c_str()), closedir);
  if (directory == nullptr) return;
  const std::string prefix = place.name + ".corrupt-";
  std::vector<std::string> found;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")) {
      found.push_back(name);
    }
  }
  std::sort(found.begin(), found.end());
  for (size_t i = 0; i + kKept < found.size(); ++i) {
    for (const char* part : kParts) unlink((place.directory + "/" + found[i] + part).c_str());
  }
}

Status rename_file(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  const Code code = errno == ENOENT ? Code::NotFound : Code::Internal;
  return fail(code, "rename " + from + ": " + strerror(errno));
}

// The log first: a database alone at its old place would be opened without it.
Status move_with_log(const std::string& from, const std::string& to) {
  for (const char* part : {"-shm", "-wal", ""}) {
    const Status moved = rename_file(from + part, to + part);
    if (!moved && moved.error().code() != Code::NotFound) return moved;
  }
  return {};
}

std::string new_path(const std::string& path) { return path + ".new"; }

// Complete and synced when it returns: closing the last connection writes the log back.
Status write_new(const std::string& path, const Salvage& salvage, const EventRecord& event,
                 Duration busy_timeout) {
  for (const char* part : kParts) unlink((path + part).c_str());
  Result<Database> database = open_database(path, busy_timeout);
  if (!database) return fail(database.error());
  Result<Transaction> transaction = Transaction::begin(*database);
  if (!transaction) return fail(transaction.error());
  for (const StoredDocument& document : salvage.documents) {
    const Status put = put_document(*database, document);
    if (!put) return put;
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
  repaired.set_aside = path + ".corrupt-" + stamp(now);
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
  if (done) done = move_with_log(path, repaired.set_aside);
  if (done) done = rename_file(new_path(path), path);
  if (!done) return fail(done.error(), "replace the damaged database");
  const Place place = place_of(path);
  remove_oldest(place);
  done = sync_directory(place.directory);
  if (!done) return fail(done.error());
  return repaired;
}

Status finish_repair(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0 || access(new_path(path).c_str(), F_OK) != 0) return {};
  return rename_file(new_path(path), path);
}

}  // namespace wherry::store

#include "base/sqlite/database_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/file_access.h"
#include "base/files.h"

namespace wherry::sqlite {
namespace {

constexpr size_t kKept = 2;
constexpr std::array<const char*, 3> kParts{"", "-wal", "-shm"};

struct Place {
  std::string directory;
  std::string name;
};

Place place_of(const std::string& path) {
  return {directory_of(path), path.substr(path.rfind('/') + 1)};  // all of it without a slash
}

// 2026-11-24T02:41:00.123Z -> 20261124T024100.123Z: sorts by time, needs no quoting.
std::string stamp(WallTime now) {
  std::string text = to_rfc3339(now);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text.empty() ? "0" : text;
}

// The database before SQLite opens it, so that it is never readable for others.
Status prepare_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) {
    const Code code = errno == ENOSPC ? Code::ResourceExhausted : Code::PermissionDenied;
    return fail(code, std::string("open: ") + strerror(errno));
  }
  struct stat info {};
  const bool seen = fstat(fd, &info) == 0;
  const bool file = seen && S_ISREG(info.st_mode);
  const bool good = seen && (!file || fchmod(fd, 0600) == 0);
  close(fd);
  if (good && !file) return fail(Code::FailedPrecondition, "it is no file; move it away");
  if (!good) return fail(Code::PermissionDenied, std::string("chmod: ") + strerror(errno));
  // SQLite would take an empty file for a new database and delete the log beside it.
  struct stat log {};
  if (info.st_size == 0 && stat((path + "-wal").c_str(), &log) == 0 && log.st_size > 0) {
    return fail(Code::DataLoss, "the file is empty but has a write-ahead log");
  }
  return {};
}

Status check_owner(Database& database, const Schema& schema) {
  const Result<int64_t> application = database.integer("PRAGMA application_id");
  if (!application) return fail(application.error());
  const Result<int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  const Result<int64_t> objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return fail(objects.error());
  const bool fresh = *application == 0 && *version == 0 && *objects == 0;
  if (!fresh && *application != schema.application_id) {
    return fail(Code::FailedPrecondition,
                "it is the database of another program; move it away or set storage.state_dir");
  }
  const auto latest = static_cast<int64_t>(schema.migrations.size());
  if (*version < 0) return fail(Code::DataLoss, "its schema version is negative");
  if (*version > latest) {
    return fail(Code::FailedPrecondition,
                "it was written by a newer version of the agent (schema " +
                    std::to_string(*version) + ", known up to " + std::to_string(latest) +
                    "); install that version again or move the file away");
  }
  return {};
}

Status check_whole(Database& database) {
  Result<Statement> check = database.prepare("PRAGMA quick_check(1)");
  if (!check) return fail(check.error());
  const Result<bool> row = check->step();
  if (!row) return fail(row.error());
  if (!*row || check->text(0) != "ok") {
    return fail(Code::DataLoss, *row ? check->text(0) : "the check gave no answer");
  }
  return {};
}

Status migrate(Database& database, const Schema& schema) {
  const Result<int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  for (int64_t next = *version + 1; next <= static_cast<int64_t>(schema.migrations.size());
       ++next) {
    const std::string context = "migrate to schema " + std::to_string(next);
    Result<Transaction> transaction = Transaction::begin(database);
    if (!transaction) return fail(transaction.error(), context);
    std::string sql(schema.migrations[static_cast<size_t>(next - 1)]);
    sql += "PRAGMA user_version = " + std::to_string(next) + ";";
    sql += "PRAGMA application_id = " + std::to_string(schema.application_id) + ";";
    Status done = database.execute(sql);
    if (done) done = transaction->commit();
    if (!done) return fail(done.error(), context);
  }
  return {};
}

Status check_writable(const Database& database, const std::string& path) {
  if (!database.read_only()) return {};
  // A header damaged in its version bytes makes SQLite fall back to reading.
  if (access(path.c_str(), W_OK) == 0) {
    return fail(Code::DataLoss, "its header does not allow writing");
  }
  return fail(Code::PermissionDenied, "it cannot be written");
}

}  // namespace

Result<Database> open_file(const std::string& path, const Schema& schema, Duration busy_timeout) {
  Status good = make_directories(place_of(path).directory, 0700);
  if (good) good = prepare_file(path);
  if (!good) return fail(good.error());
  Result<Database> database = Database::open(path, SQLITE_OPEN_READWRITE, busy_timeout);
  if (!database) return database;
  good = database->execute(schema.connection);
  if (good) good = check_owner(*database, schema);
  if (good && schema.check_whole) good = check_whole(*database);
  if (good) good = check_writable(*database, path);
  // Setting up the connection writes, too.
  if (!good && good.error().code() == Code::PermissionDenied) {
    if (Status may = check_writable(*database, path); !may) good = may;
  }
  // So far the SQL was such that fits every database: it is the file that is wrong.
  if (!good && good.error().code() == Code::InvalidArgument) {
    good = fail(Code::DataLoss, good.error().message());
  }
  if (good) good = migrate(*database, schema);
  if (good) return database;
  database->keep_as_is();
  if (good.error().code() == Code::Unavailable) {
    return fail(good.error(), "another agent uses it; give each its own storage.state_dir");
  }
  return fail(good.error());
}

std::string aside_path(const std::string& path, WallTime now) {
  return path + ".corrupt-" + stamp(now);
}

Status rename_file(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  const Code code = errno == ENOENT ? Code::NotFound : Code::Internal;
  return fail(code, "rename " + from + ": " + strerror(errno));
}

Status set_aside(const std::string& path, const std::string& aside, bool log_first) {
  std::array<const char*, 3> parts = kParts;
  if (log_first) std::reverse(parts.begin(), parts.end());
  for (const char* part : parts) {
    const Status moved = rename_file(path + part, aside + part);
    if (!moved && moved.error().code() != Code::NotFound) return moved;
  }
  return {};
}

bool has_content(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && info.st_size > 0;
}

void remove_files(const std::string& path) {
  for (const char* part : kParts) unlink((path + part).c_str());
}

Status forget_old_asides(const std::string& path) {
  const Place place = place_of(path);

  std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(place.directory.c_str()), closedir);
  if (directory == nullptr)
    return fail(Code::Internal, "list " + place.directory + ": " + strerror(errno));
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
  directory.reset();
  return sync_directory(place.directory);
}

}  // namespace wherry::sqlite

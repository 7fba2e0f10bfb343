#include "agent/store/schema.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

#include "sql.h"

namespace wherry::store {
namespace {

// SQLite's own mark of whose file it is ("Whry").
constexpr int64_t kApplicationId = 0x57687279;
constexpr auto kLatest = static_cast<int64_t>(std::size(sql::migrations));

// The database before SQLite opens it, so that it is never readable for others.
Status prepare_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const Code code = errno == ENOSPC ? Code::ResourceExhausted : Code::PermissionDenied;
    return fail(code, std::string("open: ") + strerror(errno));
  }
  struct stat info {};
  const bool good = fstat(fd, &info) == 0 && fchmod(fd, 0600) == 0;
  close(fd);
  if (!good) return fail(Code::PermissionDenied, std::string("chmod: ") + strerror(errno));
  // SQLite would take an empty file for a new database and delete the log beside it.
  struct stat log {};
  if (info.st_size == 0 && stat((path + "-wal").c_str(), &log) == 0 && log.st_size > 0) {
    return fail(Code::DataLoss, "the file is empty but has a write-ahead log");
  }
  return {};
}

Status check_owner(Database& database) {
  const Result<int64_t> application = database.integer("PRAGMA application_id");
  if (!application) return fail(application.error());
  const Result<int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  const Result<int64_t> objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return fail(objects.error());
  const bool fresh = *application == 0 && *version == 0 && *objects == 0;
  if (!fresh && *application != kApplicationId) {
    return fail(Code::FailedPrecondition,
                "it is the database of another program; move it away or set storage.state_dir");
  }
  if (*version < 0) return fail(Code::DataLoss, "its schema version is negative");
  if (*version > kLatest) {
    return fail(Code::FailedPrecondition,
                "it was written by a newer version of the agent (schema " +
                    std::to_string(*version) + ", known up to " + std::to_string(kLatest) +
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

Status migrate(Database& database) {
  const Result<int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  for (int64_t next = *version + 1; next <= kLatest; ++next) {
    const std::string context = "migrate to schema " + std::to_string(next);
    Result<Transaction> transaction = Transaction::begin(database);
    if (!transaction) return fail(transaction.error(), context);
    std::string sql(sql::migrations[next - 1]);
    sql += "PRAGMA user_version = " + std::to_string(next) + ";";
    sql += "PRAGMA application_id = " + std::to_string(kApplicationId) + ";";
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

Result<Database> open_database(const std::string& path, Duration busy_timeout) {
  Status good = prepare_file(path);
  if (!good) return fail(good.error());
  Result<Database> database = Database::open(path, SQLITE_OPEN_READWRITE, busy_timeout);
  if (!database) return database;
  good = database->execute(sql::connection);
  if (good) good = check_owner(*database);
  if (good) good = check_whole(*database);
  if (good) good = check_writable(*database, path);
  // So far the SQL was such that fits every database: it is the file that is wrong.
  if (!good && good.error().code() == Code::InvalidArgument) {
    good = fail(Code::DataLoss, good.error().message());
  }
  if (good) good = migrate(*database);
  if (good) return database;
  database->keep_as_is();
  if (good.error().code() == Code::Unavailable) {
    return fail(good.error(), "another agent uses it; give each its own storage.state_dir");
  }
  return fail(good.error());
}

}  // namespace wherry::store

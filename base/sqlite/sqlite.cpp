#include "base/sqlite/sqlite.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace wherry::sqlite {
namespace {

Code code_of(int extended, int system_errno) {
  if (extended == SQLITE_IOERR_CORRUPTFS || extended == SQLITE_IOERR_DATA) return Code::DataLoss;
  switch (extended & 0xff) {
    case SQLITE_ERROR:
      return Code::InvalidArgument;
    case SQLITE_FULL:
      return Code::ResourceExhausted;
    case SQLITE_IOERR:
      return system_errno == ENOSPC || system_errno == EDQUOT ? Code::ResourceExhausted
                                                              : Code::Internal;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::DataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::Unavailable;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return Code::PermissionDenied;
    default:
      return Code::Internal;
  }
}

}  // namespace

Error sqlite_error(sqlite3* handle, int code) {
  const int extended = handle != nullptr ? sqlite3_extended_errcode(handle) : code;
  const int system_errno = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  std::string message = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  const int primary = extended & 0xff;
  const bool says_why = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  if (says_why && system_errno != 0) message += std::string(" (") + strerror(system_errno) + ")";
  return {code_of(extended, system_errno), std::move(message)};
}

Result<bool> Statement::step() {
  sqlite3* database = sqlite3_db_handle(handle_.get());
  if (bind_error_ != SQLITE_OK) return fail(sqlite_error(nullptr, bind_error_));
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(sqlite_error(database, code));
}

Status Statement::run() {
  while (true) {
    const Result<bool> row = step();
    if (!row) return fail(row.error());
    if (!*row) return {};
  }
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }

std::optional<int32_t> Statement::optional_integer(int column) const {
  if (sqlite3_column_type(handle_.get(), column) == SQLITE_NULL) return std::nullopt;
  return static_cast<int32_t>(integer(column));
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(handle_.get(), column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes),
          static_cast<size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

void Statement::bind_one(int index, int64_t value) {
  bind_error_ = std::max(bind_error_, sqlite3_bind_int64(handle_.get(), index, value));
}

void Statement::bind_one(int index, std::optional<int32_t> value) {
  if (value) return bind_one(index, int64_t{*value});
  bind_error_ = std::max(bind_error_, sqlite3_bind_null(handle_.get(), index));
}

void Statement::bind_one(int index, const std::string& value) {
  bind_error_ =
      std::max(bind_error_, sqlite3_bind_text64(handle_.get(), index, value.data(), value.size(),
                                                SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind_one(int index, const Blob& value) {
  // A null pointer would bind NULL, which is not the empty blob.
  const char* bytes = value.bytes.empty() ? "" : value.bytes.data();
  bind_error_ = std::max(bind_error_, sqlite3_bind_blob64(handle_.get(), index, bytes,
                                                          value.bytes.size(), SQLITE_STATIC));
}

Result<Database> Database::open(const std::string& path, int flags, Duration busy_timeout) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(handle);
  if (code != SQLITE_OK) return fail(sqlite_error(handle, code));
  const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(busy_timeout);
  sqlite3_busy_timeout(handle, static_cast<int>(timeout.count()));
  // A reserve for small allocations that a connection this quiet does not need.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      &statement, nullptr);
  if (code != SQLITE_OK) return fail(sqlite_error(handle_.get(), code));
  return Statement(statement);
}

void Database::watch_log(int checkpoint_at) {
  log_ = std::make_unique<LogWatch>();
  log_->checkpoint_at = checkpoint_at;
  const auto after_commit = [](void* watch, sqlite3* handle, const char* name, int frames) {
    auto& log = *static_cast<LogWatch*>(watch);
    log.frames = static_cast<uint64_t>(frames);
    // As the hook does that SQLite has by itself: what fails is tried after the next commit.
    if (frames >= log.checkpoint_at) sqlite3_wal_checkpoint(handle, name);
    return SQLITE_OK;
  };
  sqlite3_wal_hook(handle_.get(), after_commit, log_.get());
}

Status Database::execute(std::string_view sql) {
  const int code = sqlite3_exec(handle_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(sqlite_error(handle_.get(), code));
  return {};
}

Result<int64_t> Database::integer(std::string_view sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement) return fail(statement.error());
  const Result<bool> row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->integer(0) : 0;
}

Result<Transaction> Transaction::begin(Database& database) {
  const Status begun = database.execute("BEGIN IMMEDIATE");
  if (!begun) return fail(begun.error());
  return Transaction(database);
}

Transaction::~Transaction() {
  // SQLite has rolled back by itself after some errors, a full disk among them.
  if (database_ == nullptr || !database_->in_transaction()) return;
  [[maybe_unused]] const Status rolled_back = database_->execute("ROLLBACK");
}

Status Transaction::commit() {
  Status committed = database_->execute("COMMIT");
  if (committed) database_ = nullptr;
  return committed;
}

}  // namespace wherry::sqlite

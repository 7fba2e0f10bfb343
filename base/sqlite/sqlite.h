#pragma once
// SQLite with owners for its handles and errors as values. Not thread-safe: owners lock.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::sqlite {

struct Blob {
  std::string_view bytes;
};

class Statement {
 public:
  // Values for ?1, ?2 … Texts are not copied: they must live until the statement is done.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  Result<bool> step();  // false: no more rows
  Status run();         // to the end

  int64_t integer(int column) const;
  std::optional<int32_t> optional_integer(int column) const;
  std::string text(int column) const;  // or blob
  WallTime time(int column) const { return WallTime(Duration(integer(column))); }

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle, sqlite3_finalize) {}

  void bind_one(int index, int64_t value);
  void bind_one(int index, uint64_t value) { bind_one(index, static_cast<int64_t>(value)); }
  void bind_one(int index, uint32_t value) { bind_one(index, static_cast<int64_t>(value)); }
  void bind_one(int index, WallTime value) { bind_one(index, value.time_since_epoch().count()); }
  void bind_one(int index, std::optional<int32_t> value);
  void bind_one(int index, const std::string& value);
  void bind_one(int index, const Blob& value);

  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> handle_;
  int bind_error_ = SQLITE_OK;
};

class Database {
 public:
  // `flags`: SQLITE_OPEN_…. The file is not created readable for others: create it beforehand.
  static Result<Database> open(const std::string& path, int flags, Duration busy_timeout);

  Result<Statement> prepare(std::string_view sql);
  Status execute(std::string_view sql);  // any number of statements, their rows dropped
  Result<int64_t> integer(std::string_view sql);
  // Closing leaves the file and its log untouched: for one that is damaged.
  void keep_as_is() {
    sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
  // Gives back the page cache, which after a big document is worth more to others.
  void release_memory() { sqlite3_db_release_memory(handle_.get()); }
  // Has log_frames() tell how many frames the write-ahead log holds since the last commit. Takes
  // the place of PRAGMA wal_autocheckpoint: a log of `checkpoint_at` frames is written back.
  void watch_log(int checkpoint_at);
  uint64_t log_frames() const { return log_ == nullptr ? 0 : log_->frames; }
  bool read_only() const { return sqlite3_db_readonly(handle_.get(), "main") == 1; }
  bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

 private:
  struct LogWatch {
    int checkpoint_at = 0;
    uint64_t frames = 0;
  };

  explicit Database(sqlite3* handle) : handle_(handle, sqlite3_close_v2) {}

  std::unique_ptr<LogWatch> log_;  // the handle's: it goes after that
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> handle_;
};

// Rolled back unless committed.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  Status commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}

  Database* database_;
};

// ResourceExhausted: disk full. DataLoss: the file is damaged or no database. Unavailable: another
// process has it. PermissionDenied: it cannot be written. InvalidArgument: the SQL does not fit it.
Error sqlite_error(sqlite3* handle, int code);

}  // namespace wherry::sqlite

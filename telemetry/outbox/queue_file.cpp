#include "telemetry/outbox/queue_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <sys/stat.h>
#include <utility>
#include <zlib.h>

#include "base/failpoint.h"
#include "base/text.h"
#include "sql.h"

namespace wherry::telemetry {
namespace {

constexpr int64_t kApplicationId = 0x57687271;  // "Whrq"
// A stream's place in the keys of its blocks: 2^43 records a stream, 2^20 streams.
constexpr int64_t kSpan = static_cast<int64_t>(kLastNumber) + 1;
// Frames of the log, about 4 MiB.
constexpr int kCheckpointAt = 1000;
// Free pages that are kept for the next records.
constexpr int64_t kFreePagesKept = 256;
// Of them, how many are given back in one transaction: its log has room on a full disk.
constexpr int64_t kGivenBackAtOnce = 100;
// Of the log, on the disk whatever else fills it. Taking out thousands of blocks changes some
// dozens of pages.
constexpr off_t kLogKept = 512 << 10;

int64_t key_of(int64_t stream, uint64_t number) {
  return stream * kSpan + static_cast<int64_t>(std::min(number, kLastNumber));
}
uint64_t number_of(int64_t key) { return static_cast<uint64_t>(key % kSpan); }

int64_t checksum_of(std::initializer_list<std::string_view> parts) {
  uLong sum = crc32(0, nullptr, 0);
  for (const std::string_view part : parts) {
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(part.data()), part.size());
  }
  return static_cast<int64_t>(sum);
}

int64_t checksum_of(int64_t key, uint64_t first, std::string_view lines) {
  return checksum_of({std::to_string(key) + ' ' + std::to_string(first) + ' ', lines});
}

int64_t checksum_of(const StreamRow& row) {
  const int64_t sum =
      checksum_of({std::to_string(row.id), " ", row.name, " ", row.epoch, " ",
                   std::to_string(row.acked), " ", std::to_string(row.next), " ", row.cursor});
  return sum == 0 ? 1 : sum;  // 0 stands for none
}

}  // namespace

QueueFile::QueueFile(sqlite::Database database, const std::string& path, int64_t page_size)
    : file_(::open(path.c_str(), O_RDWR | O_CLOEXEC)),
      database_(std::move(database)),
      log_(path + "-wal"),
      page_size_(page_size) {}

Result<QueueFile> QueueFile::open(const std::string& path, Duration busy_timeout) {
  std::string connection(sql::connection);
  if (!sqlite::has_content(path)) connection.insert(0, sql::new_file);
  auto database =
      sqlite::open_file(path, {kApplicationId, connection, sql::migrations, false}, busy_timeout);
  if (!database) return fail(database.error());
  const Result<int64_t> page_size = database->integer("PRAGMA page_size");
  if (!page_size) return fail(page_size.error());
  database->watch_log(kCheckpointAt);
  QueueFile file(std::move(*database), path, *page_size);
  file.keep_room_for_log();
  return file;
}

Result<std::vector<StreamRow>> QueueFile::streams() {
  auto list = database_.prepare(sql::list_streams);
  if (!list) return fail(list.error());
  std::vector<StreamRow> rows;
  while (true) {
    const Result<bool> more = list->step();
    if (!more) return fail(more.error());
    if (!*more) return rows;
    StreamRow row{list->integer(0),
                  list->text(1),
                  list->text(2),
                  static_cast<uint64_t>(list->integer(3)),
                  static_cast<uint64_t>(list->integer(4)),
                  list->text(5)};
    const int64_t checksum = list->integer(6);
    if (checksum != 0 && checksum != checksum_of(row)) {
      return fail(Code::DataLoss, "the row of stream " + printable(row.name) + " is damaged");
    }
    rows.push_back(std::move(row));
  }
}

Status QueueFile::add(const StreamRow& stream) {
  auto insert = database_.prepare(sql::add_stream);
  if (!insert) return fail(insert.error());
  return insert
      ->bind(stream.id, stream.name, stream.epoch, stream.acked, stream.next, stream.cursor,
             checksum_of(stream))
      .run();
}

Status QueueFile::remove(int64_t stream) {
  auto remove = database_.prepare(sql::remove_stream);
  if (!remove) return fail(remove.error());
  return remove->bind(stream).run();
}

Status QueueFile::mark(const StreamRow& stream) {
  auto update = database_.prepare(sql::mark_stream);
  if (!update) return fail(update.error());
  return update->bind(stream.id, stream.acked, stream.next, stream.cursor, checksum_of(stream))
      .run();
}

Result<QueueFile::Measure> QueueFile::measure(int64_t stream, uint64_t after, uint64_t last) {
  auto select = database_.prepare(sql::measure_blocks);
  if (!select) return fail(select.error());
  const Result<bool> row =
      select->bind(key_of(stream, after), key_of(stream, last), kBlockOverhead).step();
  if (!row) return fail(row.error());
  const int64_t newest = select->integer(2);
  return Measure{static_cast<uint64_t>(select->integer(0)), newest == 0 ? 0 : number_of(newest),
                 select->integer(1)};
}

Status QueueFile::put(int64_t stream, uint64_t first, const Lines& lines) {
  auto insert = database_.prepare(sql::put_block);
  if (!insert) return fail(insert.error());
  const int64_t key = key_of(stream, first + lines.count - 1);
  return insert->bind(key, first, checksum_of(key, first, lines.text), sqlite::Blob{lines.text})
      .run();
}

Status QueueFile::read(int64_t stream, uint64_t after, const std::function<bool(Block)>& take) {
  auto select = database_.prepare(sql::read_blocks);
  if (!select) return fail(select.error());
  select->bind(key_of(stream, after), key_of(stream + 1, 0) - 1);
  while (true) {
    const Result<bool> row = select->step();
    if (!row) return fail(row.error());
    if (!*row) return {};
    const int64_t key = select->integer(0);
    Block block{static_cast<uint64_t>(select->integer(1)), number_of(key), select->text(3)};
    block.whole = checksum_of(key, block.first, block.lines) == select->integer(2);
    if (!take(std::move(block))) return {};
  }
}

Status QueueFile::extents(int64_t stream, const std::function<bool(const Extent&)>& take) {
  auto select = database_.prepare(sql::oldest_blocks);
  if (!select) return fail(select.error());
  select->bind(key_of(stream, 0), key_of(stream + 1, 0) - 1);
  while (true) {
    const Result<bool> row = select->step();
    if (!row) return fail(row.error());
    if (!*row) return {};
    const Extent extent{static_cast<uint64_t>(select->integer(1)), number_of(select->integer(0)),
                        select->integer(2) + kBlockOverhead};
    if (!take(extent)) return {};
  }
}

Status QueueFile::remove_blocks(int64_t stream, uint64_t after, uint64_t last) {
  auto remove = database_.prepare(sql::remove_blocks);
  if (!remove) return fail(remove.error());
  return remove->bind(key_of(stream, after), key_of(stream, last)).run();
}

Status QueueFile::put_gap(int64_t stream, uint64_t after, uint64_t last,
                          const std::string& reason) {
  auto remove = database_.prepare(sql::remove_gaps);
  if (!remove) return fail(remove.error());
  if (Status done = remove->bind(stream, after, last).run(); !done) return done;
  auto insert = database_.prepare(sql::put_gap);
  if (!insert) return fail(insert.error());
  return insert->bind(stream, last, reason).run();
}

Result<std::string> QueueFile::gap_reason(int64_t stream, uint64_t after, uint64_t before) {
  auto select = database_.prepare(sql::find_gap);
  if (!select) return fail(select.error());
  const Result<bool> row = select->bind(stream, after, before).step();
  if (!row) return fail(row.error());
  if (!*row) return std::string();
  // It goes out as it stands.
  const std::string reason = select->text(0);
  constexpr std::array<std::string_view, 5> kKnown{"QueueFull", "Thinned", "NotKept", "RateLimited",
                                                   "LogRotated"};
  const bool known = std::find(kKnown.begin(), kKnown.end(), reason) != kKnown.end();
  return known ? reason : "Damaged";
}

Status QueueFile::remove_gaps(int64_t stream, uint64_t last) {
  auto remove = database_.prepare(sql::remove_gaps);
  if (!remove) return fail(remove.error());
  return remove->bind(stream, uint64_t{0}, last).run();
}

Status QueueFile::transact(bool synced, const std::function<Status()>& work) {
  Status done = run(synced, work);
  if (done || done.error().code() != Code::ResourceExhausted) return done;
  // What the log holds goes where room was kept for it, and the log begins anew in its own.
  const Result<int64_t> busy = database_.integer("PRAGMA wal_checkpoint(RESTART)");
  return busy && *busy == 0 ? run(synced, work) : done;
}

Status QueueFile::run(bool synced, const std::function<Status()>& work) {
  if (synced != synced_) {
    const Status set = database_.execute(synced ? sql::synchronous_full : sql::synchronous_normal);
    if (!set) return set;
    synced_ = synced;
  }
  auto transaction = sqlite::Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  Status done = work();
  if (done) done = make_room();
  if (done) done = failpoint(synced ? "outbox.append.commit" : "outbox.acknowledge.commit");
  if (done) done = transaction->commit();
  if (done && !log_has_room_) keep_room_for_log();
  return done;
}

Status QueueFile::write_back() {
  const Result<int64_t> busy = database_.integer("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!busy) return fail(busy.error());
  if (*busy != 0) return fail(Code::Unavailable, "the log cannot be written back");
  keep_room_for_log();
  return {};
}

void QueueFile::keep_room_for_log() {
  const Fd log(::open(log_.c_str(), O_WRONLY | O_CLOEXEC));
  // Behind its end, which stays where it is. Some file systems cannot.
  log_has_room_ = log.valid() && (fallocate(log.get(), FALLOC_FL_KEEP_SIZE, 0, kLogKept) == 0 ||
                                  (errno != ENOSPC && errno != EDQUOT));
}

// For all pages of the transaction that is under way: the log will be written back to them. Nothing
// is written for it, nor does the file look longer.
Status QueueFile::make_room() {
  const Result<int64_t> pages = database_.integer("PRAGMA page_count");
  if (!pages) return fail(pages.error());
  struct stat now {};
  if (fstat(file_.get(), &now) != 0) return {};
  const off_t missing = *pages * page_size_ - now.st_size;
  if (missing <= 0 || fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, now.st_size, missing) == 0) {
    return {};
  }
  // Some file systems cannot.
  if (errno != ENOSPC && errno != EDQUOT) return {};
  return fail(Code::ResourceExhausted, "there is no room for more");
}

Status QueueFile::give_back() {
  Result<int64_t> free = database_.integer("PRAGMA freelist_count");
  if (!free || *free <= 2 * kFreePagesKept) return free ? Status{} : fail(free.error());
  while (*free > kFreePagesKept) {
    const int64_t some = std::min(*free - kFreePagesKept, kGivenBackAtOnce);
    const Status done = transact(false, [&] {
      return database_.execute("PRAGMA incremental_vacuum(" + std::to_string(some) + ")");
    });
    if (!done) return done;
    const int64_t before = *free;
    free = database_.integer("PRAGMA freelist_count");
    if (!free) return fail(free.error());
    if (*free >= before) break;  // none can be
  }
  return {};
}

}  // namespace wherry::telemetry

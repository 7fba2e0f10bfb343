#include "telemetry/stream/cache.h"

#include <ctime>
#include <initializer_list>
#include <map>
#include <mutex>
#include <utility>
#include <zlib.h>

#include "base/files.h"
#include "base/log.h"
#include "base/sqlite/database_file.h"
#include "sql.h"

namespace wherry::telemetry {
namespace {

namespace sql = cache_sql;

constexpr int64_t kApplicationId = 0x57687263;  // "Whrc"
constexpr int64_t kEntryOverhead = 64;          // of a row, about
constexpr Duration kOpenAgain = std::chrono::seconds(5);
// A disk that spoils each new file is not worn out by them.
constexpr Duration kReplaceAgain = std::chrono::minutes(1);
// Looking for all that has expired reads the whole file.
constexpr Duration kSweepAgain = std::chrono::seconds(10);

// Goes on while the device sleeps, and begins anew with each boot.
int64_t since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// `head`: the other columns.
int64_t checksum_of(std::initializer_list<std::string> head, std::string_view value) {
  uLong sum = crc32(0, nullptr, 0);
  const auto add = [&](std::string_view text) {
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(text.data()), text.size());
  };
  for (const std::string& text : head) {
    add(text);
    add("\n");
  }
  add(value);
  return static_cast<int64_t>(sum);
}

}  // namespace

struct Cache::Impl {
  Impl(CacheOptions given, const Clock& the_clock) : options(std::move(given)), clock(the_clock) {}

  // Runs `work` on the open file, and once more on a new one where the file proves to be damaged.
  template <typename Work>
  auto with_file(const Work& work) -> decltype(work()) {
    const std::lock_guard lock(mutex);
    for (bool again = true;; again = false) {
      if (Status opened = open(); !opened) return fail(opened.error());
      auto done = work();
      if (done || done.error().code() != Code::DataLoss) return done;
      give_up(done.error());
      if (!again) return done;
    }
  }
  Status open();
  Status open_file();
  Status replace();
  void give_up(const Error& error);
  int64_t wall() const { return clock.wall().time_since_epoch().count(); }
  Status measure(const std::string& workload);
  Result<int64_t> size_of(const std::string& workload, const std::string& key);
  void grow(const std::string& workload, int64_t bytes, int entries);
  void note(const std::string& workload, int64_t bytes, int64_t entries);
  Status drop_expired(const std::string& workload);
  Status drop_all_expired();
  Status check_quota(const std::string& workload, int64_t bytes, size_t entries);
  Status put(const std::string& workload, const std::string& key, const CacheEntry& entry,
             std::optional<Duration> ttl);
  Result<CacheEntry> get(const std::string& workload, const std::string& key);
  Status remove(const std::string& workload, const std::string& key);
  Result<std::vector<Key>> keys(const std::string& workload);
  Result<std::vector<std::string>> workloads();

  const CacheOptions options;
  const Clock& clock;
  std::mutex mutex;
  std::optional<sqlite::Database> database;
  Status trouble;       // why there is none; DataLoss: the file is to be replaced
  MonoTime again_at{};  // not to be opened before
  std::optional<MonoTime> replaced_at, swept_at;
  struct Usage {
    int64_t bytes = 0;
    int64_t entries = 0;
  };
  std::map<std::string, Usage> used;  // of workloads that have entries
  int64_t total = 0;
};

Status Cache::Impl::open() {
  if (database) return {};
  if (clock.now() < again_at) return trouble;
  const bool damaged = !trouble && trouble.error().code() == Code::DataLoss;
  Status opened = damaged ? trouble : open_file();
  if (!opened && opened.error().code() == Code::DataLoss) {
    log_error("the cache of workloads is damaged and begins anew",
              {{"error", opened.error().full()}});
    opened = replace();
  }
  trouble = opened;
  if (opened) return {};
  database.reset();
  again_at = clock.now() + kOpenAgain;
  trouble = fail(opened.error(), "open " + options.path);
  return trouble;
}

Status Cache::Impl::open_file() {
  auto opened = sqlite::open_file(options.path, {kApplicationId, sql::connection, sql::migrations},
                                  options.busy_timeout);
  if (!opened) return fail(opened.error());
  database.emplace(std::move(*opened));
  used.clear();
  total = 0;
  const auto all = workloads();
  Status done = all ? Status{} : fail(all.error());
  for (size_t i = 0; done && i < all->size(); ++i) done = measure((*all)[i]);
  if (!done) database->keep_as_is();
  return done;
}

Status Cache::Impl::replace() {
  database.reset();
  replaced_at = clock.now();
  // An empty file is no evidence, and takes nobody's place.
  if (sqlite::has_content(options.path) || sqlite::has_content(options.path + "-wal")) {
    const std::string aside = sqlite::aside_path(options.path, clock.wall());
    Status done = sqlite::set_aside(options.path, aside, false);
    if (done) done = sqlite::forget_old_asides(options.path);
    if (!done) return done;
  }
  return open_file();
}

void Cache::Impl::give_up(const Error& error) {
  database->keep_as_is();
  database.reset();
  trouble = fail(error);
  again_at = replaced_at ? *replaced_at + kReplaceAgain : MonoTime{};
}

Result<std::vector<std::string>> Cache::Impl::workloads() {
  auto list = database->prepare(sql::list_workloads);
  if (!list) return fail(list.error());
  std::vector<std::string> all;
  while (true) {
    const Result<bool> row = list->step();
    if (!row) return fail(row.error());
    if (!*row) return all;
    all.push_back(list->text(0));
  }
}

Status Cache::Impl::measure(const std::string& workload) {
  auto measure = database->prepare(sql::measure_workload);
  if (!measure) return fail(measure.error());
  const Result<bool> row = measure->bind(workload, kEntryOverhead).step();
  if (!row) return fail(row.error());
  note(workload, measure->integer(0), measure->integer(1));
  return {};
}

Result<int64_t> Cache::Impl::size_of(const std::string& workload, const std::string& key) {
  auto size = database->prepare(sql::size_of_entry);
  if (!size) return fail(size.error());
  const Result<bool> row = size->bind(workload, key, kEntryOverhead).step();
  if (!row) return fail(row.error());
  return *row ? size->integer(0) : 0;
}

void Cache::Impl::grow(const std::string& workload, int64_t bytes, int entries) {
  const Usage usage = used[workload];
  note(workload, usage.bytes + bytes, usage.entries + entries);
}

void Cache::Impl::note(const std::string& workload, int64_t bytes, int64_t entries) {
  Usage& usage = used[workload];
  total += bytes - usage.bytes;
  usage = {bytes, entries};
  if (entries == 0) used.erase(workload);
}

Status Cache::Impl::drop_expired(const std::string& workload) {
  auto remove = database->prepare(sql::remove_expired);
  if (!remove) return fail(remove.error());
  if (Status done = remove->bind(options.boot, since_boot(), wall(), workload).run(); !done) {
    return done;
  }
  return measure(workload);
}

Status Cache::Impl::drop_all_expired() {
  if (swept_at && clock.now() < *swept_at + kSweepAgain) return {};
  swept_at = clock.now();
  auto remove = database->prepare(sql::remove_all_expired);
  if (!remove) return fail(remove.error());
  Status done = remove->bind(options.boot, since_boot(), wall()).run();
  std::vector<std::string> all;
  for (const auto& [workload, usage] : used) all.push_back(workload);
  for (size_t i = 0; done && i < all.size(); ++i) done = measure(all[i]);
  return done;
}

// `bytes` and `entries`: by how much the workload's would grow.
Status Cache::Impl::check_quota(const std::string& workload, int64_t bytes, size_t entries) {
  const auto most_entries = static_cast<int64_t>(options.max_entries);
  const auto own_fits = [&] {
    const Usage usage = used.contains(workload) ? used[workload] : Usage{};
    return usage.bytes + bytes <= options.max_bytes &&
           usage.entries + static_cast<int64_t>(entries) <= most_entries;
  };
  const auto all_fit = [&] { return total + bytes <= options.max_total; };
  if (own_fits() && all_fit()) return {};
  Status dropped = drop_expired(workload);
  if (dropped && !all_fit()) dropped = drop_all_expired();
  if (!dropped) return dropped;
  const bool own = own_fits();
  if (own && all_fit()) return {};
  const Usage usage = used.contains(workload) ? used[workload] : Usage{};
  return fail(Code::ResourceExhausted,
              "the cache of " + workload + " has " + std::to_string(usage.entries) +
                  " entries of " + std::to_string(usage.bytes) + " bytes and may have " +
                  std::to_string(options.max_entries) + " of " + std::to_string(options.max_bytes) +
                  ", all workloads together " + std::to_string(options.max_total) +
                  ": remove some, or give them a ttl",
              own ? kCachesFull : kOverQuota);
}

Status Cache::Impl::put(const std::string& workload, const std::string& key,
                        const CacheEntry& entry, std::optional<Duration> ttl) {
  const Result<int64_t> before = size_of(workload, key);
  if (!before) return fail(before.error());
  const int64_t more =
      static_cast<int64_t>(entry.value.size() + key.size()) + kEntryOverhead - *before;
  const int entries = *before == 0 ? 1 : 0;
  if (Status room = check_quota(workload, more, static_cast<size_t>(entries)); !room) return room;
  auto put = database->prepare(sql::put_entry);
  if (!put) return fail(put.error());
  const int64_t length = ttl ? ttl->count() : 0;
  const int64_t until = ttl ? since_boot() + length : 0;
  const int64_t wall_until = wall() + length;
  const int64_t checksum = checksum_of(
      {workload, key, entry.type, options.boot, std::to_string(until), std::to_string(wall_until)},
      entry.value);
  Status done = put->bind(workload, key, entry.type, options.boot, until, wall_until, checksum,
                          sqlite::Blob{entry.value})
                    .run();
  if (done) grow(workload, more, entries);
  return done;
}

Result<CacheEntry> Cache::Impl::get(const std::string& workload, const std::string& key) {
  auto get = database->prepare(sql::get_entry);
  if (!get) return fail(get.error());
  const Result<bool> row = get->bind(workload, key).step();
  if (!row) return fail(row.error());
  const auto none = [&] { return fail(Code::NotFound, "there is no entry " + key); };
  if (!*row) return none();
  CacheEntry entry{get->text(0), get->text(1)};
  const std::string boot = get->text(2);
  const int64_t until = get->integer(3), wall_until = get->integer(4);
  const int64_t checksum = checksum_of(
      {workload, key, entry.type, boot, std::to_string(until), std::to_string(wall_until)},
      entry.value);
  if (checksum != get->integer(5)) {
    log_error("an entry of a cache is damaged", {{"workload", workload}, {"key", key}});
    return none();
  }
  if (until != 0 && (boot == options.boot ? until <= since_boot() : wall_until <= wall())) {
    return none();
  }
  return entry;
}

Status Cache::Impl::remove(const std::string& workload, const std::string& key) {
  const Result<int64_t> before = size_of(workload, key);
  if (!before || *before == 0) return before ? Status{} : fail(before.error());
  auto remove = database->prepare(sql::remove_entry);
  if (!remove) return fail(remove.error());
  Status done = remove->bind(workload, key).run();
  if (done) grow(workload, -*before, -1);
  return done;
}

Result<std::vector<Cache::Key>> Cache::Impl::keys(const std::string& workload) {
  if (Status dropped = drop_expired(workload); !dropped) return fail(dropped.error());
  auto list = database->prepare(sql::list_keys);
  if (!list) return fail(list.error());
  list->bind(workload);
  std::vector<Key> keys;
  while (true) {
    const Result<bool> row = list->step();
    if (!row) return fail(row.error());
    if (!*row) return keys;
    keys.push_back({list->text(0), list->integer(1)});
  }
}

Cache::Cache(const CacheOptions& options, const Clock& clock)
    : impl_(std::make_unique<Impl>(options, clock)) {}
Cache::~Cache() = default;

Status Cache::put(const std::string& workload, const std::string& key, const CacheEntry& entry,
                  std::optional<Duration> ttl) {
  if (entry.value.size() > impl_->options.max_value) {
    return fail(Code::InvalidArgument,
                "a value has at most " + std::to_string(impl_->options.max_value) + " bytes");
  }
  return impl_->with_file([&] { return impl_->put(workload, key, entry, ttl); });
}

Result<CacheEntry> Cache::get(const std::string& workload, const std::string& key) {
  return impl_->with_file([&] { return impl_->get(workload, key); });
}

Status Cache::remove(const std::string& workload, const std::string& key) {
  return impl_->with_file([&] { return impl_->remove(workload, key); });
}

Result<std::vector<Cache::Key>> Cache::keys(const std::string& workload) {
  return impl_->with_file([&] { return impl_->keys(workload); });
}

Status Cache::forget(const std::string& workload) {
  return impl_->with_file([&]() -> Status {
    auto remove = impl_->database->prepare(sql::remove_workload);
    if (!remove) return fail(remove.error());
    if (Status done = remove->bind(workload).run(); !done) return done;
    return impl_->measure(workload);
  });
}

Result<std::vector<std::string>> Cache::workloads() {
  return impl_->with_file([&] { return impl_->workloads(); });
}

}  // namespace wherry::telemetry

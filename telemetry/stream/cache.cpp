#include "telemetry/stream/cache.h"

#include <ctime>
#include <map>
#include <mutex>
#include <utility>

#include "base/files.h"
#include "base/log.h"
#include "base/sqlite/database_file.h"
#include "sql.h"

namespace wherry::telemetry {
namespace {

namespace sql = cache_sql;

constexpr int64_t kApplicationId = 0x57687263;  // "Whrc"
constexpr int64_t kEntryOverhead = 64;          // of a row, about

// Goes on while the device sleeps, and begins anew with each boot.
int64_t since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

struct Cache::Impl {
  Impl(CacheOptions given, const Clock& the_clock) : options(std::move(given)), clock(the_clock) {}

  Status open() {
    auto opened = sqlite::open_file(
        options.path, {kApplicationId, sql::connection, sql::migrations}, options.busy_timeout);
    if (!opened) return fail(opened.error());
    database.emplace(std::move(*opened));
    const auto all = workloads();
    if (!all) return fail(all.error());
    for (const std::string& workload : *all) {
      if (Status done = measure(workload); !done) return done;
    }
    return {};
  }
  int64_t wall() const { return clock.wall().time_since_epoch().count(); }
  Status measure(const std::string& workload);
  Result<int64_t> size_of(const std::string& workload, const std::string& key);
  void grow(const std::string& workload, int64_t bytes, int entries);
  Status drop_expired(const std::string& workload);
  Status check_quota(const std::string& workload, int64_t bytes, size_t entries);
  Result<std::vector<std::string>> workloads();

  const CacheOptions options;
  const Clock& clock;
  std::mutex mutex;
  std::optional<sqlite::Database> database;
  struct Usage {
    int64_t bytes = 0;
    size_t entries = 0;
  };
  std::map<std::string, Usage> used;
  int64_t total = 0;
};

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
  total -= used[workload].bytes;
  used[workload] = {measure->integer(0), static_cast<size_t>(measure->integer(1))};
  total += used[workload].bytes;
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
  Usage& usage = used[workload];
  usage.bytes += bytes;
  usage.entries = static_cast<size_t>(static_cast<int64_t>(usage.entries) + entries);
  total += bytes;
}

Status Cache::Impl::drop_expired(const std::string& workload) {
  auto remove = database->prepare(sql::remove_expired);
  if (!remove) return fail(remove.error());
  if (Status done = remove->bind(options.boot, since_boot(), wall(), workload).run(); !done) {
    return done;
  }
  return measure(workload);
}

// `bytes` and `entries`: by how much the workload's would grow.
Status Cache::Impl::check_quota(const std::string& workload, int64_t bytes, size_t entries) {
  const auto fits = [&] {
    const Usage& usage = used[workload];
    return usage.bytes + bytes <= options.max_bytes && total + bytes <= options.max_total &&
           usage.entries + entries <= options.max_entries;
  };
  if (fits()) return {};
  if (Status dropped = drop_expired(workload); !dropped) return dropped;
  if (fits()) return {};
  const Usage& usage = used[workload];
  return fail(
      Code::ResourceExhausted,
      "the cache of " + workload + " has " + std::to_string(usage.entries) + " entries of " +
          std::to_string(usage.bytes) + " bytes and may have " +
          std::to_string(options.max_entries) + " of " + std::to_string(options.max_bytes) +
          ", all workloads together " + std::to_string(options.max_total) +
          ": remove some, or give them a ttl",
      usage.bytes + bytes <= options.max_bytes && usage.entries + entries <= options.max_entries
          ? kCachesFull
          : kOverQuota);
}

Cache::Cache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cache::~Cache() = default;

Result<std::unique_ptr<Cache>> Cache::open(const CacheOptions& options, const Clock& clock) {
  auto impl = std::make_unique<Impl>(options, clock);
  Status opened = impl->open();
  if (!opened && opened.error().code() == Code::DataLoss) {
    impl->database.reset();
    log_error("the cache of workloads is damaged and begins anew",
              {{"error", opened.error().full()}});
    opened = sqlite::set_aside(options.path, sqlite::aside_path(options.path, clock.wall()), false);
    if (opened) opened = sqlite::forget_old_asides(options.path);
    if (opened) opened = impl->open();
  }
  if (!opened) return fail(opened.error(), "open " + options.path);
  return std::unique_ptr<Cache>(new Cache(std::move(impl)));
}

Status Cache::put(const std::string& workload, const std::string& key, const CacheEntry& entry,
                  std::optional<Duration> ttl) {
  if (entry.value.size() > impl_->options.max_value) {
    return fail(Code::InvalidArgument,
                "a value has at most " + std::to_string(impl_->options.max_value) + " bytes");
  }
  const std::lock_guard lock(impl_->mutex);
  const Result<int64_t> before = impl_->size_of(workload, key);
  if (!before) return fail(before.error());
  const int64_t more =
      static_cast<int64_t>(entry.value.size() + key.size()) + kEntryOverhead - *before;
  const int entries = *before == 0 ? 1 : 0;
  if (Status room = impl_->check_quota(workload, more, static_cast<size_t>(entries)); !room)
    return room;
  auto put = impl_->database->prepare(sql::put_entry);
  if (!put) return fail(put.error());
  const int64_t length = ttl ? ttl->count() : 0;
  const int64_t until = ttl ? since_boot() + length : 0;
  Status done = put->bind(workload, key, sqlite::Blob{entry.value}, entry.type, impl_->options.boot,
                          until, impl_->wall() + length)
                    .run();
  if (done) impl_->grow(workload, more, entries);
  return done;
}

Result<CacheEntry> Cache::get(const std::string& workload, const std::string& key) {
  const std::lock_guard lock(impl_->mutex);
  auto get = impl_->database->prepare(sql::get_entry);
  if (!get) return fail(get.error());
  const Result<bool> row = get->bind(workload, key).step();
  if (!row) return fail(row.error());
  const auto none = [&] { return fail(Code::NotFound, "there is no entry " + key); };
  if (!*row) return none();
  const int64_t until = get->integer(3);
  const bool this_boot = get->text(2) == impl_->options.boot;
  if (until != 0 && (this_boot ? until <= since_boot() : get->integer(4) <= impl_->wall())) {
    return none();
  }
  return CacheEntry{get->text(0), get->text(1)};
}

Status Cache::remove(const std::string& workload, const std::string& key) {
  const std::lock_guard lock(impl_->mutex);
  const Result<int64_t> before = impl_->size_of(workload, key);
  if (!before || *before == 0) return before ? Status{} : fail(before.error());
  auto remove = impl_->database->prepare(sql::remove_entry);
  if (!remove) return fail(remove.error());
  Status done = remove->bind(workload, key).run();
  if (done) impl_->grow(workload, -*before, -1);
  return done;
}

Result<std::vector<Cache::Key>> Cache::keys(const std::string& workload) {
  const std::lock_guard lock(impl_->mutex);
  if (Status dropped = impl_->drop_expired(workload); !dropped) return fail(dropped.error());
  auto list = impl_->database->prepare(sql::list_keys);
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

Status Cache::forget(const std::string& workload) {
  const std::lock_guard lock(impl_->mutex);
  auto remove = impl_->database->prepare(sql::remove_workload);
  if (!remove) return fail(remove.error());
  if (Status done = remove->bind(workload).run(); !done) return done;
  return impl_->measure(workload);
}

Result<std::vector<std::string>> Cache::workloads() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->workloads();
}

}  // namespace wherry::telemetry

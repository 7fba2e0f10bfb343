#pragma once
// A key-value cache for workloads, each with its own keys and its own bound, in one SQLite file.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::telemetry {

struct CacheOptions {
  std::string path;              // …/cache.db
  int64_t max_bytes = 8 << 20;   // of one workload, keys and bookkeeping included
  int64_t max_total = 64 << 20;  // of all workloads
  size_t max_entries = 10'000;   // of one workload
  size_t max_value = 1 << 20;    // bytes
  std::string boot;              // the kernel's id of this boot
  Duration busy_timeout = std::chrono::seconds(2);
};

// Reasons of put(): the workload's own bound, or that of all together.
inline constexpr const char* kOverQuota = "OverQuota";
inline constexpr const char* kCachesFull = "CachesFull";

struct CacheEntry {
  std::string value;
  std::string type;  // content type
};

// Thread-safe: one call at a time has the connection. The file is opened by the first. A damaged
// one is set aside and a new one begun, whenever that shows: a cache may be empty. While it cannot
// be opened (the disk is full, say) every call fails, with errors as of sqlite::open_file.
class Cache {
 public:
  // The clock must outlive it.
  Cache(const CacheOptions& options, const Clock& clock);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // ResourceExhausted with kOverQuota or kCachesFull where a bound would be passed,
  // InvalidArgument for a value that is too large. `ttl`: nothing keeps it until it is removed.
  Status put(const std::string& workload, const std::string& key, const CacheEntry& entry,
             std::optional<Duration> ttl);
  // NotFound where there is none, or no longer.
  Result<CacheEntry> get(const std::string& workload, const std::string& key);
  Status remove(const std::string& workload, const std::string& key);  // missing: success
  struct Key {
    std::string name;
    int64_t bytes = 0;  // of the value
  };
  Result<std::vector<Key>> keys(const std::string& workload);
  // Everything of the workload.
  Status forget(const std::string& workload);
  Result<std::vector<std::string>> workloads();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace wherry::telemetry

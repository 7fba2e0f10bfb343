#pragma once
// The data API for workloads (docs/data.md): one unix socket for each Pod, which says who speaks.

#include <chrono>
#include <memory>
#include <string>

#include "agent/api/http_exchange.h"
#include "agent/api/http_server.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry {

namespace telemetry {
class Telemetry;
struct CacheOptions;
}  // namespace telemetry

struct DataLimits {
  size_t max_body = 1 << 20;      // bytes of a request
  size_t streams = 32;            // of a workload
  size_t read_bytes = 256 << 10;  // of an answer
  // Bodies come from the same device, and answers go there: who is slow with them holds up others.
  http::ServerLimits server{
      .threads = 16,
      .queued = 32,
      .tcp_connections = 0,
      .tag_connections = 8,
      .timeouts = {.body = std::chrono::seconds(5), .min_bytes_per_second = 64 << 10}};
};

// Thread-safe.
class DataServer {
 public:
  // Telemetry and the clock must outlive it. Threads are made for the first workload that wants
  // them.
  DataServer(telemetry::Telemetry& telemetry, const telemetry::CacheOptions& cache,
             const Clock& clock, DataLimits limits = {});
  ~DataServer();
  DataServer(const DataServer&) = delete;
  DataServer& operator=(const DataServer&) = delete;

  // Serves <directory>/data.sock as `workload`, to everybody who can reach it. Idempotent.
  Status open(const std::string& workload, const std::string& directory);
  void close(const std::string& workload);
  void stop();

 private:
  struct Desk;
  const std::unique_ptr<Desk> desk_;
};

}  // namespace wherry

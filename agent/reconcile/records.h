#pragma once
// What the reconciler keeps beyond its own life. Narrow on purpose: the store behind it can do
// more, and tests stand in for it.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/store/store.h"

namespace wherry {

using DocumentVersion = std::pair<std::string, uint64_t>;  // source, revision

// Used by the reconciler's thread only. Meanings as in Store.
class Records {
 public:
  virtual ~Records() = default;
  // On disk and synced when it returns.
  virtual Status save_document(const StoredDocument& document,
                               const std::vector<EventRecord>& events) = 0;
  virtual Result<std::vector<StoredDocument>> documents() = 0;
  virtual Status leave_document(const std::string& source) = 0;
  virtual Result<std::vector<StoredDocument>> superseded_documents() = 0;
  virtual Status forget_superseded(const std::string& source, uint64_t revision) = 0;
  virtual Status save_history(const ContainerHistory& history) = 0;
  virtual Result<std::vector<ContainerHistory>> history() = 0;
  virtual Status remove_history(const std::string& workload) = 0;
  virtual Status save_same_images(const SameImages& same) = 0;
  virtual Status remove_same_images(const std::string& workload) = 0;
  virtual Result<std::vector<SameImages>> same_images() = 0;
  virtual Status append_event(const EventRecord& event) = 0;
};

// The same for the use of images.
class UseRecords {
 public:
  virtual ~UseRecords() = default;
  virtual Status save_image_uses(const std::vector<ImageUse>& uses,
                                 const std::vector<std::string>& gone) = 0;
  virtual Result<std::vector<ImageUse>> image_uses() = 0;
};

// The same for Jobs and CronJobs.
class ControllerRecords {
 public:
  virtual ~ControllerRecords() = default;
  // On disk and synced when it returns.
  virtual Status save_controllers(const ControllerChanges& changes) = 0;
  virtual Result<std::vector<JobRecord>> jobs() = 0;
  virtual Result<std::vector<CronRecord>> cron_jobs() = 0;
};

// The same for orders about workloads.
class OrderRecords {
 public:
  virtual ~OrderRecords() = default;
  // On disk and synced when they return.
  virtual Status save_order(const OrderRecord& order) = 0;
  virtual Status remove_order(const std::string& workload) = 0;
  virtual Result<std::vector<OrderRecord>> orders() = 0;
};

// What was chosen for a Service once and for all.
struct ServiceRecord {
  std::string name;
  std::string source;
  std::string address;                              // empty: headless
  std::map<std::string, uint16_t> node_ports = {};  // by "<port>/<protocol>"
  bool operator==(const ServiceRecord&) const = default;
};
class ServiceRecords {
 public:
  virtual ~ServiceRecords() = default;
  // On disk and synced when it returns. These and no others.
  virtual Status save_services(const std::vector<ServiceRecord>& services) = 0;
  virtual Result<std::vector<ServiceRecord>> services() = 0;
};

}  // namespace wherry

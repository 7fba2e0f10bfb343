#pragma once
// Records in memory; they fail when a test says so.

#include <map>
#include <string>
#include <vector>

#include "agent/reconcile/records.h"
#include "base/digest.h"

namespace wherry::test {

class MemoryRecords final : public Records,
                            public UseRecords,
                            public ControllerRecords,
                            public ServiceRecords,
                            public OrderRecords {
 public:
  Status save_document(const StoredDocument& document,
                       const std::vector<EventRecord>& events) override {
    if (!works) return broken();
    ++writes;
    const auto before = stored.find(document.source);
    if (before != stored.end()) {
      superseded[{document.source, before->second.revision}] = before->second;
    }
    stored[document.source] = document;
    log.insert(log.end(), events.begin(), events.end());
    return {};
  }
  Result<std::vector<StoredDocument>> documents() override {
    std::vector<StoredDocument> all;
    for (const auto& [source, document] : stored) all.push_back(document);
    return all;
  }
  Status leave_document(const std::string& source) override {
    const auto left = stored.find(source);
    if (left != stored.end() && !left->second.payload.empty()) {
      left->second.digest = sha256_digest(left->second.payload);
      left->second.payload.clear();
    }
    std::erase_if(superseded, [&](const auto& entry) { return entry.first.first == source; });
    return {};
  }
  Result<std::vector<StoredDocument>> superseded_documents() override {
    std::vector<StoredDocument> all;
    for (const auto& [version, document] : superseded) all.push_back(document);
    return all;
  }
  Status forget_superseded(const std::string& source, uint64_t revision) override {
    if (!works) return broken();
    superseded.erase({source, revision});
    return {};
  }
  Status save_history(const ContainerHistory& row) override {
    if (!works) return broken();
    ++writes;
    histories[{row.workload, row.container}] = row;
    return {};
  }
  Result<std::vector<ContainerHistory>> history() override {
    std::vector<ContainerHistory> all;
    for (const auto& [key, row] : histories) all.push_back(row);
    return all;
  }
  Status remove_history(const std::string& workload) override {
    if (!works) return broken();
    ++writes;
    std::erase_if(histories, [&](const auto& entry) { return entry.first.first == workload; });
    return {};
  }
  Status save_same_images(const SameImages& row) override {
    if (!works) return broken();
    ++writes;
    same_image_rows[row.workload] = row;
    return {};
  }
  Status remove_same_images(const std::string& workload) override {
    if (!works) return broken();
    ++writes;
    same_image_rows.erase(workload);
    return {};
  }
  Result<std::vector<SameImages>> same_images() override {
    std::vector<SameImages> all;
    for (const auto& [workload, row] : same_image_rows) all.push_back(row);
    return all;
  }
  Status append_event(const EventRecord& event) override {
    if (!works) return broken();
    ++writes;
    log.push_back(event);
    return {};
  }

  Status save_image_uses(const std::vector<ImageUse>& rows,
                         const std::vector<std::string>& gone) override {
    if (!works) return broken();
    ++writes;
    ++use_writes;
    for (const std::string& digest : gone) {
      std::erase_if(uses, [&](const auto& entry) { return entry.second.digest == digest; });
    }
    for (const ImageUse& row : rows) uses[{row.workload, row.digest}] = row;
    return {};
  }
  Result<std::vector<ImageUse>> image_uses() override {
    std::vector<ImageUse> all;
    for (const auto& [key, row] : uses) all.push_back(row);
    return all;
  }

  Status save_controllers(const ControllerChanges& changes) override {
    if (!works) return broken();
    ++writes;
    for (const std::string& name : changes.gone_jobs) job_rows.erase(name);
    for (const std::string& name : changes.gone_cron_jobs) cron_rows.erase(name);
    for (const JobRecord& row : changes.jobs) job_rows[row.name] = row;
    for (const CronRecord& row : changes.cron_jobs) cron_rows[row.name] = row;
    return {};
  }
  Result<std::vector<JobRecord>> jobs() override {
    std::vector<JobRecord> all;
    for (const auto& [name, row] : job_rows) all.push_back(row);
    return all;
  }
  Result<std::vector<CronRecord>> cron_jobs() override {
    std::vector<CronRecord> all;
    for (const auto& [name, row] : cron_rows) all.push_back(row);
    return all;
  }

  Status save_services(const std::vector<ServiceRecord>& rows) override {
    if (!works) return broken();
    ++writes;
    service_rows = rows;
    return {};
  }
  Result<std::vector<ServiceRecord>> services() override { return service_rows; }

  Status save_order(const OrderRecord& order) override {
    if (!works) return broken();
    ++writes;
    order_rows[order.workload] = order;
    return {};
  }
  Status remove_order(const std::string& workload) override {
    if (!works) return broken();
    ++writes;
    order_rows.erase(workload);
    return {};
  }
  Result<std::vector<OrderRecord>> orders() override {
    std::vector<OrderRecord> all;
    for (const auto& [workload, row] : order_rows) all.push_back(row);
    return all;
  }

  size_t events(const std::string& reason) const {
    size_t count = 0;
    for (const EventRecord& event : log) count += event.reason == reason ? 1 : 0;
    return count;
  }

  bool works = true;
  size_t writes = 0;      // of all kinds
  size_t use_writes = 0;  // of which: what images are used for
  std::map<std::string, StoredDocument> stored;
  std::map<std::pair<std::string, uint64_t>, StoredDocument> superseded;
  std::map<std::pair<std::string, std::string>, ContainerHistory> histories;
  std::map<std::string, SameImages> same_image_rows;
  std::map<std::pair<std::string, std::string>, ImageUse> uses;
  std::map<std::string, JobRecord> job_rows;
  std::map<std::string, CronRecord> cron_rows;
  std::vector<ServiceRecord> service_rows;
  std::map<std::string, OrderRecord> order_rows;
  std::vector<EventRecord> log;

 private:
  static Status broken() { return fail(Code::ResourceExhausted, "no space left on device"); }
};

}  // namespace wherry::test

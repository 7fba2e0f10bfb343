#pragma once
// The store as the reconciler sees it.

#include <functional>
#include <utility>

#include "agent/reconcile/records.h"

namespace wherry {

class StoreRecords final : public Records,
                           public UseRecords,
                           public ControllerRecords,
                           public OrderRecords {
 public:
  // `appended` is called after each event. The store must outlive it.
  StoreRecords(Store& store, std::function<void()> appended)
      : store_(store), appended_(std::move(appended)) {}

  Status save_document(const StoredDocument& document,
                       const std::vector<EventRecord>& events) override {
    Status saved = store_.save_document(document, events);
    if (saved && !events.empty()) appended_();
    return saved;
  }
  Result<std::vector<StoredDocument>> documents() override { return store_.documents(); }
  Status leave_document(const std::string& source) override {
    return store_.leave_document(source);
  }
  Result<std::vector<StoredDocument>> superseded_documents() override {
    return store_.superseded_documents();
  }
  Status forget_superseded(const std::string& source, uint64_t revision) override {
    return store_.forget_superseded(source, revision);
  }
  Status save_history(const ContainerHistory& history) override {
    return store_.save_history(history);
  }
  Result<std::vector<ContainerHistory>> history() override { return store_.history(); }
  Status remove_history(const std::string& workload) override {
    return store_.remove_history(workload);
  }
  Status save_same_images(const SameImages& same) override { return store_.save_same_images(same); }
  Status remove_same_images(const std::string& workload) override {
    return store_.remove_same_images(workload);
  }
  Result<std::vector<SameImages>> same_images() override { return store_.same_images(); }
  Status append_event(const EventRecord& event) override {
    const auto number = store_.append_event(event);
    if (!number) return fail(number.error());
    appended_();
    return {};
  }
  Status save_image_uses(const std::vector<ImageUse>& uses,
                         const std::vector<std::string>& gone) override {
    return store_.save_image_uses(uses, gone);
  }
  Result<std::vector<ImageUse>> image_uses() override { return store_.image_uses(); }

  Status save_controllers(const ControllerChanges& changes) override {
    return store_.save_controllers(changes);
  }
  Result<std::vector<JobRecord>> jobs() override { return store_.jobs(); }
  Result<std::vector<CronRecord>> cron_jobs() override { return store_.cron_jobs(); }

  Status save_order(const OrderRecord& order) override { return store_.save_order(order); }
  Status remove_order(const std::string& workload) override {
    return store_.remove_order(workload);
  }
  Result<std::vector<OrderRecord>> orders() override { return store_.orders(); }

 private:
  Store& store_;
  const std::function<void()> appended_;
};

}  // namespace wherry

#pragma once
// Keeps Services: what is chosen for them, which Pods they lead to now, and that the runtime knows.
// Nothing here restarts or waits for a Pod.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/manifest/document.h"
#include "agent/reconcile/lanes.h"
#include "agent/reconcile/mailbox.h"
#include "agent/reconcile/plan.h"
#include "agent/reconcile/records.h"
#include "agent/reconcile/state_view.h"
#include "base/cancel.h"
#include "runtime/services.h"

namespace wherry {

// Used by the reconciler's thread only.
class ServiceDesk {
 public:
  struct Parts {
    runtime::Services* services = nullptr;  // null: there is nothing to lead anywhere
    ServiceRecords* records = nullptr;      // null: choices are forgotten with the agent
    std::string subnet{};                   // "a.b.c.d/n": addresses of Services
  };
  ServiceDesk(Parts parts, const Clock& clock) : parts_(std::move(parts)), clock_(clock) {}
  ~ServiceDesk() { cancel_.cancel(); }
  ServiceDesk(const ServiceDesk&) = delete;
  ServiceDesk& operator=(const ServiceDesk&) = delete;

  Status load();  // call once, first
  // What the documents want from now on. Of sources in `held` it is not known what they want:
  // Services of theirs stay as they are.
  void set(const Merged& merged, const std::set<std::string>& held);
  // Looks where Services lead to now, and posts what has changed. `plan` was made of `input`.
  void update(const PlanInput& input, const Plan& plan, Lanes& lanes, Mailbox& mailbox);
  // What came of what was posted.
  void done(const Result<std::vector<runtime::ServiceFault>>& result);
  // Has the runtime look after everything again, should somebody else have changed it.
  void look_again() { stale_ = stale_ || !shown_.empty(); }
  void stop() { cancel_.cancel(); }

  // The action as it is to be carried out: containers find the Services in their environment.
  Action linked(Action action) const;
  std::vector<ServiceView> views() const;
  // What is wrong, as "<source>:<path>".
  std::vector<Finding> errors() const;
  // To be asked only while update() is called.
  std::optional<MonoTime> wake_at() const;
  const Status& store_status() const { return store_status_; }

 private:
  struct Chosen {  // a Pod that could serve
    const WorkloadSpec* spec;
    std::string ip;
    bool ready;
    bool known;  // what it was made from
  };
  std::vector<Chosen> look_at_pods(const PlanInput& input, const Plan& plan);
  bool leaves(const std::string& name, const Verdict& verdict, const WorkloadMemory* memory);
  bool may_still_be_ready(const std::string& name, const WorkloadSpec& spec,
                          const PlanInput& input);
  bool is_served(const ServiceSpec& service, const Chosen& pod) const;
  runtime::ServiceRules rules_of(size_t index, const std::vector<Chosen>& pods) const;
  void store();

  const Parts parts_;
  const Clock& clock_;
  CancelToken cancel_;
  std::vector<ServiceSpec> services_;
  std::vector<ServiceRecord> records_;  // of services_, in their order
  std::vector<ServiceRecord> kept_;     // of those that stay as they are
  std::vector<std::pair<std::string, std::string>> environment_;
  std::set<std::string> leaving_;        // Pods that were told to stop
  std::set<std::string> served_before_;  // by another life of the agent, and not asked yet
  std::vector<ServiceRecord> stored_;
  Status store_status_;

  std::vector<runtime::ServiceRules> found_;  // by this life, as it began
  std::vector<runtime::ServiceRules> shown_;  // as posted last, if by another life
  bool stale_ = true;                         // to be posted even so
  bool busy_ = false;
  uint32_t failures_ = 0;
  MonoTime not_before_{};
  std::string trouble_;                        // of all of them
  std::map<std::string, std::string> faults_;  // … of single ones, by name
  MonoTime store_at_{};
};

}  // namespace wherry

#pragma once
// One device of the fleet: the agent's own reconciler, document desk, link and commands over a
// container stack that is simulated. It has no thread; its owner gives it turns.

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agent/command/commands.h"
#include "agent/reconcile/reconciler.h"
#include "agent/simulate/command_taker.h"
#include "agent/simulate/delayed_lanes.h"
#include "agent/simulate/device_link.h"
#include "agent/simulate/event_queue.h"
#include "agent/simulate/simulated_stack.h"

namespace wherry::simulate {

// How long things take, each time anew between half and one and a half of it.
struct Behaviour {
  Duration pull = std::chrono::seconds(2);
  Duration action = std::chrono::milliseconds(300);  // a start, a stop, a removal
  Duration crash = std::chrono::seconds(5);          // from its start on
  Duration job = std::chrono::seconds(3);            // containers of Jobs and init containers
  bool pulls_fail = false;
  bool crashes = false;  // its containers end with exit code 1, again and again
};

struct DeviceSetup {
  FleetOptions fleet;
  DeviceView device;  // id, groups and labels as in `fleet`
  Behaviour behaviour;
  uint32_t seed = 1;
  MonoTime connect_at{};
};

// Not thread-safe, and not to be moved. The clock must outlive it.
class VirtualDevice {
 public:
  VirtualDevice(DeviceSetup setup, const Clock& clock);
  VirtualDevice(const VirtualDevice&) = delete;
  VirtualDevice& operator=(const VirtualDevice&) = delete;

  // Does what there is to do now. `revents` as poll(2) gives it for fd(), 0: only time has passed.
  void turn(short revents);
  std::optional<MonoTime> wake_at() const;

  const DeviceLink& link() const { return link_; }
  // Why it is not connected; empty while it is.
  const std::string& trouble() const { return trouble_; }
  void leave() { link_.leave(); }

 private:
  Duration jittered(Duration duration);
  void started(const runtime::PodSpec& pod, const runtime::ContainerSpec& container);
  Status order(Order order);
  bool work();
  Reconciler make_reconciler(DeviceSetup& setup);
  DeviceLinkHandlers link_handlers();
  CommandParts command_parts();

  // Keeps nothing but events, until the broker has them.
  struct Memory final : Records {
    explicit Memory(EventQueue& events) : events(events) {}
    Status save_document(const StoredDocument& document,
                         const std::vector<EventRecord>& news) override;
    Result<std::vector<StoredDocument>> documents() override {
      return std::vector<StoredDocument>();
    }
    Status leave_document(const std::string&) override { return {}; }
    Result<std::vector<StoredDocument>> superseded_documents() override { return documents(); }
    Status forget_superseded(const std::string&, uint64_t) override { return {}; }
    Status save_history(const ContainerHistory&) override { return {}; }
    Result<std::vector<ContainerHistory>> history() override {
      return std::vector<ContainerHistory>();
    }
    Status remove_history(const std::string&) override { return {}; }
    Status save_same_images(const SameImages&) override { return {}; }
    Status remove_same_images(const std::string&) override { return {}; }
    Result<std::vector<SameImages>> same_images() override { return std::vector<SameImages>(); }
    Status append_event(const EventRecord& event) override;
    EventQueue& events;
    int64_t last = 0;
  };

  const Clock& clock_;
  const Behaviour behaviour_;
  std::minstd_rand random_;
  EventQueue events_;
  Memory records_;
  StateBoard board_;
  Mailbox mailbox_;
  SimulatedImages images_;
  SimulatedRuntime runtime_;
  SimulatedHealth health_;
  SimulatedLogs logs_;
  DelayedLanes lanes_;
  DeviceLink link_;
  Commands commands_;
  CommandTaker taker_;
  std::string trouble_ = "it has not tried yet";
  bool begun_ = false;
  Reconciler reconciler_;  // last: it uses what is above
};

}  // namespace wherry::simulate

#pragma once
// A link that remembers what it told its owner.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/fleet/fleet_link.h"
#include "tests/support/wait.h"

namespace wherry::test {

// Short delays; the rest as the agent's configuration has it by default.
inline FleetOptions link_options(std::vector<std::string> brokers, int version = 5) {
  FleetOptions options;
  options.device_id = "dev-1";
  options.boot_id = "boot-1";
  options.brokers = std::move(brokers);
  options.version = version;
  options.topic_prefix = "wherry/v1";
  options.keepalive = std::chrono::seconds(60);
  options.session_expiry = std::chrono::hours(1);
  options.reconnect_min = std::chrono::milliseconds(20);
  options.reconnect_max = std::chrono::milliseconds(200);
  return options;
}

class TestLink {
 public:
  explicit TestLink(FleetOptions options) {
    FleetHandlers handlers;
    handlers.on_desired = [this](DesiredMessage message) {
      const std::lock_guard lock(mutex_);
      desired_.push_back(std::move(message));
    };
    handlers.on_command = [this](CommandMessage message) {
      const std::lock_guard lock(mutex_);
      commands_.push_back(std::move(message));
    };
    handlers.on_answered = [this](uint64_t ticket) {
      const std::lock_guard lock(mutex_);
      answered_.push_back(ticket);
    };
    handlers.on_status = [this](const LinkStatus& status) {
      const std::lock_guard lock(mutex_);
      statuses_.push_back(status);
    };
    link_ = make_mqtt_link(std::move(options), std::move(handlers), clock_);
    link_->start();
  }
  ~TestLink() { link_.reset(); }  // before what its handlers use
  TestLink(const TestLink&) = delete;
  TestLink& operator=(const TestLink&) = delete;

  FleetLink* operator->() { return link_.get(); }
  std::vector<DesiredMessage> desired() const {
    const std::lock_guard lock(mutex_);
    return desired_;
  }
  std::vector<CommandMessage> commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
  }
  std::vector<uint64_t> answered() const {
    const std::lock_guard lock(mutex_);
    return answered_;
  }
  std::vector<LinkStatus> statuses() const {
    const std::lock_guard lock(mutex_);
    return statuses_;
  }
  [[nodiscard]] bool wait_connected() {
    return wait_until([&] { return link_->status().connected; });
  }
  [[nodiscard]] bool wait_reason(const std::string& reason) {
    return wait_until([&] { return link_->status().reason == reason; });
  }
  // Until a desired document with this payload came from this source.
  [[nodiscard]] bool wait_desired(const std::string& source, const std::string& payload) {
    return wait_until([&] {
      for (const DesiredMessage& message : desired()) {
        if (message.source == source && message.payload == payload) return true;
      }
      return false;
    });
  }

 private:
  SystemClock clock_;
  mutable std::mutex mutex_;
  std::vector<DesiredMessage> desired_;
  std::vector<LinkStatus> statuses_;
  std::vector<CommandMessage> commands_;
  std::vector<uint64_t> answered_;
  std::unique_ptr<FleetLink> link_;
};

}  // namespace wherry::test

#pragma once
// The link of one simulated device to its broker: what LinkWorker does, without a thread of its
// own. Its owner waits for the socket and for wake_at().

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/fleet/answer_box.h"
#include "agent/fleet/conversation.h"
#include "agent/fleet/fleet_link.h"
#include "agent/fleet/latest_slot.h"
#include "agent/fleet/mqtt_session.h"
#include "agent/simulate/event_queue.h"

namespace wherry::simulate {

struct DeviceLinkHandlers {
  std::function<void(DesiredMessage)> desired;
  std::function<void(CommandMessage)> command;
  std::function<void(const LinkStatus&)> status;
};

// Not thread-safe. The events and the clock must outlive it; handlers are called from turn().
class DeviceLink {
 public:
  // Connects at `first` at the earliest.
  DeviceLink(FleetOptions options, MonoTime first, EventQueue& events, const Clock& clock,
             DeviceLinkHandlers handlers);

  int fd() const;  // -1: there is no connection
  // Another number: another socket. An attempt may have several, for a name with several addresses.
  uint64_t connection() const { return attempts_ << 32 | static_cast<uint32_t>(fd()); }
  short poll_events() const { return session_->poll_events(); }
  std::optional<MonoTime> wake_at() const;
  // What the socket is ready for, 0 where only time has passed.
  void turn(short revents);

  void publish_reported(std::string json) { reported_.put(std::move(json)); }
  bool answer(CommandAnswer answer) { return answers_.put(std::move(answer)); }
  bool connected() const { return conversation_ && conversation_->connected(); }
  // Says goodbye in the next turns, as a device does that is shut down.
  void leave() { leaving_ = true; }
  bool left() const { return leaving_ && !session_; }

 private:
  void begin();
  Status converse(short revents);
  void lost(const Error& error);
  ConversationHooks hooks();
  void set_status(bool connected, const Error* error);
  const std::string& broker() const { return options_.brokers[place_]; }

  const FleetOptions options_;
  const Topics topics_;
  EventQueue& events_;
  const Clock& clock_;
  const DeviceLinkHandlers handlers_;
  ClientKeys keys_;
  std::unique_ptr<MqttSession> session_;
  std::optional<Conversation> conversation_;
  LatestSlot reported_;
  AnswerBox answers_;
  size_t place_ = 0;  // of the broker in the list
  std::optional<size_t> last_place_;
  uint64_t attempts_ = 0;
  uint32_t failures_ = 0;
  MonoTime next_attempt_;
  MonoTime deadline_{};  // for CONNACK
  MonoTime connected_at_{};
  MonoTime keep_alive_at_{};
  bool leaving_ = false;
};

}  // namespace wherry::simulate

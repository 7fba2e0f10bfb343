#include "agent/simulate/device_link.h"

#include <algorithm>
#include <utility>

#include "agent/fleet/session_options.h"
#include "base/backoff.h"
#include "telemetry/outbox/batch.h"

namespace wherry::simulate {
namespace {

constexpr double kJitter = 0.5;
constexpr int kStableFactor = 10;
constexpr Duration kSeldom = std::chrono::seconds(60);

}  // namespace

DeviceLink::DeviceLink(FleetOptions options, MonoTime first, EventQueue& events, const Clock& clock,
                       DeviceLinkHandlers handlers)
    : options_(std::move(options)),
      topics_(options_.topic_prefix, options_.device_id, options_.groups),
      events_(events),
      clock_(clock),
      handlers_(std::move(handlers)),
      next_attempt_(first) {}

int DeviceLink::fd() const { return session_ ? session_->fd() : -1; }

std::optional<MonoTime> DeviceLink::wake_at() const {
  if (left()) return std::nullopt;
  if (!session_) return next_attempt_;
  return connected() ? keep_alive_at_ : std::min(keep_alive_at_, deadline_);
}

void DeviceLink::turn(short revents) {
  if (!session_) {
    if (leaving_ || clock_.now() < next_attempt_) return;
    begin();
    return;
  }
  const Status done = converse(revents);
  if (!done) lost(done.error());
}

void DeviceLink::begin() {
  ++attempts_;
  const auto made = session_options(options_, topics_, broker(), clock_.wall());
  if (!made) return lost(made.error());
  auto session = MqttSession::open(*made, keys_, clock_.wall());
  if (!session) return lost(session.error());
  session_ = std::move(*session);
  conversation_.emplace(*session_, topics_, options_.boot_id, clock_, hooks(),
                        options_.refused_retry, options_.answer_timeout);
  const MonoTime now = clock_.now();
  deadline_ = now + options_.connect_timeout;
  keep_alive_at_ = now + options_.connect_timeout;
}

Status DeviceLink::converse(short revents) {
  if (revents != 0) {
    if (Status stepped = session_->step(revents); !stepped) return stepped;
  }
  const MonoTime now = clock_.now();
  if (!connected() && now >= deadline_) {
    return fail(Code::DeadlineExceeded, "the broker did not answer in time", "Timeout");
  }
  if (now >= keep_alive_at_) {
    const bool none = options_.keepalive <= Duration::zero();
    keep_alive_at_ = now + (none ? kSeldom : options_.keepalive / 4);
    if (Status alive = session_->keep_alive(); !alive) return alive;
  }
  if (Status advanced = conversation_->advance(); !advanced) return advanced;
  if (!leaving_) return {};
  if (!connected()) return fail(Code::Cancelled, "stopped");
  if (!reported_.idle() || !answers_.idle()) return {};
  if (!conversation_->goodbye_said()) return conversation_->say_goodbye();
  if (!conversation_->goodbye_acknowledged()) return {};
  session_->disconnect();
  return fail(Code::Cancelled, "stopped");
}

// The list is tried in order without a pause; the pause comes after its end.
void DeviceLink::lost(const Error& error) {
  const MonoTime now = clock_.now();
  const bool stable = connected() && now - connected_at_ >= options_.reconnect_min * kStableFactor;
  conversation_.reset();
  session_.reset();
  reported_.connection_lost();
  answers_.connection_lost();
  events_.connection_lost();
  set_status(false, &error);
  place_ = stable ? 0 : (place_ + 1) % options_.brokers.size();
  if (stable) failures_ = 0;
  next_attempt_ = now;
  if (place_ != 0) return;
  const Backoff backoff{options_.reconnect_min, options_.reconnect_max, kJitter};
  next_attempt_ += backoff.delay(++failures_, random_unit());
}

void DeviceLink::set_status(bool connected, const Error* error) {
  LinkStatus status;
  status.connected = connected;
  status.broker = broker();
  status.since = clock_.wall();
  if (error != nullptr) {
    status.reason = error->reason();
    status.message = error->full();
  }
  handlers_.status(status);
}

ConversationHooks DeviceLink::hooks() {
  ConversationHooks hooks;
  hooks.connected = [this](bool session_present) {
    connected_at_ = clock_.now();
    keep_alive_at_ = connected_at_;
    if (!session_present || place_ != last_place_) reported_.forgotten();
    last_place_ = place_;
    set_status(true, nullptr);
  };
  hooks.subscription_refused = [this](const std::vector<std::string>& filters) {
    const Error refused(
        Code::PermissionDenied,
        "the broker refuses to deliver " + filters.front() + "; check its access rules",
        "SubscriptionRefused");
    set_status(true, &refused);
  };
  hooks.desired = handlers_.desired;
  hooks.command = handlers_.command;
  hooks.take_answer = [this] { return answers_.take(); };
  hooks.answer_acknowledged = [this](uint64_t number, bool accepted) {
    accepted ? answers_.acknowledged(number) : answers_.refused(number);
  };
  hooks.take_reported = [this] { return reported_.take(); };
  hooks.reported_acknowledged = [this](bool accepted) {
    accepted ? reported_.acknowledged() : reported_.refused();
  };
  hooks.publish_refused = [this](const std::string& topic) {
    const Error refused(Code::PermissionDenied,
                        "the broker refuses what the device publishes to " + topic,
                        "PublishRefused");
    set_status(true, &refused);
  };
  hooks.publish_accepted = [this] { set_status(true, nullptr); };
  hooks.take_message = [this]() -> std::optional<OutboundMessage> {
    auto batch = events_.take();
    if (!batch) return std::nullopt;
    return OutboundMessage{attempts_, 0, "events", std::move(*batch), telemetry::kJsonType};
  };
  hooks.message_acknowledged = [this](uint64_t, bool accepted) { events_.acknowledged(accepted); };
  return hooks;
}

}  // namespace wherry::simulate

#include "agent/fleet/link_worker.h"

#include <algorithm>
#include <cstdint>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include "agent/fleet/mqtt_errors.h"
#include "agent/fleet/session_options.h"
#include "base/backoff.h"
#include "base/executor.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

// Half of each delay is random, so that a fleet does not come back as one.
constexpr double kJitter = 0.5;
// A connection that lasted this many minimal delays was a good one: the backoff starts anew.
constexpr int kStableFactor = 10;
constexpr const char* kStopped = "Stopped";
constexpr Duration kMaxIdle = std::chrono::seconds(60);
constexpr Duration kLongestPatience = std::chrono::hours(24);
// After a network has come: a name server may come with it, and the device's neighbours have it
// back, too.
constexpr Duration kSettle = std::chrono::seconds(1);
constexpr Duration kSettleJitter = std::chrono::seconds(2);

bool any_has_tls(const std::vector<std::string>& brokers) {
  return std::any_of(brokers.begin(), brokers.end(), [](const std::string& broker) {
    const auto url = parse_broker_url(broker);
    return url && url->tls;
  });
}

// The address stands in no message of the kernel.
std::string sentence(const Error& error, const std::string& broker, bool one_of_several) {
  return (one_of_several ? broker + ": " : "") + error.full();
}

int poll_timeout(Duration duration) {
  const auto millis = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<int64_t>(millis, 0, 60'000));
}

}  // namespace

LinkWorker::LinkWorker(FleetOptions options, FleetHandlers handlers, const Clock& clock)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      clock_(clock),
      topics_(options_.topic_prefix, options_.device_id, options_.groups),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  status_.broker = options_.brokers.empty() ? "" : options_.brokers.front();
  status_.reason = options_.brokers.empty() ? "NoBroker" : "Connecting";
  status_.message = options_.brokers.empty() ? "no broker is configured; set mqtt.brokers"
                                             : "the first connection is being made";
  status_.since = clock_.wall();
  if (any_has_tls(options_.brokers)) certificates_.emplace(tls_options(options_));
}

LinkWorker::~LinkWorker() { close(wake_fd_); }

void LinkWorker::run() {
  name_this_thread("fleet");
  const Backoff backoff{options_.reconnect_min, options_.reconnect_max, kJitter};
  size_t index = 0;
  uint32_t failures = 0;
  while (!stopping()) {
    if (options_.brokers.empty()) {
      pause(kMaxIdle);
      continue;
    }
    if (!network_) network_.emplace();
    const Outcome outcome = attempt(options_.brokers[index]);
    if (stopping()) break;
    // The list is tried in order without a pause; the pause comes after its end. After a good
    // connection, the first broker is the preferred one again.
    index = outcome.stable ? 0 : (index + 1) % options_.brokers.size();
    if (outcome.stable) failures = 0;
    if (index == 0 && pause(backoff.delay(++failures, random_unit()))) failures = 0;
  }
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

LinkWorker::Outcome LinkWorker::attempt(const std::string& broker) {
  look_at_certificates();
  const bool several = options_.brokers.size() > 1;
  const Result<SessionOptions> made = session_options(options_, topics_, broker, clock_.wall());
  if (!made) {
    set_status(false, broker, std::string(made.error().reason()),
               sentence(made.error(), broker, several));
    return {made.error()};
  }
  Result<std::unique_ptr<MqttSession>> session = open(*made);
  Outcome outcome = session ? converse(**session, broker) : Outcome{session.error()};
  {
    const std::lock_guard lock(mutex_);
    if (abandoned_) return outcome;
    reported_.connection_lost();
    answers_.connection_lost();
  }
  end_session(outcome.error);
  const bool left = stopping();
  set_status(false, broker, left ? kStopped : std::string(outcome.error.reason()),
             left ? "the agent is stopping" : sentence(outcome.error, broker, several));
  return outcome;
}

Result<std::unique_ptr<MqttSession>> LinkWorker::open(const SessionOptions& options) {
  {
    const std::lock_guard lock(mutex_);
    resolving_ = true;
  }
  auto session = MqttSession::open(options, keys_, clock_.wall());
  const std::lock_guard lock(mutex_);
  resolving_ = false;
  changed_.notify_all();
  if (abandoned_) return fail(Code::Cancelled, "stopped");
  return session;
}

LinkWorker::Outcome LinkWorker::converse(MqttSession& session, const std::string& broker) {
  const Backoff patience{options_.answer_timeout, kLongestPatience, 0};
  Conversation conversation(session, topics_, options_.boot_id, clock_, hooks(broker),
                            options_.refused_retry, patience.delay(unanswered_ + 1, 0));
  const MonoTime connect_deadline = clock_.now() + options_.connect_timeout;
  const Duration stable_after = options_.reconnect_min * kStableFactor;
  while (true) {
    if (stopping()) {
      const Result<bool> left = take_leave(session, conversation);
      if (!left || *left) return {left ? Error(Code::Cancelled, "stopped") : left.error()};
    }
    const Status turn = take_turn(session, conversation, connect_deadline);
    if (turn) continue;
    if (!conversation.connected()) return {turn.error()};
    unanswered_ = turn.error().reason() == kUnanswered ? unanswered_ + 1 : 0;
    if (unanswered_ > 0) return {turn.error()};  // the next of the list may answer
    if (clock_.now() - connected_at_ >= stable_after) return {turn.error(), true};
    return {
        turn.error().wrap("the connection did not last (is the client id used twice, or do the "
                          "broker's access rules forbid this device's topics?)")};
  }
}

Status LinkWorker::take_turn(MqttSession& session, Conversation& conversation,
                             MonoTime connect_deadline) {
  const MonoTime now = clock_.now();
  if (!conversation.connected() && now >= connect_deadline) {
    return fail(Code::DeadlineExceeded,
                "the broker did not answer within " + format_duration(options_.connect_timeout),
                "Timeout");
  }
  // A quarter of the keep-alive is late enough to sleep and early enough for the broker's 1.5.
  Duration wait = options_.keepalive > Duration::zero() ? options_.keepalive / 4 : kMaxIdle;
  if (!conversation.connected()) wait = std::min(wait, connect_deadline - now);
  for (const auto& at : {conversation.again_at(), conversation.answer_due()}) {
    if (at && *at > now) wait = std::min(wait, *at - now);
  }
  {
    const std::lock_guard lock(mutex_);
    if (stop_at_) wait = std::min(wait, *stop_at_ - now);
  }
  pollfd fds[] = {{session.fd(), session.poll_events(), 0}, {wake_fd_, POLLIN, 0}};
  poll(fds, 2, poll_timeout(wait));
  if (fds[1].revents != 0) drain_wake();
  if (look_at_certificates() && conversation.connected()) {
    log_info("files of certificates have changed; the next connection is made with them");
  }
  if (fds[0].revents != 0) {
    if (Status stepped = session.step(fds[0].revents); !stepped) return stepped;
  }
  if (Status alive = session.keep_alive(); !alive) return alive;
  return conversation.advance();
}

// True when there is nothing left to wait for.
Result<bool> LinkWorker::take_leave(MqttSession& session, Conversation& conversation) {
  if (!conversation.connected()) return true;
  bool sent = false;
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    sent = (reported_.idle() || conversation.again_at()) && answers_.idle();
    late = clock_.now() >= *stop_at_;
  }
  if (late) return true;
  if (!sent) return false;
  if (!conversation.goodbye_said()) {
    if (const Status said = conversation.say_goodbye(); !said) return fail(said.error());
  }
  if (!conversation.goodbye_acknowledged()) return false;
  session.disconnect();
  return true;
}

ConversationHooks LinkWorker::hooks(const std::string& broker) {
  ConversationHooks hooks;
  hooks.connected = [this, broker](bool session_present) {
    connected_at_ = clock_.now();
    network_.reset();
    {
      const std::lock_guard lock(mutex_);
      if (!session_present || broker != last_broker_) reported_.forgotten();
      ++session_;
      in_session_ = true;
    }
    last_broker_ = broker;
    set_status(true, broker, "", "");
    if (handlers_.on_session) handlers_.on_session(session_, SessionChange::Begun);
  };
  hooks.subscription_refused = [this, broker](const std::vector<std::string>& filters) {
    set_status(true, broker, "SubscriptionRefused",
               "the broker refuses to deliver " + join(filters, ", ") + "; check its access rules");
  };
  hooks.desired = [this](DesiredMessage message) {
    if (handlers_.on_desired) handlers_.on_desired(std::move(message));
  };
  add_command_hooks(hooks);
  hooks.take_reported = [this] {
    const std::lock_guard lock(mutex_);
    return reported_.take();
  };
  hooks.reported_acknowledged = [this](bool accepted) {
    const std::lock_guard lock(mutex_);
    accepted ? reported_.acknowledged() : reported_.refused();
  };
  hooks.publish_refused = [this, broker](const std::string& topic) {
    set_status(true, broker, "PublishRefused",
               "the broker refuses what this device publishes to " + topic +
                   "; check its access rules, and whose certificate or name the device shows");
  };
  hooks.publish_accepted = [this, broker] { set_status(true, broker, "", ""); };
  hooks.take_message = [this]() -> std::optional<OutboundMessage> {
    const std::lock_guard lock(mutex_);
    if (outgoing_.empty()) return std::nullopt;
    OutboundMessage message = std::move(outgoing_.front());
    outgoing_.pop_front();
    return message;
  };
  hooks.message_acknowledged = [this](uint64_t ticket, bool accepted) {
    if (handlers_.on_acknowledged) handlers_.on_acknowledged(ticket, accepted);
  };
  return hooks;
}

void LinkWorker::add_command_hooks(ConversationHooks& hooks) {
  hooks.command = [this](CommandMessage message) {
    if (handlers_.on_command) handlers_.on_command(std::move(message));
  };
  hooks.take_answer = [this] {
    const std::lock_guard lock(mutex_);
    return answers_.take();
  };
  hooks.answer_acknowledged = [this](uint64_t number, bool accepted) {
    std::optional<uint64_t> ticket;
    {
      const std::lock_guard lock(mutex_);
      ticket = accepted ? answers_.acknowledged(number) : answers_.refused(number);
    }
    if (ticket && *ticket != 0 && handlers_.on_answered) handlers_.on_answered(*ticket);
  };
}

bool LinkWorker::answer(CommandAnswer answer) {
  {
    const std::lock_guard lock(mutex_);
    if (!answers_.put(std::move(answer))) return false;
  }
  wake();
  return true;
}

void LinkWorker::publish_reported(std::string json) {
  {
    const std::lock_guard lock(mutex_);
    reported_.put(std::move(json));
  }
  wake();
}

void LinkWorker::publish(OutboundMessage message) {
  {
    const std::lock_guard lock(mutex_);
    if (!in_session_ || message.session != session_) return;
    outgoing_.push_back(std::move(message));
  }
  wake();
}

// What is still queued goes with the connection: its owner has been told that it is gone.
void LinkWorker::end_session(const Error& why) {
  uint64_t session = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(in_session_, false)) return;
    outgoing_.clear();
    session = session_;
  }
  if (!handlers_.on_session) return;
  handlers_.on_session(session, has_hung_up(why) ? SessionChange::HungUp : SessionChange::Lost);
}

LinkStatus LinkWorker::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void LinkWorker::set_status(bool connected, const std::string& broker, const std::string& reason,
                            const std::string& message) {
  LinkStatus next{connected, broker, reason, message, clock_.wall()};
  {
    const std::lock_guard lock(mutex_);
    const bool same_state = status_.connected == connected && status_.reason == reason;
    if (same_state && status_.broker == broker && status_.message == message) return;
    if (same_state) next.since = status_.since;
    next.certificate = status_.certificate;
    status_ = next;
  }
  if (connected && reason.empty()) {
    log_info("connected to the broker", {{"broker", broker}});
  } else if (reason == kStopped) {
    log_info("left the broker", {{"broker", broker}});
  } else {
    log_warn(connected ? "the broker refuses what this device needs" : "not connected to a broker",
             {{"broker", broker}, {"reason", reason}, {"message", message}});
  }
  tell(next);
}

void LinkWorker::tell(const LinkStatus& status) const {
  if (handlers_.on_status) handlers_.on_status(status);
}

bool LinkWorker::look_at_certificates() {
  if (!certificates_ || clock_.now() < look_again_) return false;
  look_again_ = clock_.now() + options_.certificate_look;
  const bool changed = certificates_->changed();
  auto status = certificates_->status(clock_.wall());
  LinkStatus next;
  {
    const std::lock_guard lock(mutex_);
    if (abandoned_ || status == status_.certificate) return changed;
    status_.certificate = std::move(status);
    next = status_;
  }
  const auto log = next.certificate->reason.empty() ? log_info : log_warn;
  log("certificates",
      {{"reason", next.certificate->reason}, {"message", next.certificate->message}});
  tell(next);
  return changed;
}

// A changed file of certificates ends it, and soon after it has come a network.
bool LinkWorker::pause(Duration duration) {
  if (!network_) network_.emplace();
  MonoTime until = clock_.now() + duration;
  bool mended = false;
  for (Duration left = duration; left > Duration::zero() && !stopping();
       left = until - clock_.now()) {
    pollfd fds[] = {{wake_fd_, POLLIN, 0}, {network_->fd(), POLLIN, 0}};
    poll(fds, 2, poll_timeout(certificates_ ? std::min(left, options_.certificate_look) : left));
    if (fds[0].revents != 0) drain_wake();
    if (look_at_certificates()) return true;
    if (fds[1].revents == 0 || !network_->changed() || mended) continue;
    mended = true;
    const auto jitter = std::chrono::duration_cast<Duration>(kSettleJitter * random_unit());
    until = std::min(until, clock_.now() + kSettle + jitter);
  }
  return mended;
}

void LinkWorker::request_stop(Duration timeout) {
  {
    const std::lock_guard lock(mutex_);
    stop_at_ = clock_.now() + timeout;
  }
  wake();
}

bool LinkWorker::wait_finished(Duration timeout) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, timeout, [this] { return finished_; })) return true;
  changed_.wait(lock, [this] { return finished_ || resolving_; });
  abandoned_ = !finished_;
  return finished_;
}

bool LinkWorker::stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_at_.has_value();
}

void LinkWorker::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void LinkWorker::drain_wake() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
}

}  // namespace wherry

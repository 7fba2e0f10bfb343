#pragma once
// The link's thread: chooses a broker, keeps a conversation with it, backs off, starts again.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/fleet/answer_box.h"
#include "agent/fleet/certificate_watch.h"
#include "agent/fleet/conversation.h"
#include "agent/fleet/fleet_link.h"
#include "agent/fleet/latest_slot.h"
#include "agent/fleet/network_watch.h"
#include "agent/fleet/topics.h"

namespace wherry {

// run() belongs to one thread; the rest is thread-safe.
class LinkWorker {
 public:
  LinkWorker(FleetOptions options, FleetHandlers handlers, const Clock& clock);
  ~LinkWorker();
  LinkWorker(const LinkWorker&) = delete;
  LinkWorker& operator=(const LinkWorker&) = delete;

  void run();
  void publish_reported(std::string json);
  void publish(OutboundMessage message);
  bool answer(CommandAnswer answer);
  LinkStatus status() const;
  // run() takes leave of the broker and returns, after `timeout` at the latest.
  void request_stop(Duration timeout);
  // False when run() is stuck in the resolver, which cannot be interrupted. It then touches neither
  // clock nor handlers any more and returns when the resolver does.
  bool wait_finished(Duration timeout);

 private:
  struct Outcome {
    Error error;
    bool stable = false;  // the connection had lasted
  };
  Outcome attempt(const std::string& broker);
  Outcome converse(MqttSession& session, const std::string& broker);
  Status take_turn(MqttSession& session, Conversation& conversation, MonoTime connect_deadline);
  Result<bool> take_leave(MqttSession& session, Conversation& conversation);
  Result<std::unique_ptr<MqttSession>> open(const SessionOptions& options);
  ConversationHooks hooks(const std::string& broker);
  void add_command_hooks(ConversationHooks& hooks);

  void set_status(bool connected, const std::string& broker, const std::string& reason,
                  const std::string& message);
  void tell(const LinkStatus& status) const;
  // Looks at the files of certificates, now and then. True when one has changed.
  bool look_at_certificates();
  // True when it ended early, as what kept us from the broker may be mended.
  bool pause(Duration duration);
  bool stopping() const;
  void end_session(const Error& why);
  void wake();
  void drain_wake();

  const FleetOptions options_;
  const FleetHandlers handlers_;
  const Clock& clock_;
  const Topics topics_;
  const int wake_fd_;
  // run()'s own:
  ClientKeys keys_;
  std::optional<CertificateWatch> certificates_;  // where a broker has TLS
  std::optional<NetworkWatch> network_;  // from the first attempt on, while there is no connection
  MonoTime look_again_{};
  MonoTime connected_at_{};  // of the present connection
  uint32_t unanswered_ = 0;  // connections in a row that ended for that
  std::string last_broker_;  // the one that has our retained messages

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  LinkStatus status_;
  LatestSlot reported_;
  AnswerBox answers_;
  std::deque<OutboundMessage> outgoing_;
  uint64_t session_ = 0;  // grows with each connection
  bool in_session_ = false;
  std::optional<MonoTime> stop_at_;
  bool resolving_ = false;
  bool abandoned_ = false;
  bool finished_ = false;
};

}  // namespace wherry

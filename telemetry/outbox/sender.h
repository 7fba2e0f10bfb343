#pragma once
// What to send next, and what became of it. Knows no MQTT: it hands out messages and is told what
// the broker acknowledged.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "telemetry/outbox/outbox.h"

namespace wherry::telemetry {

struct Outgoing {
  uint64_t session = 0;  // the connection that it is for: never to be sent on another
  uint64_t ticket = 0;   // to be given back with the acknowledgement
  std::string stream;    // the topic below the device's own
  std::string payload;
  std::string content_type;
};

struct SenderOptions {
  // A batch has at most this many bytes of records, and on a slow link fewer.
  size_t max_batch = 64 << 10;
  size_t max_in_flight = 1 << 20;  // bytes
  // Unacknowledged; MQTT libraries hold back what is beyond. A stream has three quarters of that,
  // and of the bytes, from its first unacknowledged one on, and a quarter once others have
  // overtaken that one: what is never acknowledged holds up no other stream.
  size_t max_batches = 16;
  bool compress = true;
  // After a connect the backlog waits for up to this long, so that a fleet does not come at once.
  Duration spread = std::chrono::seconds(3);
  // A stream whose batch the broker refuses is tried again after this, doubled up to an hour. So
  // is, up to ten minutes, one that was the first to wait for an acknowledgement when the broker
  // hung up `suspicious` times in a row: with MQTT 3.1.1 it has no other way to refuse a message.
  Duration refused_first = std::chrono::minutes(1);
  uint32_t suspicious = 3;
};

// Not thread-safe. The outbox and the clock must outlive it.
class Sender {
 public:
  Sender(Outbox& outbox, const Clock& clock, SenderOptions options, std::function<double()> random);

  // A connection is there, by whatever number; `content_types`: receivers learn them (MQTT 5).
  void connected(uint64_t session, bool content_types);
  // What is in flight may not have arrived and is sent again. `hung_up`: the broker ended the
  // connection, and not the network.
  void disconnected(bool hung_up);
  // False: the broker refused it.
  void acknowledged(uint64_t ticket, bool accepted);

  // The next message, in flight from then on; nothing when all is sent, the window is full, or it
  // is to wait. Errors are those of the outbox.
  Result<std::optional<Outgoing>> next();
  // Takes acknowledged records out of the outbox: what has gathered, or all.
  Status settle(bool all);

  // How long to wait for next() or settle() when nothing else happens; nothing: for ever.
  std::optional<Duration> pause() const;
  size_t streams() const { return courses_.size(); }  // that it remembers
  bool is_connected() const { return connected_; }

 private:
  struct Flight {
    uint64_t ticket = 0;
    std::string stream, epoch;
    uint64_t last = 0;
    size_t bytes = 0;
    MonoTime sent{};
    bool acknowledged = false;
    bool overtaken = false;  // a later one was acknowledged, or it was itself
  };
  struct Course {  // of one stream
    std::string epoch;
    uint64_t sent = 0;             // up to here
    uint64_t settled = 0;          // acknowledged
    bool unsettled = false;        // … and not yet taken out
    std::optional<MonoTime> held;  // refused: not before
    uint32_t refusals = 0;
    uint32_t losses = 0;  // connections that the broker ended, since the last acknowledgement
  };
  struct Load {  // of the connection, or a stream's part of it
    size_t flights = 0;
    size_t unacknowledged = 0;
    size_t waited_for = 0, bytes = 0;  // of those that were not overtaken
  };

  Course& course(const StreamState& state);
  Load load(const std::string* stream) const;  // null: of all
  bool has_its_share(const std::string& stream, bool full) const;
  void forget_flights(const std::string& stream);
  void forget_all_but(const std::vector<StreamState>& states);
  Result<std::optional<Outgoing>> batch_of(const StreamState& state, Course& course);
  void land(const std::string& stream);
  void hold(const std::string& stream, Course& course, Duration longest, const char* why);
  void suspect_the_first();
  void adapt(const Flight& flight);

  Outbox& outbox_;
  const Clock& clock_;
  const SenderOptions options_;
  const std::function<double()> random_;
  bool connected_ = false;
  uint64_t session_ = 0;
  bool content_types_ = false;
  MonoTime not_before_{};
  size_t window_ = 0;  // bytes that may be in flight
  MonoTime narrowed_{};
  uint64_t last_ticket_ = 0;
  std::deque<Flight> flights_;  // in the order they were sent
  std::map<std::string, Course> courses_;
  std::array<std::string, kKinds> last_;  // the stream of each kind that was sent from last
  size_t unsettled_ = 0;                  // acknowledged batches
  MonoTime unsettled_since_{}, settle_again_{};
};

}  // namespace wherry::telemetry

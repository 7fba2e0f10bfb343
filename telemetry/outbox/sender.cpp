#include "telemetry/outbox/sender.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/log.h"
#include "telemetry/outbox/batch.h"

namespace wherry::telemetry {
namespace {

// The window grows while acknowledgements come sooner than this, and shrinks when they come later:
// what is in flight is what a fresh event has to wait for.
constexpr Duration kPatience = std::chrono::milliseconds(200);
constexpr size_t kNarrowest = 4 << 10;
constexpr size_t kFirstWindow = 32 << 10;
constexpr Duration kLongestHold = std::chrono::hours(1);
// It may have been the broker that was ill, and not the record.
constexpr Duration kLongestSuspicion = std::chrono::minutes(10);
// Acknowledgements that are taken out together.
constexpr size_t kSettleBatches = 32;
constexpr Duration kSettleWithin = std::chrono::milliseconds(500);
constexpr Duration kSettleAgain = std::chrono::seconds(5);  // where the disk is full, say

}  // namespace

Sender::Sender(Outbox& outbox, const Clock& clock, SenderOptions options,
               std::function<double()> random)
    : outbox_(outbox), clock_(clock), options_(options), random_(std::move(random)) {}

void Sender::connected(uint64_t session, bool content_types) {
  disconnected(false);
  connected_ = true;
  session_ = session;
  content_types_ = content_types;
  window_ = std::min(kFirstWindow, options_.max_in_flight);
  not_before_ = clock_.now();
  const std::vector<StreamState> states = outbox_.streams();
  const bool backlog =
      std::any_of(states.begin(), states.end(), [](const StreamState& s) { return s.records > 0; });
  if (backlog) {
    const auto spread = static_cast<double>(options_.spread.count());
    not_before_ += Duration(static_cast<int64_t>(random_() * spread));
  }
}

void Sender::disconnected(bool hung_up) {
  if (hung_up) suspect_the_first();
  connected_ = false;
  flights_.clear();
  for (auto& [name, course] : courses_) {
    course.sent = course.settled;
    // Another broker may take what was refused; what ends connections would end that one, too.
    if (course.losses < options_.suspicious) course.held.reset();
  }
}

void Sender::suspect_the_first() {
  const auto first = std::find_if(flights_.begin(), flights_.end(),
                                  [](const Flight& flight) { return !flight.acknowledged; });
  if (first == flights_.end()) return;
  Course& course = courses_[first->stream];
  if (first->epoch != course.epoch || ++course.losses < options_.suspicious) return;
  hold(first->stream, course, kLongestSuspicion,
       "the broker ends connections over records, which are kept");
}

// Until a while has passed; then less of it is tried at once.
void Sender::hold(const std::string& stream, Course& course, Duration longest, const char* why) {
  const Backoff backoff{options_.refused_first, longest};
  const Duration wait = backoff.delay(++course.refusals, random_());
  log_warn(why,
           {{"stream", stream},
            {"again_in", format_duration(std::chrono::ceil<std::chrono::milliseconds>(wait))}});
  course.held = clock_.now() + wait;
}

Sender::Course& Sender::course(const StreamState& state) {
  Course& course = courses_[state.name];
  // Another stream of the same name begins anew.
  if (course.epoch != state.epoch) {
    // What is in flight was of the other one: its acknowledgements say nothing about this.
    if (!course.epoch.empty()) forget_flights(state.name);
    course = {};
    course.epoch = state.epoch;
  }
  course.settled = std::max(course.settled, state.acked);
  course.sent = std::max(course.sent, course.settled);
  return course;
}

Result<std::optional<Outgoing>> Sender::next() {
  const MonoTime now = clock_.now();
  if (!connected_ || now < not_before_) return std::nullopt;
  const Load load = this->load(nullptr);
  if (load.unacknowledged >= options_.max_batches) return std::nullopt;
  // A single one that fills the window by itself may be one that is never acknowledged.
  const bool full = load.bytes >= window_;
  if (full && load.waited_for != 1) return std::nullopt;
  std::vector<StreamState> states = outbox_.streams();  // by importance
  if (courses_.size() > states.size()) forget_all_but(states);
  for (auto begin = states.begin(); begin != states.end();) {
    const std::optional<Kind> kind = kind_of(begin->name);
    const auto end = std::find_if(begin, states.end(),
                                  [&](const StreamState& s) { return kind_of(s.name) != kind; });
    // Streams of one kind take turns.
    const auto last = std::find_if(begin, end, [&](const StreamState& s) {
      return s.name == last_[static_cast<size_t>(*kind)];
    });
    if (last != end) std::rotate(begin, last + 1, end);
    for (; begin != end; ++begin) {
      Course& course = this->course(*begin);
      if (course.held && now < *course.held) continue;
      if (course.sent + 1 >= begin->next || has_its_share(begin->name, full)) continue;
      auto batch = batch_of(*begin, course);
      if (batch && *batch) last_[static_cast<size_t>(*kind)] = begin->name;
      if (!batch || *batch) return batch;
    }
  }
  return std::nullopt;
}

Sender::Load Sender::load(const std::string* stream) const {
  Load load;
  for (const Flight& flight : flights_) {
    if (stream != nullptr && flight.stream != *stream) continue;
    ++load.flights;
    load.unacknowledged += flight.acknowledged ? 0 : 1;
    if (flight.overtaken) continue;
    ++load.waited_for;
    load.bytes += flight.bytes;
  }
  return load;
}

// `full`: the window is, by one that may be this stream's.
bool Sender::has_its_share(const std::string& stream, bool full) const {
  const Load own = load(&stream);
  const size_t quarter = std::max(options_.max_batches / 4, size_t{1});
  // Later ones are overtaken only together with the first.
  const bool overtaken = own.waited_for < own.flights;
  if (own.flights >= (overtaken ? 1 : 3) * quarter) return true;
  return own.bytes >= window_ / 4 * 3 || (full && own.flights > 0);
}

Result<std::optional<Outgoing>> Sender::batch_of(const StreamState& state, Course& course) {
  // A quarter of the window, so that there are always several on the way.
  size_t bytes = std::clamp(window_ / 4, size_t{1024}, options_.max_batch);
  // What a broker refuses it may take in smaller pieces.
  bytes = std::max(bytes >> std::min(course.refusals, 16U), size_t{1});
  const Result<Chunk> chunk = outbox_.read(state.name, course.sent, bytes);
  if (!chunk) return fail(chunk.error());
  if (chunk->first == 0) return std::nullopt;
  Outgoing out{session_, ++last_ticket_, state.name, batch_json(state.name, state.epoch, *chunk),
               kJsonType};
  if (options_.compress && content_types_) {
    if (auto frame = compressed(out.payload)) {
      out.payload = std::move(*frame);
      out.content_type = kZstdJsonType;
    }
  }
  course.sent = chunk->last();
  outbox_.note_sent(state.name, course.sent);
  flights_.push_back(
      {out.ticket, state.name, state.epoch, course.sent, out.payload.size(), clock_.now()});
  return out;
}

void Sender::acknowledged(uint64_t ticket, bool accepted) {
  const auto flight = std::find_if(flights_.begin(), flights_.end(),
                                   [&](const Flight& f) { return f.ticket == ticket; });
  if (flight == flights_.end() || flight->acknowledged) return;
  Course& course = courses_[flight->stream];
  if (flight->epoch != course.epoch) return;
  if (accepted) {
    // What it has overtaken may never be acknowledged: nothing waits for that.
    std::for_each(flights_.begin(), flight + 1, [](Flight& each) { each.overtaken = true; });
    adapt(*flight);
    flight->acknowledged = true;
    course.refusals = course.losses = 0;
    return land(std::string(flight->stream));
  }
  hold(flight->stream, course, kLongestHold, "the broker refuses records, which are kept");
  // All that is in flight of this stream counts as not sent: numbers go up without holes.
  course.sent = course.settled;
  forget_flights(std::string(flight->stream));
}

void Sender::forget_flights(const std::string& stream) {
  std::erase_if(flights_, [&](const Flight& flight) { return flight.stream == stream; });
}

void Sender::forget_all_but(const std::vector<StreamState>& states) {
  std::set<std::string_view> names;
  for (const StreamState& state : states) names.insert(state.name);
  for (auto course = courses_.begin(); course != courses_.end();) {
    if (names.contains(course->first)) {
      ++course;
      continue;
    }
    forget_flights(course->first);
    course = courses_.erase(course);
  }
}

// Brokers may acknowledge in any order; records go from the front only.
void Sender::land(const std::string& stream) {
  Course& course = courses_[stream];
  for (auto flight = flights_.begin(); flight != flights_.end();) {
    if (flight->stream != stream) {
      ++flight;
      continue;
    }
    if (!flight->acknowledged) return;
    course.settled = flight->last;
    course.unsettled = true;
    if (unsettled_++ == 0) unsettled_since_ = clock_.now();
    flight = flights_.erase(flight);
  }
}

void Sender::adapt(const Flight& flight) {
  const MonoTime now = clock_.now();
  if (now - flight.sent <= kPatience) {
    window_ = std::min(window_ + flight.bytes, options_.max_in_flight);
  } else if (flight.sent >= narrowed_) {  // not twice for what was sent before the last time
    window_ = std::max(window_ / 2, kNarrowest);
    narrowed_ = now;
  }
}

Status Sender::settle(bool all) {
  if (unsettled_ == 0) return {};
  const bool due = unsettled_ >= kSettleBatches || clock_.now() - unsettled_since_ >= kSettleWithin;
  if (!all && (!due || clock_.now() < settle_again_)) return {};
  std::vector<Outbox::Mark> marks;
  for (const auto& [stream, course] : courses_) {
    if (course.unsettled) marks.push_back({stream, course.epoch, course.settled});
  }
  Status done = outbox_.acknowledge(marks);
  if (!done) {
    settle_again_ = clock_.now() + kSettleAgain;
    return done;
  }
  for (auto& [stream, course] : courses_) course.unsettled = false;
  unsettled_ = 0;
  return {};
}

std::optional<Duration> Sender::pause() const {
  std::optional<MonoTime> until;
  const auto at = [&](MonoTime time) { until = until ? std::min(*until, time) : time; };
  const MonoTime now = clock_.now();
  if (unsettled_ > 0) at(std::max(unsettled_since_ + kSettleWithin, settle_again_));
  if (connected_ && now < not_before_) at(not_before_);
  for (const auto& [stream, course] : courses_) {
    if (connected_ && course.held && *course.held > now) at(*course.held);
  }
  if (!until) return std::nullopt;
  return std::max(*until - now, Duration::zero());
}

}  // namespace wherry::telemetry

#include "telemetry/telemetry.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/backoff.h"
#include "base/executor.h"
#include "base/log.h"

namespace wherry::telemetry {
namespace {

constexpr Duration kWriteAgain = std::chrono::seconds(5);
// What a log grows by within this is written together.
constexpr Duration kGather = std::chrono::milliseconds(100);
constexpr size_t kCopied = 200;
// Bytes of one append, well below what the smallest queue takes at once.
constexpr size_t kAtOnce = 16 << 10;

int64_t number_of(const std::string& cursor) {
  int64_t number = 0;
  std::from_chars(cursor.data(), cursor.data() + cursor.size(), number);
  return number;
}

}  // namespace

std::unique_ptr<Telemetry> Telemetry::open(const TelemetryOptions& options, const Clock& clock,
                                           TelemetryHooks hooks, Source source) {
  auto opened = Outbox::open(options.outbox, clock);
  std::unique_ptr<Telemetry> made(
      new Telemetry(options, clock, std::move(hooks), std::move(source), std::move(opened.outbox)));
  made->tell_set_aside(opened.renewed);
  return made;
}

void Telemetry::tell_set_aside(const Outbox::Renewed& renewed) const {
  if (renewed.set_aside.empty() || !hooks_.set_aside) return;
  hooks_.set_aside(renewed.set_aside, renewed.damage);
}

Telemetry::Telemetry(const TelemetryOptions& options, const Clock& clock, TelemetryHooks hooks,
                     Source source, std::unique_ptr<Outbox> outbox)
    : options_(options),
      clock_(clock),
      hooks_(std::move(hooks)),
      source_(std::move(source)),
      outbox_(std::move(outbox)),
      sender_(*outbox_, clock, options.sender, random_unit),
      copy_at_(clock.now()) {}

Telemetry::~Telemetry() { stop(); }

void Telemetry::start() {
  thread_ = std::thread([this] { run(); });
}

void Telemetry::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<Appended> Telemetry::append(const std::string& stream, Lines lines,
                                   const Outbox::More& more) {
  auto appended = outbox_->append(stream, std::move(lines), more);
  wake();
  return appended;
}

void Telemetry::post(const std::string& stream, std::string record) {
  {
    const std::lock_guard lock(mutex_);
    posted_bytes_ += record.size();
    posted_.push_back({stream, std::move(record)});
    shorten_posted();
  }
  wake();
}

void Telemetry::source_grew() {
  {
    const std::lock_guard lock(mutex_);
    if (copy_at_) return;
    copy_at_ = clock_.now() + kGather;
  }
  wake();
}

Result<Chunk> Telemetry::read(const std::string& stream, uint64_t after, size_t max_bytes) {
  auto chunk = outbox_->read(stream, after, max_bytes);
  if (!chunk && !outbox_->ready()) wake();
  return chunk;
}

void Telemetry::connected(uint64_t session, bool content_types) {
  tell({News::Kind::Connected, session, content_types});
}
void Telemetry::disconnected(bool hung_up) { tell({News::Kind::Disconnected, 0, hung_up}); }
void Telemetry::acknowledged(uint64_t ticket, bool accepted) {
  tell({News::Kind::Acknowledged, ticket, accepted});
}

void Telemetry::tell(News news) {
  {
    const std::lock_guard lock(mutex_);
    news_.push_back(news);  // bounded by what is in flight
  }
  wake();
}

void Telemetry::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Telemetry::run() {
  name_this_thread("outbox");
  while (wait_for_work()) {
    take_news();
    if (!outbox_->ready()) renew();
    if (outbox_->ready()) {
      copy_source();
      write_posted();
    }
    send_and_settle();
  }
  copy_source();
  write_posted();
  if (const Status settled = sender_.settle(true); !settled) {
    log_warn("acknowledged records will be sent again", {{"error", settled.error().full()}});
  }
}

// False: it is time to stop.
bool Telemetry::wait_for_work() {
  std::optional<Duration> pause = sender_.pause();
  std::unique_lock lock(mutex_);
  const auto at = [&](MonoTime time) {
    const Duration until = std::max(time - clock_.now(), Duration::zero());
    pause = pause ? std::min(*pause, until) : until;
  };
  const bool ready_to_write = outbox_->ready();
  if (!posted_.empty() || !ready_to_write) at(write_again_);
  if (copy_at_ && ready_to_write) at(*copy_at_);
  const auto ready = [this] { return woken_ || stopping_; };
  if (pause) {
    changed_.wait_for(lock, *pause, ready);
  } else {
    changed_.wait(lock, ready);
  }
  woken_ = false;
  return !stopping_;
}

void Telemetry::take_news() {
  std::deque<News> news;
  {
    const std::lock_guard lock(mutex_);
    news.swap(news_);
  }
  for (const News& one : news) {
    switch (one.kind) {
      case News::Kind::Connected:
        sender_.connected(one.number, one.flag);
        break;
      case News::Kind::Disconnected:
        sender_.disconnected(one.flag);
        break;
      case News::Kind::Acknowledged:
        sender_.acknowledged(one.number, one.flag);
        break;
    }
  }
}

void Telemetry::renew() {
  {
    const std::lock_guard lock(mutex_);
    if (clock_.now() < write_again_) return;
    write_again_ = clock_.now() + kWriteAgain;
  }
  const auto renewed = outbox_->renew();
  if (!renewed) {
    std::string trouble = renewed.error().full();
    if (trouble != trouble_) log_error("there is no outbox", {{"error", trouble}});
    trouble_ = std::move(trouble);
    return;
  }
  trouble_.clear();
  {
    const std::lock_guard lock(mutex_);
    write_again_ = {};
  }
  tell_set_aside(*renewed);
}

void Telemetry::copy_source() {
  {
    const std::lock_guard lock(mutex_);
    if (!copy_at_ || (clock_.now() < *copy_at_ && !stopping_)) return;
    copy_at_.reset();
  }
  while (true) {
    int64_t after = number_of(outbox_->cursor(source_.stream));
    // A log that was lost begins anew, below what was copied of the former one.
    if (source_.last && source_.last() < after) after = 0;
    const auto records = source_.read(after, kCopied);
    if (records && records->empty()) return;
    Status done = records ? copy(*records) : fail(records.error());
    if (done) continue;
    log_warn("cannot copy the log to the outbox", {{"error", done.error().full()}});
    const std::lock_guard lock(mutex_);
    copy_at_ = clock_.now() + kWriteAgain;
    return;
  }
}

Status Telemetry::copy(const std::vector<Source::Record>& records) {
  for (size_t i = 0; i < records.size();) {
    Lines lines;
    int64_t cursor = 0;
    do {
      lines.add(records[i].json);
      cursor = records[i++].number;
    } while (i < records.size() && lines.text.size() + records[i].json.size() < kAtOnce);
    const auto kept =
        outbox_->append(source_.stream, std::move(lines), {.cursor = std::to_string(cursor)});
    if (!kept) return fail(kept.error());
  }
  return {};
}

void Telemetry::write_posted() {
  std::vector<Posted> posted;
  std::map<std::string, uint64_t> given_up;
  {
    const std::lock_guard lock(mutex_);
    if (posted_.empty() || (clock_.now() < write_again_ && !stopping_)) return;
    posted.assign(std::make_move_iterator(posted_.begin()), std::make_move_iterator(posted_.end()));
    posted_.clear();
    posted_bytes_ = 0;
    given_up.swap(given_up_);
  }
  std::vector<Posted> left;
  std::set<std::string> failed;
  for (size_t i = 0; i < posted.size();) {
    const std::string stream = posted[i].stream;
    Lines lines;
    const size_t begin = i;
    while (i < posted.size() && posted[i].stream == stream &&
           (lines.empty() || lines.text.size() + posted[i].record.size() < kAtOnce)) {
      lines.add(posted[i++].record);
    }
    const uint64_t lost = std::exchange(given_up[stream], 0);
    const uint32_t count = lines.count;
    Result<Appended> kept = fail(Code::Unavailable, "earlier ones wait");
    if (!failed.contains(stream)) kept = outbox_->append(stream, std::move(lines), {.lost = lost});
    if (kept) continue;
    const std::lock_guard lock(mutex_);
    if (kept.error().code() == Code::InvalidArgument) {  // never will be
      log_error("records are given up", {{"stream", stream}, {"error", kept.error().full()}});
      given_up_[stream] += lost + count;
      continue;
    }
    if (failed.insert(stream).second) {
      log_warn("records wait for the disk", {{"stream", stream}, {"error", kept.error().full()}});
    }
    given_up_[stream] += lost;
    left.insert(left.end(), std::make_move_iterator(posted.begin() + static_cast<ptrdiff_t>(begin)),
                std::make_move_iterator(posted.begin() + static_cast<ptrdiff_t>(i)));
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [stream, lost] : given_up) {
      if (lost > 0) given_up_[stream] += lost;
    }
  }
  if (!left.empty()) put_back(std::move(left));
}

void Telemetry::put_back(std::vector<Posted> posted) {
  const std::lock_guard lock(mutex_);
  for (const Posted& one : posted) posted_bytes_ += one.record.size();
  posted_.insert(posted_.begin(), std::make_move_iterator(posted.begin()),
                 std::make_move_iterator(posted.end()));
  shorten_posted();
  write_again_ = clock_.now() + kWriteAgain;
}

// The caller holds the mutex.
void Telemetry::shorten_posted() {
  while (posted_bytes_ > options_.max_posted && posted_.size() > 1) {
    ++given_up_[posted_.front().stream];
    posted_bytes_ -= posted_.front().record.size();
    posted_.pop_front();
  }
}

void Telemetry::send_and_settle() {
  while (true) {
    auto out = sender_.next();
    if (!out) {
      if (outbox_->ready()) log_warn("cannot read the outbox", {{"error", out.error().full()}});
      break;
    }
    if (!*out) break;
    hooks_.send(std::move(**out));
  }
  const Status settled = sender_.settle(false);
  if (!settled && outbox_->ready()) {
    log_warn("cannot write the outbox", {{"error", settled.error().full()}});
  }
}

}  // namespace wherry::telemetry

#pragma once
// The room's door: records are handed in here and go to the broker when it can be reached.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "telemetry/outbox/outbox.h"
#include "telemetry/outbox/sender.h"

namespace wherry::telemetry {

struct TelemetryOptions {
  OutboxOptions outbox;
  SenderOptions sender;
  // Of records that were posted and are not on disk yet.
  size_t max_posted = 1 << 20;  // bytes
};

// A log that is copied upstream, record by record: what it holds is safe already.
struct Source {
  std::string stream;
  struct Record {
    int64_t number = 0;  // grows, may skip
    std::string json;    // an object on one line, with its time
  };
  // Those with number > after, oldest first, at most `limit`.
  std::function<Result<std::vector<Record>>(int64_t after, size_t limit)> read;
  // The number of the newest, or above. May be empty: then the log is never lost.
  std::function<int64_t()> last = {};
};

struct TelemetryHooks {
  // Takes a message over and returns at once; acknowledged() or disconnected() follows.
  std::function<void(Outgoing)> send;
  // The store was damaged; it has been set aside as `path` and a new one begun.
  std::function<void(const std::string& path, const std::string& damage)> set_aside;
};

// Thread-safe. Hooks are called on the room's own thread (set_aside from open(), too), never after
// stop().
class Telemetry {
 public:
  // Opens the outbox; where that fails it is tried again from time to time, and append() fails
  // meanwhile. The clock must outlive it.
  static std::unique_ptr<Telemetry> open(const TelemetryOptions& options, const Clock& clock,
                                         TelemetryHooks hooks, Source source);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  void start();
  // Puts what was posted on disk and returns; nothing is sent any more.
  void stop();

  // On disk when it returns (Outbox::append).
  Result<Appended> append(const std::string& stream, Lines lines, const Outbox::More& more = {});
  std::string cursor(const std::string& stream) const { return outbox_->cursor(stream); }
  // On disk soon, without waiting for it: `record` is a JSON object on one line, with its time.
  // Past max_posted, or where the disk is full for long, the oldest posted are given up, which is
  // announced like every drop.
  void post(const std::string& stream, std::string record);
  // The log of the source has grown.
  void source_grew();
  Result<Chunk> read(const std::string& stream, uint64_t after, size_t max_bytes);
  std::vector<StreamState> streams() const { return outbox_->streams(); }
  Status forget(const std::string& stream) { return outbox_->forget(stream); }
  Status trouble() const { return outbox_->trouble(); }  // why there is no outbox

  // What became of the link and of what send() was given.
  void connected(uint64_t session, bool content_types);
  void disconnected(bool hung_up);  // as Sender has it
  void acknowledged(uint64_t ticket, bool accepted);

 private:
  struct News {
    enum class Kind { Connected, Disconnected, Acknowledged } kind;
    uint64_t number = 0;  // session or ticket
    bool flag = false;
  };
  struct Posted {
    std::string stream, record;
  };

  Telemetry(const TelemetryOptions& options, const Clock& clock, TelemetryHooks hooks,
            Source source, std::unique_ptr<Outbox> outbox);
  void run();
  bool wait_for_work();
  void take_news();
  void renew();
  void tell_set_aside(const Outbox::Renewed& renewed) const;
  void copy_source();
  Status copy(const std::vector<Source::Record>& records);
  void write_posted();
  void send_and_settle();
  void put_back(std::vector<Posted> posted);
  void shorten_posted();
  void tell(News news);
  void wake();

  const TelemetryOptions options_;
  const Clock& clock_;
  const TelemetryHooks hooks_;
  const Source source_;
  const std::unique_ptr<Outbox> outbox_;
  Sender sender_;        // the thread's own
  std::string trouble_;  // … what has been logged
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<News> news_;
  std::deque<Posted> posted_;
  size_t posted_bytes_ = 0;
  std::map<std::string, uint64_t> given_up_;  // of posted records, by stream
  MonoTime write_again_{};                    // after an attempt that failed
  std::optional<MonoTime> copy_at_;
  bool woken_ = false;
  bool stopping_ = false;
};

}  // namespace wherry::telemetry

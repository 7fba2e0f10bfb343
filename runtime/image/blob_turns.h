#pragma once
// Whose turn it is to fetch a blob that several pulls want, each from a registry of its own. Only
// one fetches at a time, and the next continues where it stopped, so nothing is fetched twice; but
// a registry that crawls does not keep from the device what another one could bring.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

// Thread-safe. Who waits takes over from another source that has had `trial`, would still take
// longer than `worth` at its pace of now, and is not known to be at least half as fast as the own
// source. What is not known is tried; what was learnt is forgotten after five minutes.
class BlobTurns {
  struct Blob;

 public:
  explicit BlobTurns(Duration trial = std::chrono::seconds(5),
                     Duration worth = std::chrono::seconds(20))
      : trial_(trial), worth_(worth) {}

  // The wish of one pull for one blob, for as long as it lasts. Not thread-safe by itself.
  class Seeker {
   public:
    // `source` says where it would come from: equal ones never take over from each other.
    // `size`: bytes of the blob. `turns` must outlive it.
    Seeker(BlobTurns& turns, std::string digest, int64_t size, std::string source);
    ~Seeker();
    Seeker(const Seeker&) = delete;
    Seeker& operator=(const Seeker&) = delete;

    // Waits for its turn; `joined` is told meanwhile how many bytes are there by others.
    Status take(const std::function<void(int64_t)>& joined, const CancelToken& cancel);
    void give_back();
    // Of the turn: cancelled as the caller's is, and when somebody takes over.
    const CancelToken& cancel() const { return turn_; }
    bool taken_over() const;

    // While it has the turn: how many bytes were there before it began, and are there now.
    void begin(int64_t done);
    void progress(int64_t done);
    // It waits for something that says nothing of its source.
    void idle(bool waits);
    // Its source cannot continue what is there. False where another could: better give back.
    bool may_start_over();

   private:
    friend class BlobTurns;
    BlobTurns& turns_;
    const std::string digest_;
    const int64_t size_;
    Blob* blob_;  // its own as long as it is one of its seekers
    const std::string source_;
    CancelToken turn_;
    std::shared_ptr<void> link_;  // from the caller's token to that of the turn
    // Guarded by turns_.mutex_:
    bool taken_over_ = false, idle_ = false, starts_over_ = false, waits_ = false;
    int64_t sampled_ = 0;  // bytes there at `sample_`
    MonoTime sample_{};
  };

 private:
  struct Blob {
    std::vector<Seeker*> seekers;
    Seeker* holder = nullptr;
    Seeker* next = nullptr;  // has been promised the turn
    int64_t done = 0;        // bytes that are there
  };
  struct Pace {
    double rate;  // bytes per second
    MonoTime at;
  };
  bool is_turn_of(const Seeker& seeker) const;
  bool is_better(const Seeker& seeker, Seeker& holder);
  void learn(const std::string& source, double rate, MonoTime now);

  const Duration trial_, worth_;
  const SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Blob> blobs_;
  std::map<std::string, Pace> paces_;  // by source
};

}  // namespace wherry::runtime

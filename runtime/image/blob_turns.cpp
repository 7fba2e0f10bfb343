#include "runtime/image/blob_turns.h"

#include <algorithm>

namespace wherry::runtime {
namespace {

constexpr Duration kRemember = std::chrono::minutes(5);
constexpr Duration kLookEvery = std::chrono::milliseconds(250);  // as often as progress is told
// Two sources that are about the same must not take turns for ever.
constexpr double kMuchFaster = 2;

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

BlobTurns::Seeker::Seeker(BlobTurns& turns, std::string digest, int64_t size, std::string source)
    : turns_(turns), digest_(std::move(digest)), size_(size), source_(std::move(source)) {
  const std::lock_guard lock(turns_.mutex_);
  blob_ = &turns_.blobs_[digest_];
  blob_->seekers.push_back(this);
}

BlobTurns::Seeker::~Seeker() {
  give_back();
  const std::lock_guard lock(turns_.mutex_);
  std::erase(blob_->seekers, this);
  if (blob_->seekers.empty()) turns_.blobs_.erase(digest_);
}

Status BlobTurns::Seeker::take(const std::function<void(int64_t)>& joined,
                               const CancelToken& cancel) {
  // Goes after the lock does: whoever cancels may be waiting for it.
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(turns_.mutex_);
    turns_.changed_.notify_all();
  });
  turn_ = CancelToken();
  link_ = cancel.on_cancel([turn = turn_]() mutable { turn.cancel(); });
  std::unique_lock lock(turns_.mutex_);
  Blob& blob = *blob_;
  waits_ = true;
  while (!turns_.is_turn_of(*this)) {
    if (cancel.cancelled()) {
      waits_ = false;
      if (blob.next == this) blob.next = nullptr;
      turns_.changed_.notify_all();
      return fail(Code::Cancelled, "cancelled");
    }
    if (blob.holder != nullptr) joined(blob.done);
    if (blob.holder != nullptr && blob.next == nullptr && turns_.is_better(*this, *blob.holder)) {
      blob.next = this;
      blob.holder->taken_over_ = true;
      CancelToken turn = blob.holder->turn_;
      lock.unlock();
      turn.cancel();
      lock.lock();
      continue;
    }
    turns_.changed_.wait_for(lock, std::min(kLookEvery, turns_.trial_));
  }
  blob.next = nullptr;
  blob.holder = this;
  taken_over_ = idle_ = waits_ = false;
  sample_ = turns_.clock_.now();
  sampled_ = blob.done;
  return {};
}

void BlobTurns::Seeker::give_back() {
  {
    const std::lock_guard lock(turns_.mutex_);
    if (blob_->holder != this) return;
    blob_->holder = nullptr;
    const MonoTime now = turns_.clock_.now();
    if (now - sample_ >= turns_.trial_ && !taken_over_) {
      turns_.learn(source_, static_cast<double>(blob_->done - sampled_) / seconds_of(now - sample_),
                   now);
    }
  }
  link_.reset();
  turns_.changed_.notify_all();
}

bool BlobTurns::Seeker::taken_over() const {
  const std::lock_guard lock(turns_.mutex_);
  return taken_over_;
}

void BlobTurns::Seeker::begin(int64_t done) {
  const std::lock_guard lock(turns_.mutex_);
  sampled_ = blob_->done = done;
}

void BlobTurns::Seeker::progress(int64_t done) {
  const std::lock_guard lock(turns_.mutex_);
  blob_->done = done;
}

void BlobTurns::Seeker::idle(bool waits) {
  const std::lock_guard lock(turns_.mutex_);
  idle_ = waits;
  sample_ = turns_.clock_.now();
  sampled_ = blob_->done;
}

bool BlobTurns::Seeker::may_start_over() {
  const std::lock_guard lock(turns_.mutex_);
  starts_over_ = true;
  turns_.learn(source_, 0, turns_.clock_.now());
  const auto& seekers = blob_->seekers;
  return std::none_of(seekers.begin(), seekers.end(), [&](const Seeker* other) {
    return other->source_ != source_ && !other->starts_over_;
  });
}

bool BlobTurns::is_turn_of(const Seeker& seeker) const {
  const Blob& blob = *seeker.blob_;
  if (blob.holder != nullptr) return false;
  if (blob.next != nullptr) return blob.next == &seeker;
  return !seeker.starts_over_ ||
         std::none_of(blob.seekers.begin(), blob.seekers.end(),
                      [](const Seeker* other) { return other->waits_ && !other->starts_over_; });
}

void BlobTurns::learn(const std::string& source, double rate, MonoTime now) {
  paces_[source] = {std::max(rate, 0.0), now};
}

bool BlobTurns::is_better(const Seeker& seeker, Seeker& holder) {
  const MonoTime now = clock_.now();
  if (holder.idle_ || holder.source_ == seeker.source_) return false;
  const Duration measured = now - holder.sample_;
  if (measured < trial_) return false;
  const int64_t left = holder.size_ - holder.blob_->done;
  // Less than before, where it had to start over: then it is not at a standstill.
  const int64_t got = holder.blob_->done - holder.sampled_;
  const double rate =
      static_cast<double>(got < 0 ? holder.blob_->done : got) / seconds_of(measured);
  // What is measured is a time of now, not all that has been.
  holder.sample_ = now;
  holder.sampled_ = holder.blob_->done;
  learn(holder.source_, rate, now);
  std::erase_if(paces_, [&](const auto& each) { return now - each.second.at > kRemember; });
  if (left <= 0 || static_cast<double>(left) <= rate * seconds_of(worth_)) return false;
  const auto mine = paces_.find(seeker.source_);
  return mine == paces_.end() || mine->second.rate > kMuchFaster * rate;
}

}  // namespace wherry::runtime

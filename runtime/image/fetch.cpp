#include "runtime/image/fetch.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "runtime/image/store.h"

namespace wherry::runtime {
namespace {

constexpr size_t kBuffer = 256u << 10;
// On a slow link, so that a power cut costs little.
constexpr Duration kFlushEvery = std::chrono::seconds(2);
constexpr uint32_t kMaxFailures = 5;
constexpr int kMaxDamaged = 2;
// Less than this is no progress: a link that gives a byte at a time is no link.
constexpr int64_t kProgress = 64 << 10;

// Takes the bytes of one blob, over as many attempts as it needs.
class Intake final : public BlobSink {
 public:
  Intake(const FetchContext& context, std::string ref, const Descriptor& blob,
         std::atomic<int64_t>& done, BlobTurns::Seeker& seeker)
      : context_(context), ref_(std::move(ref)), blob_(blob), done_(done), seeker_(seeker) {}

  // Opens the ingest unless it is open. False when the blob is in the store already.
  Result<bool> open() {
    if (writer_) return true;
    lease_ = context_.lease();
    auto writer = open_at(lease_);
    if (!writer && writer.error().code() == Code::AlreadyExists) return false;
    if (!writer) return fail(writer.error());
    writer_ = std::move(*writer);
    buffer_.clear();
    if (start_over_ || writer_->offset() > blob_.size) {
      if (Status reset = restart(); !reset) return fail(reset.error());
    }
    start_over_ = false;
    done_ = writer_->offset();
    most_ = std::max<int64_t>(most_, done_);  // what others brought is no progress of ours
    seeker_.begin(done_);
    return true;
  }

  int64_t offset() const override {
    return writer_ ? writer_->offset() + static_cast<int64_t>(buffer_.size()) : 0;
  }
  bool complete() const { return offset() == blob_.size; }

  // From the registry, while it is this pull's turn.
  Status stream() {
    seeker_.idle(true);
    const auto slot = context_.slots.take({&context_.share, context_.source}, seeker_.cancel());
    seeker_.idle(false);
    if (!slot) return fail(slot.error());
    slot_ = &*slot;
    flushed_ = clock_.now();
    buffer_.reserve(kBuffer);
    Status streamed = context_.registry.blob(blob_, *this, seeker_.cancel());
    if (writer_) static_cast<void>(settle());  // the next attempt, or agent, continues from there
    std::string().swap(buffer_);
    slot_ = nullptr;
    if (streamed && writer_ && !complete()) {
      return fail(Code::Unavailable, "blob " + blob_.digest + " ended early");
    }
    return streamed && !writer_ ? lost() : streamed;
  }
  // Is more of the blob here than ever before? The same bytes again are no progress.
  bool progressed() {
    const int64_t before = std::exchange(most_, std::max<int64_t>(most_, done_));
    return done_ - before >= kProgress;
  }
  // True once after it was another pull's turn: no failure.
  bool take_yielded() { return std::exchange(yielded_, false); }
  // True once after it left the blob to those who need not start over.
  bool take_declined() { return std::exchange(declined_, false); }
  // Others may write now.
  void close() { writer_.reset(); }
  // What another pull has brought so far.
  void joined(int64_t there) {
    if (there > done_) context_.received += there - done_;
    done_ = there;
  }

  Status begin(int64_t at, bool continues) override {
    if (!writer_) return lost();
    continues_ = continues;
    if (at == offset()) return {};
    if (at != 0) return fail(Code::Unavailable, "bytes for another place in the blob");
    if (!continues && !seeker_.may_start_over()) {
      declined_ = true;
      return fail(Code::Cancelled, "another registry can continue what is here");
    }
    return restart();
  }

  Status data(std::string_view bytes) override {
    if (!writer_) return lost();
    if (Status turn = slot_->keep(seeker_.cancel()); !turn) return turn;
    if (offset() + static_cast<int64_t>(bytes.size()) > blob_.size) {
      return damaged("is longer than the " + std::to_string(blob_.size) + " bytes announced");
    }
    const auto size = static_cast<int64_t>(bytes.size());
    done_ += size;
    seeker_.progress(done_);
    context_.received += size;
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kBuffer - buffer_.size());
      buffer_ += piece;
      bytes.remove_prefix(piece.size());
      const bool due = buffer_.size() == kBuffer || clock_.now() - flushed_ >= kFlushEvery;
      if (!due) continue;
      if (Status written = flush(); !written) return written;
    }
    // Who cannot continue would throw all of it away, and never come to an end.
    if (!complete() && continues_ && slot_->must_yield()) {
      yielded_ = true;
      return fail(Code::Cancelled, "it is another pull's turn");
    }
    return context_.share.pay(size, seeker_.cancel());
  }

  Status commit(const StringMap& labels) {
    Status committed = writer_->commit(labels);
    if (!committed && committed.error().code() == Code::DataLoss) {
      return damaged(committed.error().message());
    }
    if (!committed) writer_.reset();
    return committed;
  }

 private:
  Status flush() {
    if (buffer_.empty()) return {};
    Status written = move_on();
    if (written) written = writer_->write(buffer_);
    buffer_.clear();
    flushed_ = clock_.now();
    if (!written) writer_.reset();  // its place is unknown now: open it anew
    return written;
  }

  Status settle() {
    Status written = flush();
    if (written && writer_) written = writer_->settle();
    if (!written) writer_.reset();
    return written;
  }

  // Under the lease of now: the one it was opened under will not last.
  Status move_on() {
    const std::string now = context_.lease();
    if (now == lease_) return {};
    if (Status settled = writer_->settle(); !settled) return settled;
    const int64_t place = writer_->offset();
    writer_.reset();
    auto writer = open_at(now);
    if (!writer) return fail(writer.error());
    if ((*writer)->offset() != place) return lost();
    writer_ = std::move(*writer);
    lease_ = now;
    return {};
  }

  // The store may have to read first what is there: nothing that the source could help.
  Result<std::unique_ptr<BlobWriter>> open_at(const std::string& lease) {
    const int64_t there = context_.backend.ingested(ref_).value_or(0);
    if (there <= blob_.size) done_ = there;
    most_ = std::max<int64_t>(most_, done_);
    seeker_.idle(true);
    context_.checking += there;
    auto writer = context_.backend.open_blob(ref_, blob_, lease, seeker_.cancel());
    context_.checking -= there;
    seeker_.idle(false);
    return writer;
  }

  // From byte 0. Nothing that was there may remain as the beginning of a later attempt.
  Status restart() {
    buffer_.clear();
    done_ = 0;
    seeker_.progress(0);
    Status reset = writer_->truncate();
    if (!reset) writer_.reset();
    return reset;
  }

  static Status lost() { return fail(Code::Unavailable, "the content store broke off"); }

  // The store ends a writer whose commit it refuses; then the next one starts over.
  Status damaged(const std::string& how) {
    start_over_ = !restart();
    return fail(Code::DataLoss, "blob " + blob_.digest + " " + how);
  }

  const FetchContext& context_;
  const std::string ref_;
  const Descriptor& blob_;
  std::atomic<int64_t>& done_;
  BlobTurns::Seeker& seeker_;
  const Slots::Hold* slot_ = nullptr;  // while it streams
  bool yielded_ = false, declined_ = false;
  bool continues_ = true;  // the host that answers can, as far as is known
  int64_t most_ = 0;       // of the blob that was here at any time
  std::string lease_;      // that the writer was opened under
  std::unique_ptr<BlobWriter> writer_;
  bool start_over_ = false;
  std::string buffer_;
  const SystemClock clock_;
  MonoTime flushed_{};
};

// One attempt; success: it is in the store, where digest and size were checked.
Status attempt(const FetchContext& context, const Descriptor& blob, const StringMap& labels,
               Intake& intake) {
  if (Status reached = failpoint("image.layer"); !reached) return reached;
  const auto needed = intake.open();
  if (!needed) return fail(needed.error());
  const bool there = !*needed || intake.complete();
  if (!there) {
    if (Status streamed = intake.stream(); !streamed) return streamed;
  }
  context.arrived();
  if (Status reached = failpoint("image.layer-commit"); !reached) return reached;
  if (*needed) {
    if (Status committed = intake.commit(labels); !committed) return committed;
  }
  // The labels of a commit are lost on a blob that was there before.
  if (!there || labels.empty()) return {};
  return context.backend.set_blob_labels(blob.digest, labels);
}

}  // namespace

bool is_temporary(const Error& error) {
  return error.code() == Code::Unavailable || error.code() == Code::DeadlineExceeded;
}

Status fetch_blob(const FetchContext& context, std::string_view kind, const Descriptor& blob,
                  const StringMap& labels, std::atomic<int64_t>& done, const CancelToken& cancel) {
  BlobTurns::Seeker seeker(context.turns, blob.digest, blob.size, context.source);
  Intake intake(context, ingest_name(kind, blob.digest), blob, done, seeker);
  uint32_t failures = 0;
  int damaged = 0;
  while (true) {
    const auto joined = [&](int64_t there) { intake.joined(there); };
    Status fetched = seeker.take(joined, cancel);
    // The writer is kept while others have their turn: the store would have to read all of it.
    bool yielded = true;
    while (fetched && yielded) {
      fetched = attempt(context, blob, labels, intake);
      yielded = intake.take_yielded() && !fetched && !cancel.cancelled() && !seeker.taken_over();
      if (yielded) fetched = {};
    }
    intake.close();
    seeker.give_back();
    if (fetched) {
      done = blob.size;
      return {};
    }
    const Error& error = fetched.error();
    if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    if (seeker.taken_over()) continue;
    if (intake.take_declined()) {
      if (cancel.wait_for(context.retry.delay(1, random_unit()))) {
        return fail(Code::Cancelled, "cancelled");
      }
      continue;
    }
    if (intake.progressed()) failures = 0;
    ++failures;
    const bool again =
        error.code() == Code::DataLoss
            ? context.registry.blame(blob.digest) || ++damaged < kMaxDamaged
            : is_temporary(error) && failures < kMaxFailures && error.retry_after().count() == 0;
    if (!again) return fail(error);
    log_warn("layer download failed, trying again",
             {{"blob", blob.digest}, {"at", std::to_string(done)}, {"error", error.full()}});
    if (cancel.wait_for(context.retry.delay(failures, random_unit()))) {
      return fail(Code::Cancelled, "cancelled");
    }
  }
}

}  // namespace wherry::runtime

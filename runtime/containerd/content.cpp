#include <algorithm>

#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

constexpr size_t kChunk = 1 << 20;  // of one write message; the daemon refuses more than 16 MiB
// The daemon holds an ingest locked until it has noticed that an earlier writer is gone.
constexpr int kLockedTries = 20;
constexpr Duration kLockedWait = std::chrono::milliseconds(100);
constexpr Duration kLookAgain = std::chrono::seconds(1);  // how much there is to wait for

// The content service says FailedPrecondition for a digest or size that is not the expected one.
Error commit_error(const Error& error) {
  const std::string& message = error.message();
  const bool wrong_bytes = error.code() == Code::FailedPrecondition &&
                           (message.find("unexpected") != std::string::npos ||
                            message.find("size validation") != std::string::npos);
  if (!wrong_bytes) return error;
  // "unexpected commit digest sha256:…, expected sha256:…"
  constexpr std::string_view kDigest = "unexpected commit digest ";
  const size_t at = message.find(kDigest);
  if (at == std::string::npos) return {Code::DataLoss, message};
  const size_t begin = at + kDigest.size();
  return {Code::DataLoss, "has the digest " + message.substr(begin, message.find(',', at) - begin)};
}

class ContentWriter final : public BlobWriter {
 public:
  ContentWriter(std::unique_ptr<Stream> stream, std::string ref, Descriptor blob)
      : stream_(std::move(stream)), ref_(std::move(ref)), blob_(std::move(blob)) {}

  // The ingest as it stands; AlreadyExists where the blob is complete. The daemon reads what is
  // there first, under a lock that only one has at a time: `reading` counts the bytes of all.
  Status begin(const std::atomic<int64_t>& reading, const CancelToken& cancel) {
    const auto guard = cancel.on_cancel([this] { stream_->cancel(); });
    rpc::content::WriteContentRequest request;
    request.set_action(rpc::content::STAT);
    request.set_ref(ref_);
    request.set_total(blob_.size);
    request.set_expected(blob_.digest);
    if (Status status = stream_->write(request); !status) return status;
    const SystemClock clock;
    const MonoTime begun = clock.now();
    for (Duration patience = kLong; !stream_->wait_readable(kLookAgain);) {
      patience = std::max(patience, kLong + reading_time(reading));
      if (clock.now() - begun < patience) continue;
      return fail(Code::DeadlineExceeded,
                  "containerd Content/Write: no answer in " +
                      format_duration(std::chrono::ceil<std::chrono::seconds>(patience)));
    }
    return answer();
  }

  void set_complete() { complete_ = true, offset_ = blob_.size; }

  int64_t offset() const override { return offset_; }

  Status write(std::string_view bytes) override {
    if (complete_) return {};
    while (!bytes.empty()) {
      const size_t size = std::min(bytes.size(), kChunk);
      write_.set_action(rpc::content::WRITE);
      write_.set_offset(offset_);
      write_.set_data(bytes.data(), size);
      if (Status status = stream_->write(write_); !status) return status;
      if (Status status = settle(); !status) return status;
      answered_ = false;
      offset_ += static_cast<int64_t>(size);
      bytes.remove_prefix(size);
    }
    return {};
  }

  // One message is under way while the daemon hashes and writes the one before.
  Status settle() override {
    if (answered_) return {};
    const int64_t expected = offset_;
    if (Status status = answer(); !status) return status;
    answered_ = true;
    if (offset_ == expected) return {};
    return fail(Code::Internal, "containerd Content/Write: wrote only a part");
  }

  Status truncate() override {
    if (Status status = settle(); !status) return status;
    if (complete_ || offset_ == 0) return {};
    rpc::content::WriteContentRequest request;  // a write at offset 0 starts over
    request.set_action(rpc::content::WRITE);
    return exchange(request);
  }

  Status commit(const StringMap& labels) override {
    if (complete_) return {};
    if (Status status = settle(); !status) return status;
    rpc::content::WriteContentRequest request;
    request.set_action(rpc::content::COMMIT);
    request.set_offset(offset_);
    request.set_total(blob_.size);
    request.set_expected(blob_.digest);
    set_map(labels, *request.mutable_labels());
    Status status = exchange(request);
    if (!status && status.error().code() == Code::AlreadyExists) status = {};
    if (!status) return fail(commit_error(status.error()));
    complete_ = true;
    return {};
  }

 private:
  Status exchange(const rpc::content::WriteContentRequest& request) {
    if (Status status = stream_->write(request); !status) return status;
    return answer();
  }

  Status answer() {
    rpc::content::WriteContentResponse response;
    const auto more = stream_->read(response);
    if (!more) return fail(more.error());
    if (!*more) return fail(Code::Unavailable, "containerd Content/Write: closed early");
    offset_ = response.offset();
    return {};
  }

  std::unique_ptr<Stream> stream_;
  const std::string ref_;
  const Descriptor blob_;
  rpc::content::WriteContentRequest write_;  // its memory serves every write
  int64_t offset_ = 0;
  bool answered_ = true;  // the last write was
  bool complete_ = false;
};

}  // namespace

Content::Content(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

Result<Blob> Content::stat(const std::string& digest) {
  rpc::content::InfoRequest request;
  request.set_digest(digest);
  const auto response = transport_->call(rpc::kContentInfo, request, {kShort});
  if (!response) return fail(response.error());
  return Blob{response->info().digest(), response->info().size(),
              to_map(response->info().labels())};
}

Result<std::string> Content::read(const std::string& digest, int64_t offset, int64_t size) {
  rpc::content::ReadContentRequest request;
  request.set_digest(digest);
  request.set_offset(offset);
  request.set_size(size);
  auto stream = transport_->read_stream(rpc::kContentRead, request, {kShort});
  if (!stream) return fail(stream.error());
  std::string bytes;
  rpc::content::ReadContentResponse message;
  for (;;) {
    const auto more = (*stream)->read(message);
    if (!more) return fail(more.error());
    if (!*more) return bytes;
    bytes.append(message.data());
  }
}

Result<std::unique_ptr<BlobWriter>> Content::open(const std::string& ref, const Descriptor& blob,
                                                  const std::string& lease,
                                                  const CancelToken& cancel) {
  const auto there = ingested(ref, &cancel);
  if (!there) return fail(there.error());
  struct Counted {
    std::atomic<int64_t>& sum;
    const int64_t bytes;
    Counted(std::atomic<int64_t>& all, int64_t own) : sum(all), bytes(own) { sum += bytes; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { sum -= bytes; }
  } const counted(reading_, *there);
  for (int tries = 1;; ++tries) {
    auto stream = transport_->duplex_stream(rpc::kContentWrite, {kLong, lease});
    if (!stream) return fail(stream.error());
    auto writer = std::make_unique<ContentWriter>(std::move(*stream), ref, blob);
    const Status status = writer->begin(reading_, cancel);
    if (status) return writer;
    if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    if (status.error().code() == Code::AlreadyExists) {
      writer->set_complete();
      return writer;
    }
    const bool locked = status.error().code() == Code::Unavailable &&
                        status.error().message().find("locked") != std::string::npos;
    if (!locked || tries == kLockedTries) return fail(status.error());
    if (cancel.wait_for(kLockedWait)) return fail(Code::Cancelled, "cancelled");
  }
}

Result<int64_t> Content::ingested(const std::string& ref, const CancelToken* cancel) {
  rpc::content::StatusRequest request;
  request.set_ref(ref);
  const auto response = transport_->call(rpc::kContentStatus, request, {kShort, {}, cancel});
  if (response) return response->status().offset();
  if (response.error().code() == Code::NotFound) return 0;
  return fail(response.error());
}

Status Content::remove(const std::string& digest) {
  rpc::content::DeleteContentRequest request;
  request.set_digest(digest);
  return ignore_missing(done(transport_->call(rpc::kContentDelete, request, {kShort})));
}

Status Content::set_labels(const std::string& digest, const StringMap& labels) {
  rpc::content::UpdateRequest request;
  request.mutable_info()->set_digest(digest);
  for (const auto& [key, value] : labels) {
    (*request.mutable_info()->mutable_labels())[key] = value;
    request.mutable_update_mask()->add_paths("labels." + key);
  }
  return done(transport_->call(rpc::kContentUpdate, request, {kShort}));
}

}  // namespace wherry::runtime

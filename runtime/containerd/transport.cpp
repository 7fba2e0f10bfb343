#include "runtime/containerd/transport.h"

#include <algorithm>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <google/protobuf/message_lite.h>
#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include "runtime/image/backend.h"

namespace wherry::runtime {
namespace {

constexpr int kMaxMessage = 64 << 20;  // a list of a thousand containers with their specs
// How long a daemon that accepts connections may take to greet us.
constexpr Duration kHandshake = std::chrono::seconds(5);

gpr_timespec deadline_after(Duration timeout) {
  if (timeout == Duration::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(timeout.count(), GPR_TIMESPAN));
}

Code to_code(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
      return Code::Cancelled;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Code::InvalidArgument;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Code::DeadlineExceeded;
    case grpc::StatusCode::NOT_FOUND:
      return Code::NotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return Code::AlreadyExists;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return Code::PermissionDenied;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Code::ResourceExhausted;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
      return Code::FailedPrecondition;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Code::Unimplemented;
    case grpc::StatusCode::UNAVAILABLE:
      return Code::Unavailable;
    case grpc::StatusCode::DATA_LOSS:
      return Code::DataLoss;
    default:
      return Code::Internal;
  }
}

std::string_view method_name(const char* path) {
  const std::string_view text(path);
  const size_t dot = text.rfind('.', text.rfind('/'));
  return text.substr(dot + 1);  // "Tasks/Create"
}

// The daemon has no class for a full disk, only words. Those about tasks are the runtime's, and may
// mean anything that the kernel counts.
bool is_disk_full(std::string_view message, const char* path) {
  const auto says = [&](const char* part) { return message.find(part) != std::string_view::npos; };
  return !method_name(path).starts_with("Tasks/") &&
         (says("no space left on device") || says("disk quota exceeded"));
}

Error to_error(const grpc::Status& status, const char* path) {
  std::string message = status.error_message();
  // How the daemon marks an error of no class; it tells nobody anything.
  constexpr std::string_view kNoClass = ": unknown";
  if (message.ends_with(kNoClass)) message.resize(message.size() - kNoClass.size());
  const bool full = is_disk_full(message, path);
  std::string told = "containerd " + std::string(method_name(path)) + ": " + message;
  if (full) return {Code::ResourceExhausted, std::move(told), kDiskFull};
  return {to_code(status.error_code()), std::move(told)};
}

grpc::ByteBuffer to_buffer(const MessageLite& message) {
  grpc::ByteBuffer buffer;
  const size_t size = message.ByteSizeLong();
  grpc::ProtoBufferWriter writer(&buffer, 64 << 10, static_cast<int>(size));
  message.SerializeToZeroCopyStream(&writer);
  return buffer;
}

Status from_buffer(grpc::ByteBuffer& buffer, MessageLite& message, const char* path) {
  grpc::ProtoBufferReader reader(&buffer);
  if (!reader.status().ok() || !message.ParseFromZeroCopyStream(&reader)) {
    return fail(Code::Internal,
                "containerd " + std::string(method_name(path)) + ": unreadable answer");
  }
  return {};
}

// gRPC reads sockets only while somebody waits for a call. This lets it notice, before it sends
// anything, that the daemon has closed the connection meanwhile.
void notice_closed_connection(grpc::CompletionQueue& queue) {
  void* got = nullptr;
  bool ok = false;
  queue.AsyncNext(&got, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC));
}

// One operation is under way at a time, so any tag will do.
void* tag() { return reinterpret_cast<void*>(1); }

class GrpcStream final : public Stream {
 public:
  GrpcStream(const char* path, Duration timeout) : path_(path), timeout_(timeout) {}
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;
  ~GrpcStream() override {
    cancel_handle_.reset();
    if (call_ && !finished_) {
      context_.TryCancel();
      if (reading_ && !read_completed_) completed();
      const Error why_it_ended = finish();
    }
    queue_.Shutdown();
    void* ignored = nullptr;
    bool ok = false;
    while (queue_.Next(&ignored, &ok)) {
    }
  }

  grpc::ClientContext& context() { return context_; }

  grpc::CompletionQueue& queue() { return queue_; }

  Status start(grpc::GenericStub& stub, const MessageLite* only_request,
               const CancelToken* cancel) {
    if (cancel != nullptr) cancel_handle_ = cancel->on_cancel([this] { context_.TryCancel(); });
    call_ = stub.PrepareCall(&context_, path_, &queue_);
    call_->StartCall(tag());
    if (!completed()) return fail(finish());
    if (only_request == nullptr) return {};
    call_->WriteLast(to_buffer(*only_request), grpc::WriteOptions(), tag());
    if (!completed()) return fail(finish());
    return {};
  }

  Status write(const MessageLite& message) override {
    if (finished_) return fail(Code::FailedPrecondition, "stream is closed");
    call_->Write(to_buffer(message), tag());
    if (!completed()) return fail(finish());
    return {};
  }

  Result<bool> read(MessageLite& message) override {
    if (finished_) return fail(Code::FailedPrecondition, "stream is closed");
    begin_read();
    if (!read_completed_) read_ok_ = completed();
    reading_ = read_completed_ = false;
    if (read_ok_) {
      Status status = from_buffer(buffer_, message, path_);
      buffer_.Clear();
      if (!status) return fail(std::move(status.error()));
      return true;
    }
    Error error = finish();
    if (end_ok_) return false;
    return fail(std::move(error));
  }

  bool wait_readable(Duration timeout) override {
    if (finished_) return true;
    begin_read();
    if (read_completed_) return true;
    void* got = nullptr;
    read_completed_ = queue_.AsyncNext(&got, &read_ok_, deadline_after(timeout)) !=
                      grpc::CompletionQueue::NextStatus::TIMEOUT;
    return read_completed_;
  }

  void cancel() override { context_.TryCancel(); }

 private:
  void begin_read() {
    if (reading_) return;
    reading_ = true;
    call_->Read(&buffer_, tag());
  }

  // Waits for the operation under way; false where it failed or took too long.
  bool completed() {
    void* got = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&got, &ok, deadline_after(timeout_)) !=
        grpc::CompletionQueue::NextStatus::TIMEOUT) {
      return ok;
    }
    timed_out_ = true;
    context_.TryCancel();  // ends the operation, so that waiting on is short
    queue_.Next(&got, &ok);
    return false;
  }

  Error finish() {
    grpc::Status status;
    call_->Finish(&status, tag());
    void* got = nullptr;
    bool ok = false;
    queue_.Next(&got, &ok);
    finished_ = true;
    end_ok_ = status.ok();
    if (timed_out_) {
      return {Code::DeadlineExceeded,
              "containerd " + std::string(method_name(path_)) + ": no progress in time"};
    }
    return to_error(status, path_);
  }

  const char* path_;
  const Duration timeout_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  std::shared_ptr<void> cancel_handle_;
  grpc::ByteBuffer buffer_;
  bool reading_ = false;         // a read is under way
  bool read_completed_ = false;  // … and done, with read_ok_
  bool read_ok_ = false;
  bool finished_ = false;
  bool end_ok_ = false;
  bool timed_out_ = false;
};

// Tuned for a client that is idle nearly always and whose peer is on the same machine.
grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  // Also how long a connection may take to come up, on a device that has other things to do.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  return arguments;
}

}  // namespace

struct Transport::Channel {
  explicit Channel(Options given)
      : options(std::move(given)),
        channel(grpc::CreateCustomChannel("unix:" + options.address,
                                          grpc::InsecureChannelCredentials(), channel_arguments())),
        stub(channel) {}

  // gRPC waits out a backoff before it connects again. A look at the socket tells at once whether
  // that wait is of any use.
  Status reachable(grpc::CompletionQueue& queue, Duration timeout) {
    notice_closed_connection(queue);
    if (channel->GetState(false) != GRPC_CHANNEL_TRANSIENT_FAILURE) return {};
    if (const int error = try_connect(); error != 0) return fail(unreachable(error));
    grpc::experimental::ChannelResetConnectionBackoff(channel.get());
    if (!channel->WaitForConnected(deadline_after(std::min(timeout, kHandshake)))) {
      return fail(Code::Unavailable, "containerd does not answer at " + options.address);
    }
    return {};
  }

  Error unreachable(int error) const {
    return {Code::Unavailable, "containerd is not reachable at " + options.address + ": " +
                                   std::strerror(error) +
                                   (error == EACCES ? "" : " (is it running?)")};
  }

  // gRPC's own words for a failed connection are long and name no remedy.
  Error clarify(Error error) const {
    if (error.code() != Code::Unavailable) return error;
    const int now = try_connect();
    return now == 0 ? error : unreachable(now);
  }

  int try_connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (options.address.size() >= sizeof address.sun_path) return ENAMETOOLONG;
    std::memcpy(address.sun_path, options.address.data(), options.address.size());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno;
    const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = result == 0 ? 0 : errno;
    close(fd);
    return error;
  }

  void set_metadata(grpc::ClientContext& context, const std::string& lease) const {
    context.AddMetadata("containerd-namespace", options.containerd_namespace);
    if (!lease.empty()) context.AddMetadata("containerd-lease", lease);
  }

  const Options options;
  std::shared_ptr<grpc::Channel> channel;
  grpc::GenericStub stub;
};

Transport::Transport(Options options) {
  constexpr std::string_view kScheme = "unix://";
  if (options.address.starts_with(kScheme)) options.address.erase(0, kScheme.size());
  channel_ = std::make_unique<Channel>(std::move(options));
}

Transport::~Transport() = default;

const std::string& Transport::containerd_namespace() const {
  return channel_->options.containerd_namespace;
}

Status Transport::call_raw(const char* path, const MessageLite& request, MessageLite& response,
                           const CallOptions& options) {
  if (options.cancel != nullptr && options.cancel->cancelled()) {
    return fail(Code::Cancelled, "cancelled before containerd " + std::string(method_name(path)));
  }
  grpc::CompletionQueue queue;
  if (Status status = channel_->reachable(queue, options.timeout); !status) return status;
  grpc::ClientContext context;
  context.set_deadline(deadline_after(options.timeout));
  channel_->set_metadata(context, options.lease);
  grpc::ByteBuffer answer;
  grpc::Status status;
  {
    // Unregistered before the context goes.
    const auto handle = options.cancel == nullptr
                            ? nullptr
                            : options.cancel->on_cancel([&context] { context.TryCancel(); });
    const auto call = channel_->stub.PrepareUnaryCall(&context, path, to_buffer(request), &queue);
    call->StartCall();
    call->Finish(&answer, &status, tag());
    void* got = nullptr;
    bool ok = false;
    queue.Next(&got, &ok);
  }
  if (!status.ok()) return fail(channel_->clarify(to_error(status, path)));
  return from_buffer(answer, response, path);
}

Result<std::unique_ptr<Stream>> Transport::open(const char* path, const MessageLite* only_request,
                                                const CallOptions& options) {
  auto stream = std::make_unique<GrpcStream>(path, options.timeout);
  if (Status status = channel_->reachable(stream->queue(), options.timeout); !status) {
    return fail(std::move(status.error()));
  }
  channel_->set_metadata(stream->context(), options.lease);
  if (Status status = stream->start(channel_->stub, only_request, options.cancel); !status) {
    return fail(channel_->clarify(std::move(status.error())));
  }
  return stream;
}

}  // namespace wherry::runtime

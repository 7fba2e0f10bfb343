#include "runtime/containerd/event_stream.h"

#include <algorithm>
#include <thread>

#include "base/backoff.h"
#include "base/executor.h"
#include "base/text.h"
#include "runtime/containerd/convert.h"
#include "task_events.pb.h"

namespace wherry::runtime {
namespace {

constexpr const char* kExitTopic = "/tasks/exit";
constexpr const char* kOomTopic = "/tasks/oom";
constexpr std::string_view kImagesTopic = "/images/";
constexpr const char* kReadyTopic = "/wherry/subscribed";
constexpr Duration kProofStep = std::chrono::milliseconds(2);
constexpr Duration kProofWait = std::chrono::milliseconds(20);
constexpr int kProofTries = 500;
constexpr Backoff kRetry{std::chrono::milliseconds(100), std::chrono::milliseconds(500), 0.2};

}  // namespace

class EventStream::Worker {
 public:
  Worker(std::shared_ptr<Transport> transport, Sink sink)
      : transport_(std::move(transport)), sink_(std::move(sink)), thread_([this] { run(); }) {}

  ~Worker() {
    stop_.cancel();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  void run() {
    name_this_thread("ctr-events");
    uint32_t failures = 0;
    while (!stop_.cancelled()) {
      const Error error = listen(failures);
      if (stop_.cancelled()) return;
      set_connected(false, error.full());
      if (stop_.wait_for(kRetry.delay(++failures, random_unit()))) return;
    }
  }

  // Until the subscription ends, which it does only with an error.
  Error listen(uint32_t& failures) {
    const std::string token = random_hex(16);
    auto stream = transport_->read_stream(rpc::kEventSubscribe, subscription(),
                                          {Duration::max(), "", &stop_});
    if (!stream) return stream.error();
    rpc::events::Envelope envelope;
    for (bool proven = false;;) {
      if (!proven) {
        if (const Status status = prove(**stream, token); !status) return status.error();
      }
      const auto more = (*stream)->read(envelope);
      if (!more) return more.error();
      if (!*more) return {Code::Unavailable, "containerd closed the event stream"};
      if (envelope.topic() == kReadyTopic) {
        if (proven || envelope.event().value() != token) continue;  // a repeat, or another agent's
        proven = true;
        failures = 0;
        set_connected(true, "");
      } else if (proven) {
        deliver(envelope);
      }
    }
  }

  // The daemon does not say when it has subscribed us. An event of our own does when it comes
  // back; one that is published too early is lost.
  Status prove(Stream& stream, const std::string& token) {
    for (int tries = 0; tries < kProofTries; ++tries) {
      if (Status status = publish(token); !status) return status;
      // Usually the first or second comes back, within a few milliseconds.
      if (stream.wait_readable(std::min<Duration>(kProofWait, (tries + 1) * kProofStep))) return {};
    }
    return fail(Code::DeadlineExceeded, "containerd delivers no events");
  }

  rpc::events::SubscribeRequest subscription() const {
    const std::string scope = "namespace==\"" + transport_->containerd_namespace() + "\",topic";
    rpc::events::SubscribeRequest request;
    request.add_filters(scope + "==\"" + kExitTopic + "\"");
    request.add_filters(scope + "==\"" + kOomTopic + "\"");
    request.add_filters(scope + "==\"" + kReadyTopic + "\"");
    request.add_filters(scope + "~=\"^" + std::string(kImagesTopic) + "\"");
    return request;
  }

  Status publish(const std::string& token) {
    rpc::events::PublishRequest request;
    request.set_topic(kReadyTopic);
    request.mutable_event()->set_type_url("wherry.Subscribed");
    request.mutable_event()->set_value(token);
    return done(transport_->call(rpc::kEventPublish, request, {kShort, "", &stop_}));
  }

  void deliver(const rpc::events::Envelope& envelope) {
    if (envelope.topic() == kExitTopic) {
      ::containerd::events::TaskExit exit;
      if (!exit.ParseFromString(envelope.event().value())) return;
      if (exit.id() != exit.container_id()) return;  // an exec'd process, not the first one
      sink_({DaemonEvent::Kind::TaskExit, exit.container_id(), exit.exit_status(), ""});
    } else if (envelope.topic() == kOomTopic) {
      ::containerd::events::TaskOOM oom;
      if (!oom.ParseFromString(envelope.event().value())) return;
      sink_({DaemonEvent::Kind::TaskOom, oom.container_id(), 0, ""});
    } else if (envelope.topic().starts_with(kImagesTopic)) {
      sink_({DaemonEvent::Kind::ImagesChanged, "", 0, ""});
    }
  }

  void set_connected(bool connected, const std::string& detail) {
    if (said_ && connected == connected_) return;
    said_ = true;
    connected_ = connected;
    sink_({connected ? DaemonEvent::Kind::Connected : DaemonEvent::Kind::Disconnected, "", 0,
           detail});
  }

  const std::shared_ptr<Transport> transport_;
  const Sink sink_;
  CancelToken stop_;
  bool said_ = false;       // the thread's own
  bool connected_ = false;  // the thread's own
  std::thread thread_;      // last: it uses the members above
};

EventStream::EventStream(Client& client, Sink sink)
    : worker_(std::make_unique<Worker>(client.transport(), std::move(sink))) {}

EventStream::~EventStream() = default;

}  // namespace wherry::runtime

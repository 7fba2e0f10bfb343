#include "agent/fleet/mqtt_session.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utility>

#include <mqtt_protocol.h>

#include "agent/fleet/broker_channel.h"
#include "agent/fleet/local_door.h"
#include "agent/fleet/mqtt_errors.h"

namespace wherry {
namespace {

// An MQTT 5 broker does not deliver more than this (3.1.2.11.4), so that no message can take the
// device's memory. Well above the largest document, which must arrive to be refused with a reason.
constexpr uint32_t kMaximumPacketSize = 8u << 20;
constexpr const char* kContentType = "application/json";
// Pieces that are read at once before the link has its turn to look at what came.
constexpr int kPiecesAtOnce = 64;

class Properties {
 public:
  Properties() = default;
  ~Properties() { mosquitto_property_free_all(&list_); }
  Properties(const Properties&) = delete;
  Properties& operator=(const Properties&) = delete;

  void add_int(int id, uint32_t value) { mosquitto_property_add_int32(&list_, id, value); }
  void add_string(int id, const char* value) { mosquitto_property_add_string(&list_, id, value); }
  void add_binary(int id, const std::string& value) {
    mosquitto_property_add_binary(&list_, id, value.data(), static_cast<uint16_t>(value.size()));
  }
  const mosquitto_property* get() const { return list_; }
  mosquitto_property* release() { return std::exchange(list_, nullptr); }

 private:
  mosquitto_property* list_ = nullptr;
};

std::string read_string(const mosquitto_property* all, int id) {
  char* value = nullptr;
  if (mosquitto_property_read_string(all, id, &value, false) == nullptr) return {};
  std::string text(value == nullptr ? "" : value);
  std::free(value);  // NOLINT(*-no-malloc): the library's allocation
  return text;
}

std::string read_binary(const mosquitto_property* all, int id) {
  void* value = nullptr;
  uint16_t length = 0;
  if (mosquitto_property_read_binary(all, id, &value, &length, false) == nullptr) return {};
  std::string bytes(static_cast<const char*>(value), length);
  std::free(value);  // NOLINT(*-no-malloc): the library's allocation
  return bytes;
}

uint32_t seconds_of(Duration duration, int64_t cap) {
  return static_cast<uint32_t>(std::clamp<int64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(duration).count(), 0, cap));
}

// The library wants none, or 5 to 65535 seconds.
int keepalive_seconds(Duration keepalive) {
  if (keepalive <= Duration::zero()) return 0;
  return static_cast<int>(std::max<uint32_t>(seconds_of(keepalive, 65535), 5));
}

struct Library {
  Library() { mosquitto_lib_init(); }
  ~Library() { mosquitto_lib_cleanup(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

}  // namespace

// The library calls back only from within our own calls into it, on the same thread.
struct MqttSession::Impl {
  explicit Impl(const SessionOptions& given) : options(given) {}
  ~Impl() { mosquitto_destroy(handle); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status set_up();
  Status begin();
  Status check(int code);
  Status connect_library(const std::string& host, int port);
  Status look_at_first_byte() const;
  Status read_library();
  Status step_channel();
  Status push();
  Status pass_on() { return channel ? push() : Status{}; }
  int socket() const { return mosquitto_socket(handle); }
  void set_callbacks();

  void count(std::string_view topic, size_t payload, bool sent) const {
    if (options.on_traffic) options.on_traffic(topic, topic.size() + payload, sent);
  }
  static Impl* of(void* self) { return static_cast<Impl*>(self); }
  static void on_connect(mosquitto*, void* self, int code, int flags, const mosquitto_property*);
  static void on_message(mosquitto*, void* self, const mosquitto_message* message,
                         const mosquitto_property* properties);

  SessionOptions options;
  std::unique_ptr<BrokerChannel> channel;  // none for plain TCP
  mosquitto* handle = nullptr;
  bool begun = false;  // the library speaks
  bool tcp_connected = false;
  bool answered = false;  // the broker's first bytes were those of a CONNACK
  bool connected = false;
  std::optional<Error> failure;  // told by a callback
  std::vector<SessionEvent> events;
};

void MqttSession::Impl::on_connect(mosquitto*, void* self, int code, int flags,
                                   const mosquitto_property*) {
  if (code != 0) {
    of(self)->failure = connack_error(code);
    return;
  }
  of(self)->connected = true;
  of(self)->events.emplace_back(SessionConnected{(flags & 1) != 0});
}

void MqttSession::Impl::on_message(mosquitto*, void* self, const mosquitto_message* message,
                                   const mosquitto_property* properties) {
  SessionMessage event;
  event.topic = message->topic;
  of(self)->count(event.topic, static_cast<size_t>(std::max(message->payloadlen, 0)), false);
  event.retained = message->retain;
  if (message->payloadlen > 0) {
    event.payload.assign(
        static_cast<const char*>(message->payload),
        std::min(static_cast<size_t>(message->payloadlen), of(self)->options.max_payload));
  }
  event.response_topic = read_string(properties, MQTT_PROP_RESPONSE_TOPIC);
  event.correlation = read_binary(properties, MQTT_PROP_CORRELATION_DATA);
  of(self)->events.emplace_back(std::move(event));
}

void MqttSession::Impl::set_callbacks() {
  mosquitto_connect_v5_callback_set(handle, on_connect);
  mosquitto_message_v5_callback_set(handle, on_message);
  mosquitto_disconnect_v5_callback_set(
      handle, [](mosquitto*, void* self, int code, const mosquitto_property*) {
        // Codes below 0x80 are the library's own and are returned by its functions as well.
        if (!of(self)->failure && code >= 0x80) of(self)->failure = disconnect_error(code);
      });
  mosquitto_publish_v5_callback_set(
      handle, [](mosquitto*, void* self, int id, int code, const mosquitto_property*) {
        SessionPublished event{id, {}};
        if (code >= 0x80) {
          event.accepted = fail(Code::PermissionDenied, mosquitto_reason_string(code));
        }
        of(self)->events.emplace_back(std::move(event));
      });
  mosquitto_subscribe_v5_callback_set(handle, [](mosquitto*, void* self, int, int count,
                                                 const int* granted, const mosquitto_property*) {
    SessionSubscribed event;
    for (int i = 0; i < count; ++i) {
      if (granted[i] >= 0x80) event.refused.push_back(static_cast<size_t>(i));
    }
    of(self)->events.emplace_back(std::move(event));
  });
}

Status MqttSession::Impl::check(int code) {
  const int saved_errno = errno;
  if (failure) return fail(*failure);
  if (code > 0) return fail(library_error(code, saved_errno));
  return {};
}

Status MqttSession::Impl::set_up() {
  static const Library library;  // what it counts inside is not for several threads
  const bool clean = options.session_expiry <= Duration::zero();
  handle = mosquitto_new(options.client_id.c_str(), clean, this);
  if (handle == nullptr) {
    return fail(Code::InvalidArgument, "the client id is empty or not UTF-8; check mqtt.client_id",
                "ClientIdRejected");
  }
  set_callbacks();
  const bool v5 = options.version == 5;
  mosquitto_int_option(handle, MOSQ_OPT_PROTOCOL_VERSION,
                       v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  mosquitto_int_option(handle, MOSQ_OPT_TCP_NODELAY, 1);

  Properties will;
  if (v5) will.add_string(MQTT_PROP_CONTENT_TYPE, kContentType);
  // The library takes the properties over, unless it fails.
  mosquitto_property* will_properties = will.release();
  const int will_set = mosquitto_will_set_v5(handle, options.will_topic.c_str(),
                                             static_cast<int>(options.will_payload.size()),
                                             options.will_payload.data(), 1, true, will_properties);
  if (will_set != MOSQ_ERR_SUCCESS) {
    mosquitto_property_free_all(&will_properties);
    return check(will_set);
  }
  if (!options.username.empty()) {
    const char* password = options.password.empty() ? nullptr : options.password.c_str();
    mosquitto_username_pw_set(handle, options.username.c_str(), password);
  }
  return {};
}

Status MqttSession::Impl::begin() {
  const int keepalive = keepalive_seconds(options.keepalive);
  if (options.version == 5) {
    Properties connect;
    connect.add_int(MQTT_PROP_MAXIMUM_PACKET_SIZE, kMaximumPacketSize);
    if (options.session_expiry > Duration::zero()) {
      // 0xFFFFFFFF would mean for ever (3.1.2.11.2).
      connect.add_int(MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                      seconds_of(options.session_expiry, 0xFFFFFFFE));
    }
    // The only function that takes CONNECT properties also connects, and blocks until the kernel
    // gives up. Without a host it keeps the properties and refuses the rest, which is what is
    // wanted; a test looks at the CONNECT packet on the wire.
    mosquitto_connect_bind_v5(handle, nullptr, options.broker.port, keepalive, nullptr,
                              connect.get());
  }
  if (!channel) return connect_library(options.broker.host, options.broker.port);
  const auto door = LocalDoor::open(options.socket_dir);
  if (!door) return fail(door.error());
  // Port 0 stands for a unix socket, with its path for a host.
  if (Status connected = connect_library(door->path(), 0); !connected) return connected;
  auto accepted = door->accept();
  if (!accepted) return fail(accepted.error());
  channel->attach(std::move(*accepted));
  return {};
}

Status MqttSession::Impl::connect_library(const std::string& host, int port) {
  errno = 0;
  const int code = mosquitto_connect_bind_async(handle, host.c_str(), port,
                                                keepalive_seconds(options.keepalive), nullptr);
  if (Status connected = check(code); !connected) return connected;
  if (socket() < 0) return fail(library_error(MOSQ_ERR_NO_CONN, 0));
  fcntl(socket(), F_SETFD, FD_CLOEXEC);  // not for the programs that the agent runs
  begun = true;
  return {};
}

// The library would wait for the rest of whatever a first byte promises.
Status MqttSession::Impl::look_at_first_byte() const {
  constexpr unsigned char kConnack = 0x20;  // MQTT 5 and 3.1.1, 3.2.1
  if (answered) return {};
  unsigned char byte = 0;
  const ssize_t got = recv(socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 1 && byte == kConnack) return {};
  if (channel) return got == 1 ? fail(library_error(MOSQ_ERR_PROTOCOL, 0)) : Status{};
  if (got == 1) return fail(silent_error(byte));
  return got == 0 || errno == ECONNRESET ? fail(silent_error(-1)) : Status{};
}

Status MqttSession::Impl::read_library() {
  if (Status sane = look_at_first_byte(); !sane) return sane;
  errno = 0;
  if (Status read = check(mosquitto_loop_read(handle, 1)); !read) return read;
  if (socket() < 0) return fail(library_error(MOSQ_ERR_CONN_LOST, 0));
  return {};
}

Status MqttSession::Impl::step_channel() {
  if (!begun) {
    const Result<bool> ready = channel->get_ready();
    if (!ready) return fail(ready.error());
    if (!*ready) return {};
    if (Status done = begin(); !done) return done;
  }
  for (int piece = 0; piece < kPiecesAtOnce; ++piece) {
    const Result<size_t> got = channel->receive();
    if (!got) return fail(failure.value_or(got.error()));
    if (*got == 0) break;
    int waiting = 0;
    while (ioctl(socket(), FIONREAD, &waiting) == 0 && waiting > 0) {
      if (Status read = read_library(); !read) return read;
      answered = true;
    }
  }
  return push();
}

// What the library has to send.
Status MqttSession::Impl::push() {
  do {
    if (!mosquitto_want_write(handle)) continue;
    errno = 0;
    if (Status sent = check(mosquitto_loop_write(handle, 1)); !sent) return sent;
    if (socket() < 0) return fail(library_error(MOSQ_ERR_CONN_LOST, 0));
  } while (channel && channel->send() && mosquitto_want_write(handle));
  return {};
}

MqttSession::MqttSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MqttSession::~MqttSession() = default;

Result<std::unique_ptr<MqttSession>> MqttSession::open(const SessionOptions& options,
                                                       ClientKeys& keys, WallTime now) {
  auto impl = std::make_unique<Impl>(options);
  if (Status done = impl->set_up(); !done) return fail(done.error());
  if (options.broker.tls || options.broker.websocket) {
    auto channel = BrokerChannel::open(options.broker, options.tls, keys, now);
    if (!channel) return fail(channel.error());
    impl->channel = std::move(*channel);
  } else if (Status done = impl->begin(); !done) {
    return fail(done.error());
  }
  return std::unique_ptr<MqttSession>(new MqttSession(std::move(impl)));
}

int MqttSession::fd() const { return impl_->channel ? impl_->channel->fd() : impl_->socket(); }

short MqttSession::poll_events() const {
  const short channel = impl_->channel ? impl_->channel->poll_events() : POLLIN;
  const bool write =
      (!impl_->channel && !impl_->tcp_connected) || mosquitto_want_write(impl_->handle);
  return static_cast<short>(write ? channel | POLLOUT : channel);
}

Status MqttSession::step(short revents) {
  if (impl_->channel) return impl_->step_channel();
  const int socket = fd();
  if (!impl_->tcp_connected && revents != 0) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return fail(socket_error(error));
    impl_->tcp_connected = true;
  }
  if ((revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
    if (Status read = impl_->read_library(); !read) return read;
    impl_->answered = impl_->answered || (revents & POLLIN) != 0;
    // Acknowledge what came at once: with Nagle's algorithm at its end, the broker holds back its
    // next small packet until this kernel acknowledges the last one, up to 40 ms later.
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  }
  return impl_->push();
}

Status MqttSession::keep_alive() {
  if (!impl_->begun) return {};
  errno = 0;
  if (Status alive = impl_->check(mosquitto_loop_misc(impl_->handle)); !alive) return alive;
  return impl_->pass_on();
}

std::vector<SessionEvent> MqttSession::take_events() { return std::exchange(impl_->events, {}); }

Result<int> MqttSession::publish(const std::string& topic, const std::string& payload, bool retain,
                                 const PublishProperties& given) {
  Properties properties;
  if (impl_->options.version == 5) {
    properties.add_string(MQTT_PROP_CONTENT_TYPE, given.content_type.c_str());
    if (!given.correlation.empty())
      properties.add_binary(MQTT_PROP_CORRELATION_DATA, given.correlation);
  }
  int id = 0;
  errno = 0;
  const int code =
      mosquitto_publish_v5(impl_->handle, &id, topic.c_str(), static_cast<int>(payload.size()),
                           payload.data(), 1, retain, properties.get());
  if (Status done = impl_->check(code); !done) return fail(done.error());
  impl_->count(topic, payload.size(), true);
  if (Status pushed = impl_->pass_on(); !pushed) return fail(pushed.error());
  return id;
}

Status MqttSession::subscribe(const std::vector<std::string>& filters) {
  std::vector<char*> names;
  names.reserve(filters.size());
  for (const std::string& filter : filters) names.push_back(const_cast<char*>(filter.c_str()));
  errno = 0;
  const int code = mosquitto_subscribe_multiple(
      impl_->handle, nullptr, static_cast<int>(names.size()), names.data(), 1, 0, nullptr);
  if (Status done = impl_->check(code); !done) return done;
  return impl_->pass_on();
}

Status MqttSession::unsubscribe(const std::string& filter) {
  errno = 0;
  const int code = mosquitto_unsubscribe(impl_->handle, nullptr, filter.c_str());
  if (Status done = impl_->check(code); !done) return done;
  return impl_->pass_on();
}

void MqttSession::disconnect() {
  mosquitto_disconnect(impl_->handle);
  if (!impl_->channel) return;
  impl_->channel->send();
  impl_->channel->close();
}

}  // namespace wherry

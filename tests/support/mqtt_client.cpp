#include "tests/support/mqtt_client.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mosquitto.h>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

#include <mqtt_protocol.h>

#include "base/text.h"

namespace wherry::test {
namespace {

std::string read_string(const mosquitto_property* all, int id) {
  char* value = nullptr;
  if (mosquitto_property_read_string(all, id, &value, false) == nullptr) return {};
  std::string text(value == nullptr ? "" : value);
  std::free(value);
  return text;
}

std::string read_binary(const mosquitto_property* all, int id) {
  void* value = nullptr;
  uint16_t length = 0;
  if (mosquitto_property_read_binary(all, id, &value, &length, false) == nullptr) return {};
  std::string bytes(static_cast<const char*>(value), length);
  std::free(value);
  return bytes;
}

MqttMessage received(const mosquitto_message& from, const mosquitto_property* properties) {
  MqttMessage message;
  message.topic = from.topic;
  message.payload.assign(static_cast<const char*>(from.payload),
                         static_cast<size_t>(from.payloadlen));
  message.retained = from.retain;
  message.qos = from.qos;
  message.at = std::chrono::steady_clock::now();
  message.content_type = read_string(properties, MQTT_PROP_CONTENT_TYPE);
  message.correlation = read_binary(properties, MQTT_PROP_CORRELATION_DATA);
  return message;
}

void require(int code, const std::string& what) {
  if (code != MOSQ_ERR_SUCCESS)
    throw std::runtime_error("mqtt " + what + ": " + mosquitto_strerror(code));
}

}  // namespace

struct MqttClient::State {
  State() {
    mosquitto_lib_init();
    handle = mosquitto_new(("test-" + random_hex(12)).c_str(), true, this);
  }
  ~State() {
    mosquitto_disconnect(handle);
    mosquitto_loop_stop(handle, false);  // by force would cancel the thread with a lock held
    mosquitto_destroy(handle);
    mosquitto_lib_cleanup();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Waits for the acknowledgement of packet `id`.
  void await(int id, const std::string& what) {
    std::unique_lock lock(mutex);
    const bool came = changed.wait_for(lock, kPatience, [&] { return acknowledged.erase(id) > 0; });
    if (!came) throw std::runtime_error("mqtt " + what + ": no answer");
  }
  void acknowledge(int id) {
    const std::lock_guard lock(mutex);
    acknowledged.insert(id);
    changed.notify_all();
  }
  static State* of(void* self) { return static_cast<State*>(self); }

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::optional<int> connack;
  bool lost = false;
  std::set<int> acknowledged;
  std::vector<MqttMessage> messages;
  mosquitto* handle = nullptr;
};

MqttClient::MqttClient(int port, const MqttClientOptions& options)
    : state_(std::make_unique<State>()) {
  mosquitto* handle = state_->handle;
  mosquitto_int_option(handle, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(handle, MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_connect_v5_callback_set(
      handle, [](mosquitto*, void* self, int code, int, const mosquitto_property*) {
        const std::lock_guard lock(State::of(self)->mutex);
        State::of(self)->connack = code;
        State::of(self)->changed.notify_all();
      });
  mosquitto_message_v5_callback_set(
      handle, [](mosquitto*, void* self, const mosquitto_message* message,
                 const mosquitto_property* properties) {
        const std::lock_guard lock(State::of(self)->mutex);
        State::of(self)->messages.push_back(received(*message, properties));
        State::of(self)->changed.notify_all();
      });
  mosquitto_disconnect_callback_set(handle, [](mosquitto*, void* self, int) {
    const std::lock_guard lock(State::of(self)->mutex);
    State::of(self)->lost = true;
    State::of(self)->changed.notify_all();
  });
  mosquitto_publish_callback_set(
      handle, [](mosquitto*, void* self, int id) { State::of(self)->acknowledge(id); });
  mosquitto_subscribe_callback_set(handle, [](mosquitto*, void* self, int id, int, const int*) {
    State::of(self)->acknowledge(id);
  });
  if (!options.username.empty())
    mosquitto_username_pw_set(handle, options.username.c_str(), options.password.c_str());
  require(mosquitto_connect(handle, "127.0.0.1", port, 60), "connect");
  require(mosquitto_loop_start(handle), "loop");
  std::unique_lock lock(state_->mutex);
  const bool answered =
      state_->changed.wait_for(lock, kPatience, [this] { return state_->connack.has_value(); });
  if (!answered || *state_->connack != 0) {
    throw std::runtime_error(std::string("mqtt connect: ") +
                             (answered ? mosquitto_reason_string(*state_->connack) : "no answer"));
  }
}

MqttClient::~MqttClient() = default;

void MqttClient::subscribe(const std::string& filter, int qos) {
  int id = 0;
  require(mosquitto_subscribe(state_->handle, &id, filter.c_str(), qos), "subscribe " + filter);
  state_->await(id, "subscribe " + filter);
}

void MqttClient::publish(const std::string& topic, const std::string& payload,
                         const MqttPublish& options) {
  mosquitto_property* properties = nullptr;
  if (!options.response_topic.empty()) {
    mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC,
                                  options.response_topic.c_str());
  }
  if (!options.correlation.empty()) {
    mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA,
                                  options.correlation.data(),
                                  static_cast<uint16_t>(options.correlation.size()));
  }
  int id = 0;
  const int code =
      mosquitto_publish_v5(state_->handle, &id, topic.c_str(), static_cast<int>(payload.size()),
                           payload.data(), options.qos, options.retained, properties);
  mosquitto_property_free_all(&properties);
  require(code, "publish " + topic);
  state_->await(id, "publish " + topic);
}

std::optional<MqttMessage> MqttClient::wait_for(
    const std::function<bool(const MqttMessage&)>& wanted, Millis timeout) {
  std::unique_lock lock(state_->mutex);
  size_t looked_at = 0;
  std::optional<MqttMessage> found;
  state_->changed.wait_for(lock, timeout, [&] {
    looked_at = std::min(looked_at, state_->messages.size());
    for (; looked_at < state_->messages.size() && !found; ++looked_at) {
      if (wanted(state_->messages[looked_at])) found = state_->messages[looked_at];
    }
    return found.has_value();
  });
  return found;
}

std::vector<MqttMessage> MqttClient::messages() const {
  const std::lock_guard lock(state_->mutex);
  return state_->messages;
}

std::optional<MqttMessage> MqttClient::last(const std::string& topic) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = std::find_if(state_->messages.rbegin(), state_->messages.rend(),
                                  [&](const MqttMessage& m) { return m.topic == topic; });
  if (found == state_->messages.rend()) return std::nullopt;
  return *found;
}

std::vector<MqttMessage> MqttClient::take() {
  const std::lock_guard lock(state_->mutex);
  return std::exchange(state_->messages, {});
}

bool MqttClient::wait_lost(Millis timeout) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, timeout, [this] { return state_->lost; });
}

void MqttClient::clear() {
  const std::lock_guard lock(state_->mutex);
  state_->messages.clear();
}

}  // namespace wherry::test

#include "tests/support/scripted_broker.h"

#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace wherry::test {
namespace {

// MQTT 5, 2.1.2.
enum : unsigned {
  kConnect = 1,
  kPublish = 3,
  kPuback = 4,
  kSubscribe = 8,
  kUnsubscribe = 10,
  kPing = 12
};

std::string number(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 255)};
}

// Fixed header and body; MQTT 5, 1.5.5 for the length.
std::string packet(unsigned first, const std::string& body) {
  std::string bytes(1, static_cast<char>(first));
  size_t left = body.size();
  do {
    const size_t low = left & 127;
    left >>= 7;
    bytes += static_cast<char>(low | (left > 0 ? 128U : 0U));
  } while (left > 0);
  return bytes + body;
}

// Takes what it reads off the front; throws std::out_of_range where a packet is broken.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  unsigned byte() { return static_cast<unsigned char>(bytes(1)[0]); }
  uint16_t two() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  size_t length() {
    size_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const unsigned next = byte();
      value |= size_t{next & 127} << shift;
      if ((next & 128) == 0) return value;
    }
  }
  std::string text() { return std::string(bytes(two())); }
  std::string_view bytes(size_t count) {
    if (count > left_.size()) throw std::out_of_range("packet too short");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::string_view rest() const { return left_; }

 private:
  std::string_view left_;
};

// Content type and correlation data are the only ones that a device sends with its messages.
void read_properties(Reader packet, MqttMessage& message) {
  while (!packet.rest().empty()) {
    const unsigned id = packet.byte();
    if (id == 0x03) {
      message.content_type = packet.text();
    } else if (id == 0x09) {
      message.correlation = packet.text();
    } else {
      throw std::out_of_range("property " + std::to_string(id));
    }
  }
}

// A whole packet at the front of `bytes`, without it from then on; empty: not yet.
std::string take_packet(std::string& bytes) {
  try {
    Reader reader(bytes);
    reader.byte();
    const size_t length = reader.length();
    const size_t whole = bytes.size() - reader.rest().size() + length;
    if (bytes.size() < whole) return {};
    std::string taken = bytes.substr(0, whole);
    bytes.erase(0, whole);
    return taken;
  } catch (const std::out_of_range&) {
    return {};
  }
}

}  // namespace

ScriptedBroker::ScriptedBroker() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, generic, size) != 0 || listen(listener_, 8) != 0 ||
      getsockname(listener_, generic, &size) != 0)
    throw std::runtime_error("scripted broker cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

ScriptedBroker::~ScriptedBroker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    if (connection_ >= 0) shutdown(connection_, SHUT_RDWR);
  }
  thread_.join();
  close(listener_);
}

std::string ScriptedBroker::url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }

int ScriptedBroker::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

bool ScriptedBroker::subscribed() const {
  const std::lock_guard lock(mutex_);
  return subscribed_;
}

std::vector<MqttMessage> ScriptedBroker::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(messages_, {});
}

void ScriptedBroker::hold(bool on) {
  const std::lock_guard lock(mutex_);
  holding_ = on;
  if (on) return;
  for (const Held& one : std::exchange(held_, {})) write(connection_, acknowledgement(one.id));
}

std::vector<uint16_t> ScriptedBroker::held(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  std::vector<uint16_t> ids;
  for (const Held& one : held_) {
    if (one.topic.find(part) != std::string::npos) ids.push_back(one.id);
  }
  return ids;
}

size_t ScriptedBroker::held_bytes() const {
  const std::lock_guard lock(mutex_);
  size_t all = 0;
  for (const Held& one : held_) all += one.bytes;
  return all;
}

void ScriptedBroker::acknowledge(uint16_t id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(held_, [&](const Held& one) { return one.id == id; });
  write(connection_, acknowledgement(id));
}

void ScriptedBroker::send(const std::string& packet) {
  const std::lock_guard lock(mutex_);
  write(connection_, packet);
}

void ScriptedBroker::cut() {
  const std::lock_guard lock(mutex_);
  if (connection_ >= 0) shutdown(connection_, SHUT_RDWR);
}

std::string ScriptedBroker::publish_packet(const std::string& topic, const std::string& payload,
                                           uint16_t id) {
  const std::string no_properties(1, '\0');
  return packet(kPublish << 4 | 2,
                number(topic.size()) + topic + number(id) + no_properties + payload);
}

std::string ScriptedBroker::acknowledgement(uint16_t id) {
  return packet(kPuback << 4, number(id));
}

std::string ScriptedBroker::refusal(uint16_t id) {
  return packet(kPuback << 4, number(id) + '\x87');
}

std::vector<uint16_t> ScriptedBroker::acknowledged() const {
  const std::lock_guard lock(mutex_);
  return acknowledged_;
}

void ScriptedBroker::write(int fd, const std::string& bytes) {
  // Small packets to a client that reads: what does not fit is a connection that is lost anyway.
  if (fd >= 0) (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void ScriptedBroker::run() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        close(fd);
        return;
      }
      connection_ = fd;
      subscribed_ = false;
      held_.clear();
    }
    serve(fd);
    const std::lock_guard lock(mutex_);
    connection_ = -1;
    close(fd);
  }
}

void ScriptedBroker::serve(int fd) {
  std::string bytes;
  std::vector<char> buffer(64 << 10);
  while (true) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    bytes.append(buffer.data(), static_cast<size_t>(got));
    for (std::string one = take_packet(bytes); !one.empty(); one = take_packet(bytes)) {
      Reader reader(one);
      const unsigned first = reader.byte();
      reader.length();
      answer(first >> 4, reader.rest(), fd);
    }
  }
}

void ScriptedBroker::answer(unsigned type, std::string_view body, int fd) {
  const std::lock_guard lock(mutex_);
  Reader reader(body);
  if (type == kConnect) {
    ++connections_;
    write(fd, packet(0x20, std::string(3, '\0')));  // no session, success, no properties
  } else if (type == kPublish) {
    take_message(body, fd);
  } else if (type == kPuback) {
    acknowledged_.push_back(reader.two());
  } else if (type == kSubscribe || type == kUnsubscribe) {
    const std::string id = number(reader.two());
    reader.bytes(reader.length());
    std::string granted;
    while (!reader.rest().empty()) {
      reader.text();
      if (type == kSubscribe) reader.byte();
      granted += type == kSubscribe ? '\1' : '\0';
    }
    write(fd, packet(type == kSubscribe ? 0x90 : 0xb0, id + std::string(1, '\0') + granted));
    subscribed_ = true;
  } else if (type == kPing) {
    write(fd, packet(0xd0, ""));
  }
}

// With QoS 1, as a device sends them all.
void ScriptedBroker::take_message(std::string_view body, int fd) {
  Reader reader(body);
  MqttMessage message;
  message.qos = 1;
  message.topic = reader.text();
  const uint16_t id = reader.two();
  read_properties(Reader(reader.bytes(reader.length())), message);
  message.payload = reader.rest();
  message.at = std::chrono::steady_clock::now();
  if (holding_) {
    held_.push_back({id, message.topic, message.payload.size()});
  } else {
    write(fd, acknowledgement(id));
  }
  messages_.push_back(std::move(message));
}

}  // namespace wherry::test

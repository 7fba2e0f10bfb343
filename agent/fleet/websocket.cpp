#include "agent/fleet/websocket.h"

#include <algorithm>
#include <wslay/wslay.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/base64.h"
#include "base/text.h"

namespace wherry {
namespace {

// RFC 6455, section 1.3.
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kProtocol = "mqtt";
constexpr size_t kMaxAnswerBytes = 16u << 10;

// 16 bytes that no cache has seen: no more is asked of them (RFC 6455, section 10.3).
std::string random_key() { return base64_encode(random_hex(16)); }

std::string answer_to(const std::string& key) {
  const std::string text = key + std::string(kGuid);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha1(), nullptr);
  return base64_encode({reinterpret_cast<const char*>(digest), length});
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The value of a header field, its first; nothing where there is none.
std::string_view field(std::string_view head, std::string_view name) {
  for (size_t line = head.find("\r\n"); line != std::string_view::npos;
       line = head.find("\r\n", line)) {
    line += 2;
    const std::string_view text = head.substr(line, head.find("\r\n", line) - line);
    const bool same = text.size() > name.size() && text[name.size()] == ':' &&
                      std::equal(name.begin(), name.end(), text.begin(),
                                 [](char a, char b) { return a == lower(b); });
    if (same) return trim(text.substr(name.size() + 1));
  }
  return {};
}

tl::unexpected<Error> protocol_error(const std::string& what) {
  return fail(Code::Unavailable, what + "; check the port and the path in mqtt.brokers",
              "ProtocolError");
}

tl::unexpected<Error> no_frame(int error) {
  return fail(Code::Internal,
              "nothing can be sent through the WebSocket (wslay: " + std::to_string(error) + ")",
              "ConnectionLost");
}

// Of the first line of an answer that is not 101.
tl::unexpected<Error> refusal(std::string_view line) {
  const std::string said = printable(line, 100);
  const std::string_view code = line.substr(std::min<size_t>(9, line.size()), 3);
  if (code == "401" || code == "403") {
    return fail(Code::PermissionDenied,
                "the broker's web server answers \"" + said + "\"; check its access rules",
                "NotAuthorized");
  }
  return fail(Code::Unavailable,
              "the broker's web server answers \"" + said +
                  "\" and opens no WebSocket; check the path in mqtt.brokers",
              "WebSocketRefused");
}

}  // namespace

struct WebSocket::Impl {
  explicit Impl(std::string given) : key(given.empty() ? random_key() : std::move(given)) {
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = take;
    callbacks.send_callback = put;
    callbacks.genmask_callback = mask;
    callbacks.on_frame_recv_start_callback = begin_frame;
    callbacks.on_frame_recv_chunk_callback = hand_over;
    wslay_event_context_client_init(&frames, &callbacks, this);
    wslay_event_config_set_no_buffering(frames, 1);
  }
  ~Impl() { wslay_event_context_free(frames); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status read_answer(std::string_view bytes);
  Status check_answer(std::string_view head) const;
  Status read_frames(std::string& payload);

  static Impl* of(void* self) { return static_cast<Impl*>(self); }
  static ssize_t take(wslay_event_context_ptr context, uint8_t* to, size_t most, int, void* self) {
    std::string_view& left = of(self)->incoming;
    if (left.empty()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    const size_t count = left.copy(reinterpret_cast<char*>(to), most);
    left.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  static ssize_t put(wslay_event_context_ptr, const uint8_t* bytes, size_t size, int, void* self) {
    of(self)->outgoing.append(reinterpret_cast<const char*>(bytes), size);
    return static_cast<ssize_t>(size);
  }
  static int mask(wslay_event_context_ptr, uint8_t* to, size_t size, void*) {
    return RAND_bytes(to, static_cast<int>(size)) == 1 ? 0 : -1;
  }
  static void begin_frame(wslay_event_context_ptr, const wslay_event_on_frame_recv_start_arg* frame,
                          void* self) {
    of(self)->is_text = of(self)->is_text || frame->opcode == WSLAY_TEXT_FRAME;
    of(self)->is_data = !wslay_is_ctrl_frame(frame->opcode);
  }
  static void hand_over(wslay_event_context_ptr, const wslay_event_on_frame_recv_chunk_arg* chunk,
                        void* self) {
    if (!of(self)->is_data || of(self)->is_text) return;
    of(self)->payload->append(reinterpret_cast<const char*>(chunk->data), chunk->data_length);
  }

  const std::string key;
  wslay_event_context_ptr frames = nullptr;
  bool open = false;
  std::string answer;         // of HTTP, as far as it has come
  std::string_view incoming;  // what wslay has not taken yet
  std::string* payload = nullptr;
  bool is_data = false, is_text = false;
  std::string outgoing;
};

WebSocket::WebSocket(const std::string& authority, const std::string& path, std::string key)
    : impl_(std::make_unique<Impl>(std::move(key))) {
  impl_->outgoing =
      "GET " + path + " HTTP/1.1\r\nHost: " + authority +
      "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + impl_->key +
      "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " + std::string(kProtocol) +
      "\r\n\r\n";
}

WebSocket::~WebSocket() = default;

Status WebSocket::Impl::check_answer(std::string_view head) const {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  if (!line.starts_with("HTTP/1.1 101")) return refusal(line);
  if (field(head, "sec-websocket-accept") != answer_to(key)) {
    return protocol_error("what answers there does not know WebSocket");
  }
  // Not all send it back, and those that do may have no other (MQTT 5.0, 6.0.0-4).
  const std::string_view chosen = field(head, "sec-websocket-protocol");
  if (!chosen.empty() && chosen != kProtocol) {
    return protocol_error("the broker's WebSocket is not for MQTT");
  }
  return {};
}

Status WebSocket::Impl::read_answer(std::string_view bytes) {
  constexpr std::string_view kBegin = "HTTP/1.";
  constexpr std::string_view kEnd = "\r\n\r\n";
  answer.append(bytes);
  const size_t known = std::min(answer.size(), kBegin.size());
  if (answer.compare(0, known, kBegin, 0, known) != 0) {
    return protocol_error("what answers there does not speak HTTP");
  }
  const size_t end = answer.find(kEnd);
  if (end == std::string::npos || end > kMaxAnswerBytes) {
    if (answer.size() <= kMaxAnswerBytes) return {};
    return protocol_error("what answers there sends no end of its HTTP header");
  }
  if (Status good = check_answer(std::string_view(answer).substr(0, end + 2)); !good) return good;
  open = true;
  answer.erase(0, end + kEnd.size());
  return {};
}

Status WebSocket::Impl::read_frames(std::string& to) {
  payload = &to;
  const int read = wslay_event_recv(frames);
  payload = nullptr;
  incoming = {};
  const int sent = wslay_event_send(frames);  // pongs, and the answer to a close
  if (is_text) return protocol_error("the broker sends text, not MQTT");
  if (wslay_event_get_close_received(frames) != 0) {
    return fail(Code::Unavailable,
                "the broker closed the WebSocket (" +
                    std::to_string(wslay_event_get_status_code_received(frames)) + ")",
                "ConnectionLost");
  }
  if (read != 0 || wslay_event_get_read_enabled(frames) == 0) {
    return protocol_error("what answers there breaks the rules of WebSocket");
  }
  if (sent != 0) return no_frame(sent);
  return {};
}

Status WebSocket::receive(std::string_view bytes, std::string& payload) {
  if (impl_->open) {
    impl_->incoming = bytes;
    return impl_->read_frames(payload);
  }
  if (Status answered = impl_->read_answer(bytes); !answered) return answered;
  if (!impl_->open || impl_->answer.empty()) return {};
  impl_->incoming = impl_->answer;
  const Status read = impl_->read_frames(payload);
  impl_->answer.clear();
  return read;
}

bool WebSocket::open() const { return impl_->open; }

Status WebSocket::send(std::string_view payload) {
  const wslay_event_msg message{WSLAY_BINARY_FRAME,
                                reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  int error = wslay_event_queue_msg(impl_->frames, &message);
  if (error == 0) error = wslay_event_send(impl_->frames);
  if (error != 0) return no_frame(error);
  return {};
}

void WebSocket::close() {
  if (!impl_->open) return;
  // Where it cannot be said, the connection ends all the same.
  static_cast<void>(wslay_event_queue_close(impl_->frames, WSLAY_CODE_NORMAL_CLOSURE, nullptr, 0));
  static_cast<void>(wslay_event_send(impl_->frames));
}

std::string& WebSocket::outgoing() { return impl_->outgoing; }

}  // namespace wherry

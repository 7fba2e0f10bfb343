#include "runtime/probe/dialogue.h"

namespace wherry::runtime {
namespace {

// RFC 9113, section 6.
enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7
};
constexpr uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4, kPadded = 8;
constexpr uint32_t kStream = 1;
constexpr size_t kFrameHead = 9;
constexpr size_t kMaxFrame = 16384;  // what we allow a server to send, by not asking for more
constexpr size_t kMaxMessage = 1024;
constexpr int kMaxFrames = 100;

std::string big_endian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>((value >> (8 * i)) & 0xff);
  return text;
}

uint32_t read_number(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

std::string frame(FrameType type, uint8_t flags, uint32_t stream, const std::string& payload) {
  return big_endian(static_cast<uint32_t>(payload.size()), 3) + static_cast<char>(type) +
         static_cast<char>(flags) + big_endian(stream, 4) + payload;
}

// An integer with a prefix of 7 bits (RFC 7541, section 5.1), then the bytes, not Huffman coded.
std::string literal(const std::string& text) {
  std::string coded;
  size_t size = text.size();
  if (size < 127) {
    coded += static_cast<char>(size);
  } else {
    coded += static_cast<char>(127);
    for (size -= 127; size >= 128; size >>= 7) coded += static_cast<char>((size & 127) | 128);
    coded += static_cast<char>(size);
  }
  return coded + text;
}

// Never indexed, with a new name (RFC 7541, section 6.2.3).
std::string header(const std::string& name, const std::string& value) {
  return std::string(1, '\x10') + literal(name) + literal(value);
}

// A varint of protobuf; moves `at` past it.
uint64_t varint(std::string_view text, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0; at < text.size() && shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(text[at++]);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) break;
  }
  return value;
}

class GrpcDialogue final : public Dialogue {
 public:
  GrpcDialogue(const Handler& handler, std::string authority)
      : service_(handler.service), authority_(std::move(authority)) {}

  std::string opening() override {
    const std::string request =
        service_.empty() ? "" : std::string(1, '\x0a') + literal_protobuf(service_);
    const std::string message =
        std::string(1, '\0') + big_endian(static_cast<uint32_t>(request.size()), 4) + request;
    const std::string headers =
        header(":method", "POST") + header(":scheme", "http") +
        header(":path", "/grpc.health.v1.Health/Check") + header(":authority", authority_) +
        header("content-type", "application/grpc") + header("te", "trailers") +
        header("user-agent", "kube-probe/wherry");
    return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, "") +
           frame(kHeaders, kEndHeaders, kStream, headers) +
           frame(kData, kEndStream, kStream, message);
  }

  std::optional<Status> take(std::string_view bytes, std::string& reply) override {
    buffer_ += bytes;
    while (buffer_.size() >= kFrameHead) {
      const size_t size = read_number(std::string_view(buffer_).substr(0, 3));
      if (size > kMaxFrame) return not_grpc();
      if (buffer_.size() < kFrameHead + size) return {};
      if (++frames_ > kMaxFrames) return not_grpc();
      auto verdict = one(buffer_.substr(0, kFrameHead), buffer_.substr(kFrameHead, size), reply);
      if (verdict) return verdict;
      buffer_.erase(0, kFrameHead + size);
    }
    return {};
  }

  Status closed() override {
    return fail(Code::Unavailable, "the server hung up without an answer");
  }

 private:
  static std::string literal_protobuf(const std::string& text) {
    std::string coded;
    size_t size = text.size();
    for (; size >= 128; size >>= 7) coded += static_cast<char>((size & 127) | 128);
    return coded + static_cast<char>(size) + text;
  }
  static Status not_grpc() { return fail(Code::Unavailable, "the answer is not gRPC"); }

  std::optional<Status> one(const std::string& head, std::string payload, std::string& reply) {
    const auto type = static_cast<uint8_t>(head[3]);
    const auto flags = static_cast<uint8_t>(head[4]);
    const uint32_t stream = read_number(std::string_view(head).substr(5)) & 0x7fffffff;
    if (type == kSettings && (flags & kAck) == 0) reply += frame(kSettings, kAck, 0, "");
    if (type == kPing && (flags & kAck) == 0) reply += frame(kPing, kAck, 0, payload);
    if (type == kGoAway || type == kReset) return closed();
    if (stream != kStream) return {};
    if (type == kData) {
      if ((flags & kPadded) != 0 && !payload.empty()) {
        const size_t pad = static_cast<uint8_t>(payload[0]) + size_t{1};
        if (pad > payload.size()) return not_grpc();
        payload = payload.substr(1, payload.size() - pad);
      }
      message_ += payload;
      if (message_.size() > kMaxMessage) return not_grpc();
      if (auto verdict = judge()) return verdict;
    }
    const bool last = (type == kData || type == kHeaders) && (flags & kEndStream) != 0;
    if (!last) return {};
    // Trailers without a message: an error whose words are compressed, which we do not undo.
    return fail(Code::Unavailable, "the server knows no health of \"" + service_ +
                                       "\": it must offer grpc.health.v1.Health, and that service");
  }

  // HealthCheckResponse: field 1 is the status, 1 is SERVING.
  std::optional<Status> judge() const {
    constexpr size_t kPrefix = 5;
    if (message_.size() < kPrefix) return {};
    const size_t size = read_number(std::string_view(message_).substr(1, 4));
    if (message_[0] != 0 || size > kMaxMessage) return not_grpc();
    if (message_.size() < kPrefix + size) return {};
    const std::string_view body = std::string_view(message_).substr(kPrefix, size);
    uint64_t status = 0;
    for (size_t at = 0; at < body.size();) {
      if (varint(body, at) != 8) return not_grpc();
      status = varint(body, at);
    }
    if (status == 1) return Status();
    return fail(Code::Unavailable, status == 2   ? "gRPC health is NOT_SERVING"
                                   : status == 3 ? "gRPC health is SERVICE_UNKNOWN"
                                                 : "gRPC health is UNKNOWN");
  }

  const std::string service_, authority_;
  std::string buffer_;
  std::string message_;
  int frames_ = 0;
};

}  // namespace

std::unique_ptr<Dialogue> grpc_dialogue(const Handler& handler, const std::string& authority) {
  return std::make_unique<GrpcDialogue>(handler, authority);
}

}  // namespace wherry::runtime

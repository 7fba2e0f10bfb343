#include "tests/fuzz/websocket_invariants.h"

#include <algorithm>

#include "agent/fleet/websocket.h"
#include "base/text.h"

namespace wherry {
namespace {

// RFC 6455, section 1.3.
constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr const char* kAgreed =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Outcome {
  std::string payload, said;
  size_t replied = 0;
};

// In pieces of that size; what comes after an error is not read any more.
Outcome converse(std::string_view text, size_t piece) {
  WebSocket socket("broker", "/mqtt", kKey);
  socket.outgoing().clear();
  Outcome outcome;
  for (size_t at = 0; at < text.size() && outcome.said.empty(); at += piece) {
    const Status read = socket.receive(text.substr(at, piece), outcome.payload);
    if (!read) outcome.said = read.error().full();
    outcome.replied += socket.outgoing().size();
    socket.outgoing().clear();
  }
  return outcome;
}

// wslay looks at the reason of a close from the third byte of each piece on, so whether it is UTF-8
// depends on the pieces.
bool differ(const std::string& one, const std::string& other) {
  const auto breaks = [](const std::string& said) {
    return said.find("breaks the rules") != std::string::npos;
  };
  return one != other && !breaks(one) && !breaks(other);
}

}  // namespace

std::string broken_websocket(std::string_view text) {
  // As it stands, and as what follows a good beginning.
  for (const std::string& all : {std::string(text), kAgreed + std::string(text)}) {
    const Outcome whole = converse(all, all.size() + 1);
    for (const size_t piece : {size_t{1}, size_t{7}}) {
      const Outcome outcome = converse(all, piece);
      if (differ(outcome.said, whole.said))
        return "pieces decide: " + whole.said + " / " + outcome.said;
      if (outcome.payload != whole.payload) return "pieces decide what is carried";
    }
    if (whole.payload.size() > all.size()) return "more is carried than was sent";
    // A pong, or the answer to a close, has the payload again and a mask.
    if (whole.replied > 5 * all.size() + 256) return "more is replied than was said";
    const std::string& said = whole.said;
    const bool line = std::none_of(said.begin(), said.end(),
                                   [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!line || said.size() > 400 || !is_valid_utf8(said)) return "no short line: " + said;
  }
  return {};
}

}  // namespace wherry

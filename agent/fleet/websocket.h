#pragma once
// The client's side of a WebSocket (RFC 6455) with the subprotocol "mqtt" (MQTT 5.0, section 6), as
// bytes in and bytes out; frames are wslay's.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry {

// Not thread-safe. After an error it is over.
class WebSocket {
 public:
  // `authority`: what goes into Host. `key`: 16 bytes in base64, random where it is empty.
  WebSocket(const std::string& authority, const std::string& path, std::string key = {});
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // Bytes of the server; what they carry is appended to `payload`. Reasons of errors:
  // WebSocketRefused, NotAuthorized, ProtocolError, ConnectionLost.
  Status receive(std::string_view bytes, std::string& payload);
  // The server has agreed: send() may be called.
  bool open() const;
  // An error where no frame could be made of it, as after the server's close.
  Status send(std::string_view payload);
  void close();
  // For the server; whoever sends it takes it away.
  std::string& outgoing();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wherry

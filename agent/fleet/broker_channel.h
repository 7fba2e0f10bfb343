#pragma once
// Bytes between the MQTT library and a broker over TLS, a WebSocket, or one in the other. The
// library has one end of a local socket, this has the other, and moves what there is when told to.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/fleet/broker_url.h"
#include "agent/fleet/tcp_connector.h"
#include "agent/fleet/tls_stream.h"
#include "agent/fleet/websocket.h"

namespace wherry {

// Not thread-safe. After an error it is over.
class BrokerChannel {
 public:
  // Resolves the broker's name (which blocks) and begins to connect. Reasons of errors: those of
  // TcpConnector and TlsStream.
  static Result<std::unique_ptr<BrokerChannel>> open(const BrokerUrl& url,
                                                     const TlsOptions& options, ClientKeys& keys,
                                                     WallTime now);

  int fd() const { return tcp_.fd(); }  // may change until it is ready
  short poll_events() const;
  std::optional<TlsPeer> peer() const;  // once it is ready; nothing without TLS
  // Connects, shakes hands; true once MQTT can begin, and ever after.
  Result<bool> get_ready();
  // The other end of the library's socket.
  void attach(Fd library) { library_ = std::move(library); }
  // Bytes that were moved from the broker to the library; 0 when there are none now, or the
  // library has not read those before.
  Result<size_t> receive();
  // Sends what the library has written. False when the network takes no more now; receive() tells
  // of an error.
  bool send();
  // Takes leave of the broker's end. It is over then.
  void close();

 private:
  enum class Stage { Connecting, HandshakingTls, OpeningWebSocket, Ready };
  BrokerChannel(TcpConnector tcp, std::unique_ptr<TlsStream> tls,
                std::unique_ptr<WebSocket> websocket);
  Result<size_t> read(char* to, size_t most);
  Result<size_t> write(std::string_view bytes);
  void fetch();    // from the network to down_
  Status flush();  // from up() to the network
  void take_from_library();
  Result<size_t> hand_to_library();
  std::string& up() { return websocket_ ? websocket_->outgoing() : up_; }

  TcpConnector tcp_;
  const std::unique_ptr<TlsStream> tls_;
  const std::unique_ptr<WebSocket> websocket_;
  Stage stage_ = Stage::Connecting;
  Fd library_;
  std::string up_;                     // for the network
  std::string down_;                   // for the library
  std::optional<Error> end_, broken_;  // of reading, of writing
  bool more_ = false;                  // is there although the socket has nothing to read
};

}  // namespace wherry

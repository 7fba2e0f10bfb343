#pragma once
// TLS 1.2 or newer on a socket that does not block, by OpenSSL.

#include <memory>
#include <string>
#include <string_view>

#include "agent/fleet/client_key.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry {

struct TlsOptions {
  std::string ca_file;    // PEM; empty: the authorities of the system
  std::string cert_file;  // PEM, with the chain that the broker lacks; empty: none is shown
  std::string key_file;   // see ClientKeys
  std::string alpn;       // RFC 7301, 1 to 255 bytes; empty: none is offered
};

// Who has answered.
struct TlsPeer {
  std::string protocol;                // "TLSv1.3"
  WallTime not_before{}, not_after{};  // of the broker's certificate
};

// Not thread-safe. After an error other than "not now" it is over.
class TlsStream {
 public:
  // Reads the files anew. The broker's certificate must be for `host`, a name (which goes into SNI)
  // or an address, and valid `now`. Reasons of errors: CaFileUnreadable, CertificateFileUnreadable,
  // KeyMismatch, those of ClientKeys.
  static Result<std::unique_ptr<TlsStream>> make(const TlsOptions& options, ClientKeys& keys,
                                                 const std::string& host, WallTime now);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // A connected socket, which stays the caller's.
  Status attach(int socket);
  // True once done. Reasons of errors: those of tls_errors.h, ConnectionLost.
  Result<bool> handshake();
  TlsPeer peer() const;  // after the handshake
  // Bytes that were moved; 0 when none can be now. ConnectionLost at the end.
  Result<size_t> read(char* to, size_t most);
  Result<size_t> write(std::string_view bytes);
  bool wants_write() const;  // to go on at all
  bool has_more() const;     // to read, which poll(2) does not see
  void close();

 private:
  struct Impl;
  explicit TlsStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wherry

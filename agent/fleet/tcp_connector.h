#pragma once
// A TCP connection in the making: one address of a name after the other.

#include <cstddef>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace wherry {

class TcpConnector {
 public:
  // Resolves, which blocks for as long as the resolver does, and begins to connect. Reasons of
  // errors: DnsLookupFailed, those of socket_error().
  static Result<TcpConnector> open(const std::string& host, int port);

  int fd() const { return socket_.get(); }
  // Call it when fd() is writable or in error; true once connected. Errors: the last address's.
  Result<bool> advance();

 private:
  struct Address {
    sockaddr_storage bytes{};
    socklen_t length = 0;
  };
  Status try_next();

  std::vector<Address> addresses_;
  size_t next_ = 0;
  Fd socket_;
};

}  // namespace wherry

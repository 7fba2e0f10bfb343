#pragma once
// One conversation with a server, over a socket that never blocks.

#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "runtime/probe/dialogue.h"

namespace wherry::runtime {

class Connection {
 public:
  // `address`: an IP address as text. Without a dialogue to be connected is all. With `tls` whoever
  // answers is believed, as Kubernetes does with probes. Errors are those of the first step.
  static Result<std::unique_ptr<Connection>> open(const std::string& address, uint16_t port,
                                                  bool tls, std::unique_ptr<Dialogue> dialogue);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return socket_.get(); }
  bool wants_write() const { return wants_write_; }
  // Goes on as far as it can without waiting; the verdict, once there is one.
  std::optional<Status> step();

 private:
  struct Tls;
  Connection(Fd socket, std::unique_ptr<Tls> tls, std::unique_ptr<Dialogue> dialogue);
  std::optional<Status> finish_connect();
  std::optional<Status> finish_handshake();
  std::optional<Status> write_some();
  std::optional<Status> read_some();

  Fd socket_;
  std::unique_ptr<Tls> tls_;
  std::unique_ptr<Dialogue> dialogue_;
  std::string outgoing_;
  bool connected_ = false, greeted_ = false, wants_write_ = true;
};

}  // namespace wherry::runtime

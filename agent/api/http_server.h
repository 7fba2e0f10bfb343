#pragma once
// Accepts connections and runs a handler for each on a few threads made on demand. One thread
// waits for all listeners; nothing wakes up while nobody calls.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "agent/api/http_exchange.h"
#include "agent/api/http_listener.h"
#include "base/executor.h"

namespace wherry::http {

struct ServerLimits {
  size_t threads = 16;
  size_t queued = 16;             // accepted, waiting for a thread; more are told 503
  size_t tcp_connections = 10;    // so that the network can never starve the local socket
  size_t client_connections = 6;  // of one client over TCP: as many as a browser opens. Else 429
  size_t tag_connections = 0;     // of one listener's tag; 0: no limit. More are told 429
  Timeouts timeouts;
};

// Whose connection it is, by the address it came from.
Peer peer_of(const sockaddr_storage& address);

class Server {
 public:
  // Answers; exceptions become 500. Runs on several threads at once.
  using Handler = std::function<void(Exchange&)>;
  // What a new connection over TCP is refused with, before anything is read of it; or nothing. Must
  // not wait: nobody else is let in meanwhile.
  using Admission = std::function<std::optional<Problem>(Peer&)>;

  Server(std::string name, ServerLimits limits, Handler handler, Admission admit = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Call once, with the listeners open.
  Status start(std::vector<Listener> listeners);
  // While it runs.
  void add(Listener listener);
  void remove(const std::string& tag);  // its sockets are closed when it returns
  // Accepts no more, cancels what runs, waits up to `grace` for it to end, then cuts connections.
  void stop(Duration grace);

  // From a handler: cancels the exchange's token as soon as its client goes away. Until the
  // returned handle dies.
  std::shared_ptr<void> watch(Exchange& exchange);

 private:
  struct Connection;
  struct Registry;

  void accept_loop();
  void accept_ready(const std::vector<pollfd>& ready);
  void accept_from(const Listener& listener);
  std::optional<Problem> refusal(Peer& peer) const;
  void serve(const std::shared_ptr<Connection>& connection);
  void wake() const;

  const std::string name_;
  const ServerLimits limits_;
  const Handler handler_;
  const Admission admit_;
  std::mutex listeners_mutex_;
  std::vector<Listener> listeners_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Executor> workers_;
  int wake_fd_ = -1;
  std::thread acceptor_;
};

}  // namespace wherry::http

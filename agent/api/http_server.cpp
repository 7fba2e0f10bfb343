#include "agent/api/http_server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <list>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/log.h"

namespace wherry::http {
namespace {

// With no descriptor left, accept() would be retried without a pause.
constexpr int kOutOfDescriptorsPauseMs = 200;

// Whoever is on this device has all of 127.0.0.0/8 and ::1: they count as one client.
constexpr const char* kThisDevice = "127.0.0.1";

// A stream that says nothing would else never notice that its client lost the network.
void set_up_tcp(int fd) {
  constexpr int kOn = 1, kIdleSeconds = 60, kBetweenSeconds = 15, kProbes = 4;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof kOn);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleSeconds, sizeof kIdleSeconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kBetweenSeconds, sizeof kBetweenSeconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
}

// With Refresh a browser asks again by itself.
Problem too_many(int status, std::string detail) {
  return {
      status, std::move(detail), "TooManyConnections", {{"Retry-After", "1"}, {"Refresh", "1"}}};
}

}  // namespace

Peer peer_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const in_addr& v4 = reinterpret_cast<const sockaddr_in*>(&address)->sin_addr;
    if ((ntohl(v4.s_addr) >> 24) == 127) return {true, true, "", kThisDevice};
    inet_ntop(AF_INET, &v4, text.data(), text.size());
    return {true, false, "", text.data()};
  }
  if (address.ss_family != AF_INET6) return {};
  in6_addr v6 = reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
  if (mapped ? v6.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&v6)) {
    return {true, true, "", kThisDevice};
  }
  if (mapped) {
    inet_ntop(AF_INET, &v6.s6_addr[12], text.data(), text.size());
    return {true, false, "", text.data()};
  }
  std::fill(&v6.s6_addr[8], &v6.s6_addr[16], 0);
  inet_ntop(AF_INET6, &v6, text.data(), text.size());
  return {true, false, "", std::string(text.data()) + "/64"};
}

struct Server::Connection {
  std::shared_ptr<Socket> socket;
  Peer peer;
  CancelToken cancel;
  bool watched = false;
};

// The connections there are. Everything in it is guarded by its mutex.
struct Server::Registry {
  std::mutex mutex;
  std::condition_variable emptied;
  std::list<std::shared_ptr<Connection>> open;
  bool stopping = false;

  void add(const std::shared_ptr<Connection>& connection) {
    const std::lock_guard lock(mutex);
    open.push_back(connection);
    if (stopping) connection->cancel.cancel();
  }
  void remove(const std::shared_ptr<Connection>& connection) {
    const std::lock_guard lock(mutex);
    open.remove(connection);
    emptied.notify_all();
  }
  size_t count(const std::function<bool(const Peer&)>& counts) {
    const std::lock_guard lock(mutex);
    return static_cast<size_t>(
        std::count_if(open.begin(), open.end(), [&](const auto& c) { return counts(c->peer); }));
  }
  std::vector<std::shared_ptr<Connection>> all(bool watched_only) {
    const std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<Connection>> list;
    for (const auto& connection : open) {
      if (!watched_only || connection->watched) list.push_back(connection);
    }
    return list;
  }
};

Server::Server(std::string name, ServerLimits limits, Handler handler, Admission admit)
    : name_(std::move(name)),
      limits_(limits),
      handler_(std::move(handler)),
      admit_(std::move(admit)),
      registry_(std::make_unique<Registry>()) {}

Server::~Server() {
  stop(Duration::zero());
  if (wake_fd_ >= 0) close(wake_fd_);
}

Status Server::start(std::vector<Listener> listeners) {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) {
    return fail(Code::ResourceExhausted, std::string("make an eventfd: ") + std::strerror(errno));
  }
  for (Listener& listener : listeners) add(std::move(listener));
  workers_ = std::make_unique<Executor>(name_, limits_.threads, limits_.queued);
  acceptor_ = std::thread([this] {
    name_this_thread(name_ + "-accept");
    accept_loop();
  });
  return {};
}

void Server::add(Listener listener) {
  {
    const std::lock_guard lock(listeners_mutex_);
    listeners_.push_back(std::move(listener));
  }
  wake();
}

void Server::remove(const std::string& tag) {
  {
    const std::lock_guard lock(listeners_mutex_);
    std::erase_if(listeners_, [&](const Listener& listener) { return listener.tag() == tag; });
  }
  wake();
}

void Server::wake() const {
  const uint64_t one = 1;
  // A full counter means that a wake-up is due anyway.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void Server::stop(Duration grace) {
  if (!acceptor_.joinable()) return;
  {
    const std::lock_guard lock(registry_->mutex);
    registry_->stopping = true;
  }
  wake();
  acceptor_.join();
  {
    const std::lock_guard lock(listeners_mutex_);
    listeners_.clear();
  }
  for (const auto& connection : registry_->all(false)) connection->cancel.cancel();
  {
    std::unique_lock lock(registry_->mutex);
    registry_->emptied.wait_for(lock, grace, [this] { return registry_->open.empty(); });
  }
  for (const auto& connection : registry_->all(false)) connection->socket->abort();
  workers_.reset();
}

void Server::accept_loop() {
  std::vector<pollfd> polled;
  while (true) {
    const auto watched = registry_->all(true);
    polled.assign(1, pollfd{wake_fd_, POLLIN, 0});
    for (const auto& connection : watched) {
      polled.push_back({connection->socket->fd(), POLLRDHUP, 0});
    }
    {
      const std::lock_guard lock(listeners_mutex_);
      for (const Listener& listener : listeners_) polled.push_back({listener.fd(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    uint64_t drained = 0;
    [[maybe_unused]] const ssize_t got = read(wake_fd_, &drained, sizeof drained);
    {
      const std::lock_guard lock(registry_->mutex);
      if (registry_->stopping) return;
    }
    for (size_t i = 0; i < watched.size(); ++i) {
      if (polled[1 + i].revents == 0) continue;
      {
        const std::lock_guard lock(registry_->mutex);
        watched[i]->watched = false;
      }
      watched[i]->cancel.cancel();
    }
    polled.erase(polled.begin(), polled.begin() + 1 + static_cast<std::ptrdiff_t>(watched.size()));
    std::erase_if(polled, [](const pollfd& entry) { return entry.revents == 0; });
    accept_ready(polled);
  }
}

// One that was removed meanwhile is not among the listeners any more; another that got its
// descriptor has nobody waiting, which is no harm.
void Server::accept_ready(const std::vector<pollfd>& ready) {
  const std::lock_guard lock(listeners_mutex_);
  for (const Listener& listener : listeners_) {
    const bool waits = std::any_of(ready.begin(), ready.end(),
                                   [&](const pollfd& entry) { return entry.fd == listener.fd(); });
    if (waits) accept_from(listener);
  }
}

void Server::accept_from(const Listener& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const int fd = accept4(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log_warn("cannot accept an API connection", {{"error", std::strerror(errno)}});
      poll(nullptr, 0, kOutOfDescriptorsPauseMs);
    }
    return;
  }
  auto connection = std::make_shared<Connection>();
  connection->socket = std::make_shared<Socket>(fd);
  connection->peer = peer_of(address);
  connection->peer.tag = listener.tag();
  if (connection->peer.tcp) set_up_tcp(fd);
  std::optional<Problem> refused = refusal(connection->peer);
  if (!refused) {
    registry_->add(connection);
    if (workers_->post([this, connection] { serve(connection); })) return;
    registry_->remove(connection);
    refused = too_many(503, "too many connections at once; try again");
  }
  // It fits into the new socket's buffer: nothing waits for the client here.
  Exchange(connection->socket, connection->peer, limits_.timeouts).respond(*refused);
  connection->socket->part();
}

std::optional<Problem> Server::refusal(Peer& peer) const {
  if (limits_.tag_connections > 0 && !peer.tag.empty() && registry_->count([&](const Peer& p) {
        return p.tag == peer.tag;
      }) >= limits_.tag_connections) {
    return too_many(429, "too many connections at once; try again");
  }
  if (!peer.tcp) return std::nullopt;
  if (admit_) {
    if (auto problem = admit_(peer)) return problem;
  }
  if (registry_->count([&](const Peer& p) { return p.client == peer.client; }) >=
      limits_.client_connections) {
    return too_many(429, "too many connections at once from your address; end one and try again");
  }
  if (registry_->count([](const Peer& p) { return p.tcp; }) >= limits_.tcp_connections) {
    return too_many(503, "too many connections at once; try again");
  }
  return std::nullopt;
}

void Server::serve(const std::shared_ptr<Connection>& connection) {
  Exchange exchange(connection->socket, connection->peer, limits_.timeouts, connection->cancel);
  if (exchange.receive()) {
    try {
      handler_(exchange);
    } catch (const std::exception& error) {
      log_error("an API request failed",
                {{"target", exchange.request().target}, {"error", error.what()}});
      if (exchange.status() == 0) {
        exchange.respond(Problem{500, "the request could not be served; see the agent's log"});
      }
    }
  }
  exchange.close();
  registry_->remove(connection);
}

std::shared_ptr<void> Server::watch(Exchange& exchange) {
  std::shared_ptr<Connection> found;
  for (const auto& connection : registry_->all(false)) {
    if (connection->socket->fd() == exchange.fd()) found = connection;
  }
  if (!found) return nullptr;
  // The acceptor waits on what was watched when it went to sleep: it must look again, both ways.
  const auto set = [this, found](bool on) {
    {
      const std::lock_guard lock(registry_->mutex);
      found->watched = on;
    }
    wake();
  };
  set(true);
  return {nullptr, [set](void*) { set(false); }};
}

}  // namespace wherry::http

#include "agent/check/reach.h"

#include <algorithm>
#include <array>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/fleet/broker_channel.h"

namespace wherry::check {
namespace {

constexpr Duration kSlice = std::chrono::milliseconds(100);
// With TLS 1.3 a broker refuses our certificate only after the handshake.
constexpr Duration kAfterthought = std::chrono::seconds(2);

class Deadline {
 public:
  Deadline(Duration within, const CancelToken& cancel)
      : end_(SystemClock().now() + within), cancel_(cancel) {}
  // False where nothing came by then.
  bool wait(int fd, short events) const {
    while (!cancel_.cancelled()) {
      const Duration left = end_ - SystemClock().now();
      if (left <= Duration::zero()) return false;
      pollfd one{fd, events, 0};
      const auto slice = std::chrono::ceil<std::chrono::milliseconds>(std::min(left, kSlice));
      if (poll(&one, 1, static_cast<int>(slice.count())) > 0) return true;
    }
    return false;
  }

 private:
  const MonoTime end_;
  const CancelToken& cancel_;
};

std::string address_at(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXHOST> text{};
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(socket, plain, &size) != 0) return "?";
  getnameinfo(plain, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return text.data();
}

// Whatever comes now without being an error means that it has taken our certificate.
Status hear_afterthought(BrokerChannel& channel, const CancelToken& cancel) {
  if (!Deadline(kAfterthought, cancel).wait(channel.fd(), POLLIN)) return {};
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return {};
  }
  const Fd nobody(ends[1]);
  channel.attach(Fd(ends[0]));
  const auto heard = channel.receive();
  return heard ? Status{} : fail(heard.error());
}

}  // namespace

Result<Reached> reach(const BrokerUrl& url, const TlsOptions& options, Duration within,
                      const CancelToken& cancel) {
  ClientKeys keys;
  const auto channel = BrokerChannel::open(url, options, keys, SystemClock().wall());
  if (!channel) return fail(channel.error());
  BrokerChannel& broker = **channel;
  const Deadline deadline(within, cancel);
  while (true) {
    const Result<bool> ready = broker.get_ready();
    if (!ready) return fail(ready.error());
    if (*ready) break;
    if (!deadline.wait(broker.fd(), broker.poll_events())) {
      return fail(Code::DeadlineExceeded,
                  "the broker did not answer within " + format_duration(within), "Timeout");
    }
  }
  Reached reached{address_at(broker.fd()), broker.peer()};
  if (reached.peer && reached.peer->protocol == "TLSv1.3") {
    if (Status taken = hear_afterthought(broker, cancel); !taken) return fail(taken.error());
  }
  broker.close();
  return reached;
}

}  // namespace wherry::check

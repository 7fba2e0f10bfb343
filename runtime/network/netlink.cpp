#include "runtime/network/netlink.h"

#include <array>
#include <cerrno>
#include <linux/netlink.h>
#include <sys/socket.h>

namespace wherry::runtime {

int netlink_send(const Fd& netlink, std::string_view message) {
  const ssize_t sent = send(netlink.get(), message.data(), message.size(), 0);
  return sent == static_cast<ssize_t>(message.size()) ? 0 : errno;
}

int netlink_receive(const Fd& netlink, const std::function<void(const nlmsghdr*)>& each) {
  alignas(nlmsghdr) std::array<char, 32 * 1024> buffer;
  while (true) {
    const ssize_t got = recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? EPIPE : errno;
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return 0;
      if (message->nlmsg_type == NLMSG_ERROR) {
        return -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
      }
      each(message);
    }
  }
}

}  // namespace wherry::runtime

#include "runtime/network/bridge.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace wherry::runtime {
namespace {

struct LinkRequest {
  nlmsghdr header;
  ifinfomsg link;
};

LinkRequest make_request(uint16_t type, uint16_t flags, int index) {
  LinkRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = index;
  return request;
}

// The master of a link message, or 0.
int master_of(const nlmsghdr* message) {
  const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  auto left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof *link));
  for (const rtattr* attribute = IFLA_RTA(link); RTA_OK(attribute, left);
       attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != IFLA_MASTER) continue;
    int master = 0;
    memcpy(&master, RTA_DATA(attribute), sizeof master);
    return master;
  }
  return 0;
}

// Reads answers until the last one and calls `on_link` for each link; the kernel's errno.
template <typename OnLink>
int receive(const Fd& netlink, OnLink on_link) {
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
      on_link(message);
    }
  }
}

int ask(const LinkRequest& request, const Fd& netlink) {
  const ssize_t sent = send(netlink.get(), &request, sizeof request, 0);
  return sent == static_cast<ssize_t>(sizeof request) ? 0 : errno;
}

}  // namespace

bool device_exists(const std::string& name) { return if_nametoindex(name.c_str()) != 0; }

Status remove_unused_bridge(const std::string& name) {
  const auto index = static_cast<int>(if_nametoindex(name.c_str()));
  if (index == 0) return {};
  const auto failed = [&name](int error) {
    return fail(Code::Internal, "remove bridge " + name + ": " + std::strerror(error));
  };
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.valid()) return failed(errno);
  bool used = false;
  int error = ask(make_request(RTM_GETLINK, NLM_F_DUMP, 0), netlink);
  if (error == 0) {
    error =
        receive(netlink, [&](const nlmsghdr* link) { used = used || master_of(link) == index; });
  }
  if (error != 0) return failed(error);
  if (used) return {};
  error = ask(make_request(RTM_DELLINK, NLM_F_ACK, index), netlink);
  if (error == 0) error = receive(netlink, [](const nlmsghdr*) {});
  if (error != 0 && error != ENODEV) return failed(error);
  return {};
}

}  // namespace wherry::runtime

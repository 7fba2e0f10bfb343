#include "agent/fleet/network_watch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string_view>
#include <sys/socket.h>
#include <utility>

namespace wherry {
namespace {

constexpr uint32_t kFirstLook = 1;  // number of the request for what there is

Fd open_socket() {
  Fd opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!opened.valid() ||
      bind(opened.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Fd();
  }
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = kFirstLook;
  if (send(opened.get(), &request, sizeof request, 0) < 0) return Fd();
  return opened;
}

std::string_view text_of(const rtattr* attribute) {
  const std::string_view bytes(static_cast<const char*>(RTA_DATA(attribute)),
                               RTA_PAYLOAD(attribute));
  return bytes.substr(0, bytes.find('\0'));
}

// What the kernel calls the kind of a virtual link; "" for hardware.
std::string_view kind_of(const nlmsghdr* message) {
  const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  auto left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof *link));
  for (const rtattr* each = IFLA_RTA(link); RTA_OK(each, left); each = RTA_NEXT(each, left)) {
    if (each->rta_type != IFLA_LINKINFO) continue;
    auto inner = static_cast<int>(RTA_PAYLOAD(each));
    for (const auto* info = static_cast<const rtattr*>(RTA_DATA(each)); RTA_OK(info, inner);
         info = RTA_NEXT(info, inner)) {
      if (info->rta_type == IFLA_INFO_KIND) return text_of(info);
    }
  }
  return {};
}

bool is_of_containers(std::string_view kind) {
  constexpr std::array<std::string_view, 4> kKinds{"bridge", "ipvlan", "macvlan", "veth"};
  return std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
}

bool is_default_route(const nlmsghdr* message) {
  const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(message));
  return route->rtm_dst_len == 0 && route->rtm_type == RTN_UNICAST;
}

}  // namespace

NetworkWatch::NetworkWatch() : socket_(open_socket()) {}

bool NetworkWatch::changed() {
  bool found = false;
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  while (socket_.valid()) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {  // more than it could hold: something has changed
      found = true;
      continue;
    }
    if (got <= 0) break;
    auto left = static_cast<uint32_t>(got);
    for (const auto* each = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(each, left);
         each = NLMSG_NEXT(each, left)) {
      const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(each));
      if (each->nlmsg_type == RTM_NEWROUTE) {
        found = found || is_default_route(each);
      } else if (each->nlmsg_type == RTM_DELLINK) {
        running_.erase(link->ifi_index);
      } else if (each->nlmsg_type == RTM_NEWLINK && link->ifi_family == AF_UNSPEC) {
        const bool runs = (link->ifi_flags & IFF_RUNNING) != 0;
        const bool ran = std::exchange(running_[link->ifi_index], runs);
        const bool first = each->nlmsg_seq == kFirstLook;
        const bool local = (link->ifi_flags & IFF_LOOPBACK) != 0 || is_of_containers(kind_of(each));
        found = found || (runs && !ran && !first && !local);
      }
    }
  }
  return found;
}

}  // namespace wherry

#include "runtime/network/bridge.h"

#include <cerrno>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "runtime/network/netlink.h"

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

int ask(const LinkRequest& request, const Fd& netlink) {
  return netlink_send(netlink, {reinterpret_cast<const char*>(&request), sizeof request});
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
    error = netlink_receive(netlink,
                            [&](const nlmsghdr* link) { used = used || master_of(link) == index; });
  }
  if (error != 0) return failed(error);
  if (used) return {};
  error = ask(make_request(RTM_DELLINK, NLM_F_ACK, index), netlink);
  if (error == 0) error = netlink_receive(netlink, [](const nlmsghdr*) {});
  if (error != 0 && error != ENODEV) return failed(error);
  return {};
}

}  // namespace wherry::runtime

#include "runtime/network/service_route.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "runtime/network/netlink.h"

namespace wherry::runtime {
namespace {

constexpr uint8_t kProtocol = 87;  // rtnetlink(7): above RTPROT_STATIC they are free to choose
constexpr uint32_t kMetric = 8787;

struct Attribute {
  rtattr header;
  uint32_t value;
};
struct Request {
  nlmsghdr header;
  rtmsg route;
  Attribute destination, device, metric;
};

Attribute make_attribute(uint16_t type, uint32_t value) {
  Attribute made{};
  made.header.rta_len = RTA_LENGTH(sizeof value);
  made.header.rta_type = type;
  made.value = value;
  return made;
}

Status send_request(uint16_t type, uint16_t flags, const std::string& subnet, int tolerated) {
  const auto failed = [&](int error) {
    return fail(Code::Internal, "route to the Services' " + subnet + ": " + std::strerror(error));
  };
  const size_t slash = subnet.find('/');
  in_addr address{};
  int bits = -1;
  if (slash == std::string::npos ||
      inet_pton(AF_INET, subnet.substr(0, slash).c_str(), &address) != 1) {
    return failed(EINVAL);
  }
  std::from_chars(subnet.data() + slash + 1, subnet.data() + subnet.size(), bits);
  if (bits < 1 || bits > 32) return failed(EINVAL);
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  request.route.rtm_family = AF_INET;
  request.route.rtm_dst_len = static_cast<uint8_t>(bits);
  request.route.rtm_table = RT_TABLE_MAIN;
  request.route.rtm_protocol = kProtocol;
  request.route.rtm_scope = RT_SCOPE_LINK;
  request.route.rtm_type = RTN_UNICAST;
  request.destination = make_attribute(RTA_DST, address.s_addr);
  request.device = make_attribute(RTA_OIF, if_nametoindex("lo"));
  request.metric = make_attribute(RTA_PRIORITY, kMetric);
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.valid()) return failed(errno);
  int error = netlink_send(netlink, {reinterpret_cast<const char*>(&request), sizeof request});
  if (error == 0) error = netlink_receive(netlink, [](const nlmsghdr*) {});
  return error == 0 || error == tolerated ? Status() : failed(error);
}

}  // namespace

Status add_service_route(const std::string& subnet) {
  return send_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, subnet, EEXIST);
}

Status remove_service_route(const std::string& subnet) {
  return send_request(RTM_DELROUTE, 0, subnet, ESRCH);
}

}  // namespace wherry::runtime

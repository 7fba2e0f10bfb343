#include "runtime/network/service_flows.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <optional>
#include <set>
#include <sys/socket.h>
#include <tuple>

#include "runtime/network/netlink.h"

namespace wherry::runtime {
namespace {

constexpr timeval kPatience{5, 0};

struct Request {
  nlmsghdr header;
  nfgenmsg family;
};

// One direction of a flow, in the byte order of the host.
struct Tuple {
  uint32_t source = 0, destination = 0;
  uint16_t source_port = 0, destination_port = 0;
  uint8_t protocol = 0;
};
struct Flow {
  Tuple original, reply;
  std::string original_attribute;  // as the kernel wrote it
};

// Calls `each` with type and content of every attribute.
template <typename Each>
void attributes(std::string_view bytes, Each each) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr header{};
    memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > bytes.size()) return;
    each(header.nla_type & NLA_TYPE_MASK, bytes.substr(NLA_HDRLEN, header.nla_len - NLA_HDRLEN));
    bytes.remove_prefix(std::min<size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  }
}

template <typename Number>
Number number(std::string_view bytes) {
  Number value = 0;
  if (bytes.size() >= sizeof value) memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Tuple parse_tuple(std::string_view bytes) {
  Tuple tuple;
  attributes(bytes, [&](int part, std::string_view content) {
    attributes(content, [&](int type, std::string_view value) {
      if (part == CTA_TUPLE_IP) {
        if (type == CTA_IP_V4_SRC) tuple.source = ntohl(number<uint32_t>(value));
        if (type == CTA_IP_V4_DST) tuple.destination = ntohl(number<uint32_t>(value));
      } else if (part == CTA_TUPLE_PROTO) {
        if (type == CTA_PROTO_NUM) tuple.protocol = number<uint8_t>(value);
        if (type == CTA_PROTO_SRC_PORT) tuple.source_port = ntohs(number<uint16_t>(value));
        if (type == CTA_PROTO_DST_PORT) tuple.destination_port = ntohs(number<uint16_t>(value));
      }
    });
  });
  return tuple;
}

Flow parse_flow(std::string_view message) {
  Flow flow;
  if (message.size() < sizeof(nfgenmsg)) return flow;
  attributes(message.substr(NLMSG_ALIGN(sizeof(nfgenmsg))), [&](int type, std::string_view value) {
    if (type == CTA_TUPLE_ORIG) {
      flow.original = parse_tuple(value);
      flow.original_attribute = value;
    }
    if (type == CTA_TUPLE_REPLY) flow.reply = parse_tuple(value);
  });
  return flow;
}

Request make_request(uint16_t type, uint16_t flags, size_t more) {
  Request request{};
  request.header.nlmsg_len = static_cast<uint32_t>(sizeof request + more);
  request.header.nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
  request.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  request.family.nfgen_family = AF_INET;
  request.family.version = NFNETLINK_V0;
  return request;
}

int forget(const Fd& netlink, const Flow& flow) {
  nlattr header{};
  header.nla_len = static_cast<uint16_t>(NLA_HDRLEN + flow.original_attribute.size());
  header.nla_type = CTA_TUPLE_ORIG | NLA_F_NESTED;
  std::string attribute(reinterpret_cast<const char*>(&header), sizeof header);
  attribute += flow.original_attribute;
  attribute.resize(NLA_ALIGN(attribute.size()));
  const Request request = make_request(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, attribute.size());
  const std::string text =
      std::string(reinterpret_cast<const char*>(&request), sizeof request) + attribute;
  int error = netlink_send(netlink, text);
  if (error == 0) error = netlink_receive(netlink, [](const nlmsghdr*) {});
  return error == ENOENT ? 0 : error;
}

uint32_t parse_address(const std::string& text) {
  in_addr address{};
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ? ntohl(address.s_addr) : 0;
}

// Where flows may lead: by address and port of a Service (address 0: a node port).
using Ends = std::set<std::tuple<uint32_t, uint16_t, uint32_t, uint16_t>>;

class Stale {
 public:
  Stale(const std::vector<ServiceRules>& services, const std::string& subnet,
        const std::string& device_ip)
      : network_(parse_address(subnet.substr(0, subnet.find('/')))) {
    unsigned bits = 32;
    const size_t slash = std::min(subnet.find('/'), subnet.size() - 1);
    std::from_chars(subnet.data() + slash + 1, subnet.data() + subnet.size(), bits);
    if (bits >= 1 && bits <= 32) mask_ = ~uint32_t{0} << (32 - bits);
    for (const ServiceRules& service : services) {
      for (const ServiceForward& port : service.ports) {
        if (port.protocol != Protocol::Udp || service.address.empty()) continue;
        if (port.node_port != 0) node_ports_.insert(port.node_port);
        for (const ServiceEndpoint& endpoint : port.endpoints) {
          const uint32_t to = parse_address(endpoint.ip.empty() ? device_ip : endpoint.ip);
          ends_.emplace(parse_address(service.address), port.port, to, endpoint.port);
          if (port.node_port != 0) ends_.emplace(0, port.node_port, to, endpoint.port);
        }
      }
    }
  }

  bool operator()(const Flow& flow) const {
    const Tuple& wanted = flow.original;
    if (wanted.protocol != IPPROTO_UDP) return false;
    const bool service = (wanted.destination & mask_) == network_;
    // One that was led nowhere goes to a program of the device.
    const bool node =
        node_ports_.contains(wanted.destination_port) && flow.reply.source != wanted.destination;
    if (!service && !node) return false;
    return !ends_.contains({service ? wanted.destination : 0, wanted.destination_port,
                            flow.reply.source, flow.reply.source_port});
  }

 private:
  uint32_t network_ = 0, mask_ = ~uint32_t{0};
  std::set<uint16_t> node_ports_;
  Ends ends_;
};

}  // namespace

Status end_stale_flows(const std::vector<ServiceRules>& services, const std::string& subnet,
                       const std::string& device_ip) {
  const auto failed = [](int error) {
    return fail(Code::Internal, std::string("connection tracking: ") + std::strerror(error));
  };
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!netlink.valid()) return failed(errno);
  setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  const Request dump = make_request(IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0);
  const Stale stale(services, subnet, device_ip);
  std::vector<Flow> found;
  int error = netlink_send(netlink, {reinterpret_cast<const char*>(&dump), sizeof dump});
  if (error != 0) return failed(error);
  error = netlink_receive(netlink, [&](const nlmsghdr* message) {
    Flow flow = parse_flow(
        {static_cast<const char*>(NLMSG_DATA(message)), message->nlmsg_len - size_t{NLMSG_HDRLEN}});
    if (stale(flow)) found.push_back(std::move(flow));
  });
  for (const Flow& flow : found) {
    if (error == 0) error = forget(netlink, flow);
  }
  return error == 0 ? Status() : failed(error);
}

}  // namespace wherry::runtime

// What the network room does on the host without plugins.

#include <arpa/inet.h>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/files.h"
#include "runtime/network/host_footprint.h"
#include "runtime/network/host_ports.h"
#include "runtime/network/netns.h"
#include "runtime/network/pod_record.h"

namespace wherry::runtime {
namespace {

using testing::HasSubstr;

class HostSide : public testing::Test {
 protected:
  HostSide() {
    char name[] = "/tmp/wherry-net-XXXXXX";
    dir = mkdtemp(name);
  }
  ~HostSide() override {
    static_cast<void>(remove_netns(dir + "/ns"));
    static_cast<void>(remove_tree(dir));
  }
  std::string dir;
};

TEST_F(HostSide, NamespacesComeAndGo) {
  const std::string path = dir + "/ns";
  EXPECT_FALSE(is_netns(path));
  ASSERT_TRUE(create_netns(path));
  EXPECT_TRUE(is_netns(path));
  EXPECT_FALSE(create_netns(path)) << "there is one already";
  ASSERT_EQ(mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr), 0);  // a second on top
  ASSERT_TRUE(remove_netns(path));
  ASSERT_TRUE(remove_netns(path));
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  std::ofstream(path) << "";
  EXPECT_FALSE(is_netns(path));
  EXPECT_TRUE(remove_netns(path));
  EXPECT_FALSE(create_netns(dir + "/missing/ns"));
}

TEST_F(HostSide, RecordsSurviveARoundTrip) {
  PodRecord record{"web-1", "/run/netns/web", R"({"name":"x"})", {}, R"({"ips":[]})", "10.0.0.5"};
  PortMapping port;
  port.host_port = 65535;
  port.container_port = 1;
  port.protocol = Protocol::Sctp;
  port.host_ip = "::1";
  record.ports = {port};
  ASSERT_TRUE(write_record(dir + "/r.json", record));
  const auto read = read_record(dir + "/r.json");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->container_id, record.container_id);
  EXPECT_EQ(read->netns, record.netns);
  EXPECT_EQ(read->list, record.list);
  EXPECT_EQ(read->ports, record.ports);
  EXPECT_EQ(read->result, record.result);
  EXPECT_EQ(read->ip, record.ip);
  EXPECT_EQ(read_record(dir + "/none.json").error().code(), Code::NotFound);
  for (const char* broken : {"", "[]", "{}", R"({"containerId":7})"}) {
    std::ofstream(dir + "/r.json") << broken;
    EXPECT_EQ(read_record(dir + "/r.json").error().code(), Code::DataLoss) << broken;
  }
}

struct Bound {
  Fd fd;
  uint16_t port;
};

Bound bind_any(int type) {
  Bound bound{Fd(socket(AF_INET, type | SOCK_CLOEXEC, 0)), 0};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(bound.fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  getsockname(bound.fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  bound.port = ntohs(address.sin_port);
  return bound;
}

PortMapping mapping(uint16_t port, Protocol protocol, const std::string& host_ip = "") {
  PortMapping result;
  result.host_port = port;
  result.container_port = 80;
  result.protocol = protocol;
  result.host_ip = host_ip;
  return result;
}

TEST_F(HostSide, FindsPortsInUse) {
  Bound tcp = bind_any(SOCK_STREAM);
  ASSERT_EQ(listen(tcp.fd.get(), 1), 0);
  Bound udp = bind_any(SOCK_DGRAM);
  const Status taken = check_host_ports({mapping(tcp.port, Protocol::Tcp)});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().reason(), "HostPortConflict");
  EXPECT_THAT(taken.error().message(), HasSubstr("TCP port " + std::to_string(tcp.port)));
  EXPECT_FALSE(check_host_ports({mapping(udp.port, Protocol::Udp)}));
  EXPECT_FALSE(check_host_ports({mapping(tcp.port, Protocol::Tcp, "127.0.0.1")}));
  EXPECT_TRUE(check_host_ports({mapping(tcp.port, Protocol::Tcp, "127.0.0.2")}));
  EXPECT_TRUE(check_host_ports({mapping(tcp.port, Protocol::Tcp, "::1")}));
  tcp.fd = Fd();
  udp.fd = Fd();
  EXPECT_TRUE(check_host_ports({mapping(tcp.port, Protocol::Tcp), mapping(udp.port, Protocol::Udp),
                                mapping(tcp.port, Protocol::Sctp)}));
}

constexpr const char* kSaved = R"(*nat
:PREROUTING ACCEPT [0:0]
:CNI-0123456789abcdef01234567 - [0:0]
:CNI-DN-aaaaaaaaaaaaaaaaaaaaa - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:CNI-ffffffffffffffffffffffff - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -s 10.89.0.5/32 -m comment --comment "name: \"wherry0\" id: \"web-11112222\"" -j CNI-0123456789abcdef01234567
-A POSTROUTING -s 10.88.0.5/32 -m comment --comment "name: \"podman\" id: \"web-other\"" -j CNI-ffffffffffffffffffffffff
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A CNI-0123456789abcdef01234567 -d 10.89.0.0/16 -m comment --comment "name: \"wherry0\" id: \"web-11112222\"" -j ACCEPT
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"wherry0\" id: \"web-11112222\"" -m multiport --dports 8080 -j CNI-DN-aaaaaaaaaaaaaaaaaaaaa
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
COMMIT
)";

TEST_F(HostSide, PlansTheRemovalOfItsOwnRulesOnly) {
  const std::string plan = plan_iptables_cleanup(kSaved, "-11112222", false);
  EXPECT_THAT(plan, HasSubstr("-D POSTROUTING -s 10.89.0.5/32"));
  EXPECT_THAT(plan, HasSubstr("-D CNI-HOSTPORT-DNAT -p tcp"));
  EXPECT_THAT(plan, HasSubstr("-X CNI-0123456789abcdef01234567\n"));
  EXPECT_THAT(plan, HasSubstr("-X CNI-DN-aaaaaaaaaaaaaaaaaaaaa\n"));
  EXPECT_THAT(plan, testing::Not(HasSubstr("podman")));
  EXPECT_THAT(plan, testing::Not(HasSubstr("CNI-ffff")));
  EXPECT_THAT(plan, testing::Not(HasSubstr("-X CNI-HOSTPORT")));
  EXPECT_EQ(plan_iptables_cleanup(kSaved, "-99999999", false), "");
  EXPECT_EQ(plan_iptables_cleanup("", "-11112222", true), "");
}

TEST_F(HostSide, PlansTheRemovalOfSharedChainsOnlyWhenNobodyElseUsesThem) {
  const std::string plan = plan_iptables_cleanup(kSaved, "-11112222", true);
  EXPECT_THAT(plan, HasSubstr("-D PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n"));
  EXPECT_THAT(plan, HasSubstr("-X CNI-HOSTPORT-DNAT\n"));
  EXPECT_THAT(plan, HasSubstr("-X CNI-HOSTPORT-MASQ\n"));
  EXPECT_THAT(plan, HasSubstr("-X CNI-HOSTPORT-SETMARK\n"));
  EXPECT_THAT(plan, testing::Not(HasSubstr("CNI-ffff")));
  // For another agent the rule in CNI-HOSTPORT-DNAT is somebody else's.
  EXPECT_EQ(plan_iptables_cleanup(kSaved, "-99999999", true), "");
}

}  // namespace
}  // namespace wherry::runtime

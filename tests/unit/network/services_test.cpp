// Rules and names of Services as text.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"
#include "runtime/network/applied_services.h"
#include "runtime/network/kernel_parts.h"
#include "runtime/network/loopback_route.h"
#include "runtime/network/service_network.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kTag = "WHERRY-abcdef-";

ServiceRules web(std::vector<ServiceEndpoint> endpoints, uint16_t node_port = 0) {
  ServiceRules rules;
  rules.name = "web";
  rules.address = "10.90.0.7";
  rules.ports = {{Protocol::Tcp, 80, node_port, std::move(endpoints)}};
  return rules;
}
const std::vector<ServiceEndpoint> kTwo = {{"a", "10.89.0.2", 8000}, {"b", "10.89.0.3", 8000}};

RulePlan plan(const std::vector<ServiceRules>& services, const std::string& saved = "") {
  return plan_service_rules(saved, {kTag, "10.90.0.0/16", "10.89.0.1", false}, services);
}

TEST(ServiceRules, LeadFromAnAddressToEachEndpointInTurn) {
  const std::string text = plan({web(kTwo, 30080)}).input;
  std::string wanted =
      "*nat\n"
      ":WHERRY-abcdef-POST - [0:0]\n"
      ":WHERRY-abcdef-SERVICES - [0:0]\n"
      ":CHAIN - [0:0]\n"
      "-A WHERRY-abcdef-SERVICES -d 10.90.0.7 -p tcp -m tcp --dport 80 -m comment --comment "
      "\"web:80\" -j CHAIN\n"
      "-A WHERRY-abcdef-SERVICES ! -d 127.0.0.0/8 -p tcp -m tcp --dport 30080 -m addrtype "
      "--dst-type LOCAL -m comment --comment \"web:80\" -j CHAIN\n"
      "-A CHAIN -p tcp -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination "
      "10.89.0.2:8000\n"
      "-A CHAIN -p tcp -j DNAT --to-destination 10.89.0.3:8000\n"
      "-A WHERRY-abcdef-POST -m conntrack --ctstate DNAT --ctorigdst 10.90.0.0/16 -j MASQUERADE\n"
      "-A WHERRY-abcdef-POST -p tcp -m conntrack --ctstate DNAT --ctorigdstport 30080 -m comment "
      "--comment \"web:80\" -j MASQUERADE\n"
      "-I PREROUTING 1 -j WHERRY-abcdef-SERVICES\n"
      "-I OUTPUT 1 -j WHERRY-abcdef-SERVICES\n"
      "-I POSTROUTING 1 -j WHERRY-abcdef-POST\n"
      "COMMIT\n"
      "*filter\n"
      ":WHERRY-abcdef-FORWARD - [0:0]\n"
      "-A WHERRY-abcdef-FORWARD -m conntrack --ctstate DNAT --ctorigdst 10.90.0.0/16 -j ACCEPT\n"
      "-A WHERRY-abcdef-FORWARD -d 10.90.0.0/16 -p tcp -j REJECT --reject-with tcp-reset\n"
      "-A WHERRY-abcdef-FORWARD -d 10.90.0.0/16 -j REJECT\n"
      "-I FORWARD 1 -j WHERRY-abcdef-FORWARD\n"
      "-I OUTPUT 1 -d 10.90.0.0/16 -j WHERRY-abcdef-FORWARD\n"
      "COMMIT\n";
  const size_t dnat = text.find("-A WHERRY-abcdef-", text.find("addrtype")) + 3;
  const std::string chain = text.substr(dnat, text.find(' ', dnat) - dnat);
  EXPECT_EQ(chain.size(), 26U) << "the kernel allows 28";
  replace_all(wanted, "CHAIN", chain);
  EXPECT_EQ(text, wanted);
}

TEST(ServiceRules, NobodyReadyIsARefusalNotARule) {
  const RulePlan nobody = plan({web({}, 30080)});
  EXPECT_TRUE(nobody.any);
  EXPECT_THAT(nobody.input, Not(HasSubstr("DNAT --to")));
  EXPECT_THAT(nobody.input, Not(HasSubstr("-d 10.90.0.7")));
  EXPECT_THAT(nobody.input, HasSubstr("-d 10.90.0.0/16 -j REJECT"));
}

TEST(ServiceRules, ClientsThatStayAreLookedUpFirst) {
  ServiceRules sticky = web(kTwo);
  sticky.affinity_seconds = 60;
  const std::string text = plan({sticky}).input;
  const size_t known = text.find("--rcheck --seconds 60 --reap");
  const size_t turn = text.find("--mode nth");
  ASSERT_NE(known, std::string::npos);
  EXPECT_LT(known, turn);
  EXPECT_THAT(text.substr(turn), HasSubstr("--set -j DNAT"));
}

TEST(ServiceRules, TheClientsAddressIsKeptWhereThatIsAsked) {
  ServiceRules local = web(kTwo, 30080);
  local.keep_client = true;
  EXPECT_THAT(plan({local}).input, Not(HasSubstr("--ctorigdstport")));
}

TEST(ServiceRules, TheLoopbackIsPartOfTheDeviceAndGuarded) {
  const auto with = [](ServiceRules rules, const std::string& saved = "") {
    return plan_service_rules(saved, {kTag, "10.90.0.0/16", "10.89.0.1", true}, {rules}).input;
  };
  ServiceRules local = web(kTwo, 30080);
  local.keep_client = true;
  const std::string text = with(local);
  EXPECT_THAT(text, Not(HasSubstr("! -d 127.0.0.0/8")));
  EXPECT_THAT(text, HasSubstr("-A WHERRY-abcdef-GUARD ! -i lo -d 127.0.0.0/8 -m conntrack ! "
                              "--ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"));
  EXPECT_THAT(text, HasSubstr("-I INPUT 1 -j WHERRY-abcdef-GUARD\n"));
  EXPECT_THAT(text, HasSubstr("-A WHERRY-abcdef-POST -s 127.0.0.0/8 -p tcp -m conntrack --ctstate "
                              "DNAT --ctorigdstport 30080 -m comment --comment \"web:80\" -j "
                              "MASQUERADE\n"));
  const std::string saved =
      "*filter\n:INPUT ACCEPT [0:0]\n:WHERRY-abcdef-GUARD - [0:0]\n"
      "-A INPUT -j WHERRY-abcdef-GUARD\nCOMMIT\n";
  EXPECT_THAT(plan({web(kTwo)}, saved).input, HasSubstr("-D INPUT -j WHERRY-abcdef-GUARD\n"));
  EXPECT_THAT(plan({web(kTwo)}, saved).input, HasSubstr("-X WHERRY-abcdef-GUARD\n"));
}

TEST(LoopbackRoute, OpensWhatIsClosedAndClosesWhatItOpened) {
  const test::TempDir dir;
  const std::string conf = dir / "conf/br0", setting = conf + "/route_localnet";
  ASSERT_TRUE(make_directories(conf));
  LoopbackRoute route(dir / "note", dir / "conf");
  const auto set = [&](const char* text) { ASSERT_TRUE(write_file_atomic(setting, text)); };
  const auto is = [&] { return read_file(setting).value_or("")[0]; };
  set("0\n");
  ASSERT_TRUE(route.open("br0"));
  EXPECT_EQ(is(), '1');
  ASSERT_TRUE(route.close(false));
  EXPECT_EQ(is(), '0');
  set("1\n");
  ASSERT_TRUE(route.close(false));
  EXPECT_EQ(is(), '1') << "it was closed once already";
  ASSERT_TRUE(route.open("br0"));
  ASSERT_TRUE(route.close(false));
  EXPECT_EQ(is(), '1') << "somebody else's";
  set("0\n");
  ASSERT_TRUE(route.open("br0"));
  ASSERT_TRUE(route.close(true));
  EXPECT_EQ(is(), '1') << "somebody else needs it now";
  set("0\n");
  ASSERT_TRUE(route.open("br0"));
  ASSERT_TRUE(remove_tree(conf));
  EXPECT_TRUE(route.close(false)) << "the bridge is gone";
  EXPECT_FALSE(route.open("br0"));
}

TEST(ServiceRules, WhatIsThereIsNotMadeTwiceAndWhatIsOldGoes) {
  const std::string saved =
      "*filter\n:FORWARD ACCEPT [0:0]\n:WHERRY-abcdef-FORWARD - [0:0]\n"
      "-A FORWARD -j WHERRY-abcdef-FORWARD\n"
      "-A OUTPUT -d 10.80.0.0/16 -j WHERRY-abcdef-FORWARD\nCOMMIT\n"
      "*nat\n:WHERRY-abcdef-POST - [0:0]\n:WHERRY-abcdef-SERVICES - [0:0]\n"
      ":WHERRY-abcdef-000000000000 - [0:0]\n:WHERRY-123456-POST - [0:0]\n:DOCKER - [0:0]\n"
      "-A PREROUTING -j WHERRY-abcdef-SERVICES\n-A OUTPUT -j WHERRY-abcdef-SERVICES\n"
      "-A POSTROUTING -j WHERRY-123456-POST\n"
      "-A WHERRY-abcdef-SERVICES -d 10.90.0.9 -j WHERRY-abcdef-000000000000\nCOMMIT\n";
  const std::string text = plan({web(kTwo)}, saved).input;
  EXPECT_THAT(text, Not(HasSubstr("-I PREROUTING")));
  EXPECT_THAT(text, Not(HasSubstr("-I FORWARD")));
  EXPECT_THAT(text, HasSubstr("-I POSTROUTING 1 -j WHERRY-abcdef-POST\n"));
  EXPECT_THAT(text, HasSubstr("-X WHERRY-abcdef-000000000000\n"));
  EXPECT_THAT(text, HasSubstr("-D OUTPUT -d 10.80.0.0/16 -j WHERRY-abcdef-FORWARD\n"))
      << "of another network.service_subnet";
  EXPECT_THAT(text, HasSubstr("-I OUTPUT 1 -d 10.90.0.0/16"));
  EXPECT_THAT(text, Not(HasSubstr("123456")));
  EXPECT_THAT(text, Not(HasSubstr("DOCKER")));

  const RulePlan gone = plan({}, saved);
  EXPECT_FALSE(gone.any);
  EXPECT_EQ(gone.input,
            "*nat\n-D OUTPUT -j WHERRY-abcdef-SERVICES\n-D PREROUTING -j WHERRY-abcdef-SERVICES\n"
            "-F WHERRY-abcdef-000000000000\n-F WHERRY-abcdef-POST\n-F WHERRY-abcdef-SERVICES\n"
            "-X WHERRY-abcdef-000000000000\n-X WHERRY-abcdef-POST\n-X WHERRY-abcdef-SERVICES\n"
            "COMMIT\n"
            "*filter\n-D FORWARD -j WHERRY-abcdef-FORWARD\n"
            "-D OUTPUT -d 10.80.0.0/16 -j WHERRY-abcdef-FORWARD\n-F WHERRY-abcdef-FORWARD\n"
            "-X WHERRY-abcdef-FORWARD\nCOMMIT\n");
}

TEST(ServiceRules, PodsOnTheDevicesNetworkAndProtocols) {
  ServiceRules mixed = web({{"host", "", 53}});
  mixed.ports[0].protocol = Protocol::Udp;
  mixed.ports.push_back({Protocol::Sctp, 9, 0, kTwo});
  const std::string text = plan({mixed}).input;
  EXPECT_THAT(text, HasSubstr("-p udp -j DNAT --to-destination 10.89.0.1:53\n"));
  EXPECT_THAT(text, HasSubstr("-p sctp -m sctp --dport 9 "));
  ServiceRules headless = web(kTwo);
  headless.address.clear();
  EXPECT_EQ(plan({headless}).input, "") << "names need no rules";
}

TEST(KernelParts, AreAskedForByThoseWhoNeedThem) {
  const auto modules = [](const ServiceRules& rules) {
    std::string all;
    for (const KernelPart* part : parts_needed(rules)) all += std::string(part->module) + " ";
    return all;
  };
  ServiceRules rules = web({{"a", "10.89.0.2", 8000}});
  EXPECT_EQ(modules(rules), "");
  rules.affinity_seconds = 60;
  EXPECT_EQ(modules(rules), "xt_recent ");
  rules = web(kTwo, 30080);
  EXPECT_EQ(modules(rules), "xt_statistic xt_addrtype ");
  rules.ports[0].protocol = Protocol::Sctp;
  EXPECT_EQ(modules(rules), "xt_sctp xt_statistic xt_addrtype ");
  EXPECT_EQ(make_trial(kTag, *parts_needed(rules)[1]),
            "*nat\n:WHERRY-abcdef-TRIAL - [0:0]\n-A WHERRY-abcdef-TRIAL -m statistic --mode nth "
            "--every 2 --packet 0 -j RETURN\nCOMMIT\n*nat\n-F WHERRY-abcdef-TRIAL\n-X "
            "WHERRY-abcdef-TRIAL\nCOMMIT\n");
  EXPECT_EQ(without_part(*parts_needed(rules)[0]),
            "the device's kernel has no xt_sctp, which ports of SCTP need: install that module, or "
            "use TCP or UDP");
  rules.ports[0].endpoints.clear();
  EXPECT_EQ(modules(rules), "") << "without a Pod there is no rule";
  rules = web(kTwo);
  rules.address.clear();
  EXPECT_EQ(modules(rules), "");
}

TEST(AppliedServices, AreReadAsTheyWereWritten) {
  const test::TempDir dir;
  const std::string path = dir / "applied.json";
  EXPECT_EQ(read_applied(path).error().code(), Code::NotFound);
  ServiceRules all = web({{"host", "", 53}, {"b", "10.89.0.3", 8000}}, 30080);
  all.affinity_seconds = 60;
  all.keep_client = true;
  all.ports[0].protocol = Protocol::Sctp;
  all.names = {{"10.90.0.7", {"web", "web.default"}}, {"", {"host"}}};
  ServiceRules headless;
  headless.name = "db";
  ASSERT_TRUE(write_applied(path, {all, headless}));
  EXPECT_THAT(*read_applied(path), testing::ElementsAre(all, headless));
  for (const char* wrong : {"", "{}x", "[1]", "[{\"name\":3}]"}) {
    ASSERT_TRUE(write_file_atomic(path, wrong));
    EXPECT_EQ(read_applied(path).error().code(), Code::DataLoss) << wrong;
  }
}

TEST(ServiceNames, AreLinesThatEveryResolverReads) {
  ServiceRules rules = web({});
  rules.names = {{"10.90.0.7", {"web", "web.default"}}, {"", {"host"}}};
  EXPECT_EQ(make_service_names({rules}), "10.90.0.7\tweb web.default\n-\thost\n");
  rules.names = {{"10.90.0.7", std::vector<std::string>(5, std::string(200, 'x'))}};
  for (const std::string& line : split(make_service_names({rules}), '\n')) {
    EXPECT_LT(line.size(), 511U) << "musl reads no more of a line";
  }
}

}  // namespace
}  // namespace wherry::runtime

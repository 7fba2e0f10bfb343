// Services: what is read of them, what is refused, and what only shows with the Pods beside them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::string service(const std::string& spec, const std::string& name = "web") {
  return "  - { apiVersion: v1, kind: Service, metadata: { name: " + name + " }, spec: { " + spec +
         " } }\n";
}
std::string pod(const std::string& name, const std::string& labels, const std::string& ports = "",
                const std::string& spec = "") {
  return "  - { apiVersion: v1, kind: Pod, metadata: { name: " + name + ", labels: { " + labels +
         " } }, spec: { " + spec + " containers: [{ name: c, image: i:1, ports: [" + ports +
         "] }] } }\n";
}

Merged merged(const std::string& items) {
  const Document document = parse_desired_state(desired(items));
  EXPECT_TRUE(document.valid()) << print(document.errors) << items;
  return merge({{"devices/d", &document}}, {});
}
ServiceSpec only(const std::string& spec) {
  const Merged all =
      merged(service(spec) + pod("a", "app: web", "{ name: http, containerPort: 8000 }"));
  EXPECT_TRUE(all.errors.empty()) << print(all.errors);
  EXPECT_EQ(all.services.size(), 1U);
  return all.services.empty() ? ServiceSpec() : all.services[0];
}

TEST(Services, AreReadWithTheirDefaults) {
  const ServiceSpec plain = only("selector: { app: web }, ports: [{ port: 80 }]");
  EXPECT_EQ(plain.name, "web");
  EXPECT_EQ(plain.name_space, "default");
  EXPECT_EQ(plain.source, "devices/d");
  EXPECT_EQ(plain.path, "devices/d:spec.items[0]");
  EXPECT_THAT(plain.selector, ElementsAre(Pair("app", "web")));
  ASSERT_EQ(plain.ports.size(), 1U);
  EXPECT_EQ(plain.ports[0].port, 80);
  EXPECT_EQ(plain.ports[0].target, 80);
  EXPECT_EQ(plain.ports[0].protocol, runtime::Protocol::Tcp);
  EXPECT_FALSE(plain.headless || plain.node_ports || plain.publish_not_ready || plain.keep_client);
  EXPECT_EQ(plain.affinity_seconds, 0);

  const ServiceSpec full = only(
      "type: NodePort, selector: { app: web }, publishNotReadyAddresses: true, "
      "externalTrafficPolicy: Local, sessionAffinity: ClientIP, "
      "ports: [{ name: a, port: 53, protocol: UDP, targetPort: http, nodePort: 30053 }, "
      "{ name: b, port: 53, targetPort: 54 }, { name: c, port: 9, protocol: SCTP }]");
  EXPECT_TRUE(full.node_ports && full.publish_not_ready && full.keep_client);
  EXPECT_EQ(full.affinity_seconds, 10800);
  ASSERT_EQ(full.ports.size(), 3U);
  EXPECT_EQ(full.ports[0].target_name, "http");
  EXPECT_EQ(full.ports[0].node_port, 30053);
  EXPECT_EQ(full.ports[0].protocol, runtime::Protocol::Udp);
  EXPECT_EQ(full.ports[1].target, 54);
  EXPECT_EQ(full.ports[2].protocol, runtime::Protocol::Sctp);
  EXPECT_EQ(only("selector: { app: web }, ports: [{ port: 80 }], sessionAffinity: ClientIP, "
                 "sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } }")
                .affinity_seconds,
            60);
  const ServiceSpec headless = only("clusterIP: None, selector: { app: web }");
  EXPECT_TRUE(headless.headless);
  EXPECT_THAT(headless.ports, IsEmpty());
}

TEST(Services, TheirNamespaceIsPartOfTheirNamesOnly) {
  const Document document = parse_desired_state(desired(
      "  - { apiVersion: v1, kind: Service, metadata: { name: web, namespace: prod }, spec: "
      "{ selector: { a: b }, ports: [{ port: 80 }] } }\n"));
  EXPECT_NE(find(document.warnings, "spec.items[0].metadata.namespace", "one namespace"), nullptr);
  EXPECT_EQ(merge({{"devices/d", &document}}, {}).services[0].name_space, "prod");
}

TEST(Services, AreThoseOfADeviceWithIpv4) {
  for (const char* good :
       {"ipFamilies: [IPv4]", "ipFamilyPolicy: SingleStack, ipFamilies: [IPv4]",
        "ipFamilyPolicy: PreferDualStack", "ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4]",
        "ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv6, IPv4]", "ipFamilies: []"}) {
    EXPECT_EQ(only(std::string("selector: { app: web }, ports: [{ port: 80 }], ") + good).name,
              "web")
        << good;
  }
}

TEST(Services, WhatIsWrongIsNamedWithItsPath) {
  struct Wrong {
    const char* spec;
    const char* path;
    const char* message;
  };
  const std::string good = "selector: { app: web }, ports: [{ port: 80 }], ";
  const Wrong kCases[] = {
      {"ports: [{ port: 80 }]", "selector", "at least one label"},
      {"selector: {}, ports: [{ port: 80 }]", "selector", "at least one label"},
      {"selector: { app: '-' }, ports: [{ port: 80 }]", "selector.app", "must"},
      {"selector: { a: b }", "ports", "at least one port"},
      {"selector: { a: b }, ports: []", "ports", "at least one port"},
      {"selector: { a: b }, ports: [{ port: 0 }]", "ports[0].port", "65535"},
      {"selector: { a: b }, ports: [{ port: 80, targetPort: 70000 }]", "ports[0].targetPort",
       "65535"},
      {"selector: { a: b }, ports: [{ port: 80, targetPort: '80' }]", "ports[0].targetPort",
       "must"},
      {"selector: { a: b }, ports: [{ port: 80 }, { name: b, port: 81 }]", "ports[0].name",
       "several ports"},
      {"selector: { a: b }, ports: [{ name: a, port: 80 }, { name: b, port: 80 }]", "ports[1].port",
       "twice"},
      {"selector: { a: b }, ports: [{ name: a, port: 80 }, { name: a, port: 81 }]", "ports[1].name",
       "another port"},
      {"selector: { a: b }, ports: [{ port: 80, nodePort: 30080 }]", "ports[0].nodePort",
       "type: NodePort"},
      {"type: NodePort, selector: { a: b }, ports: [{ port: 80, nodePort: 8080 }]",
       "ports[0].nodePort", "between 30000 and 32767"},
      {"type: LoadBalancer, selector: { a: b }, ports: [{ port: 80 }]", "type", "NodePort"},
      {"type: NodePort, clusterIP: None, selector: { a: b }, ports: [{ port: 80 }]", "clusterIP",
       "choose one"},
      {"clusterIP: 10.0.0.1, selector: { a: b }, ports: [{ port: 80 }]", "clusterIP", "None"},
      {"externalIPs: [192.0.2.1], selector: { a: b }, ports: [{ port: 80 }]", "externalIPs",
       "type NodePort"},
      {"externalTrafficPolicy: Local, selector: { a: b }, ports: [{ port: 80 }]",
       "externalTrafficPolicy", "type: NodePort"},
      {"sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } }, selector: { a: b }, ports: [{ "
       "port: 80 }]",
       "sessionAffinityConfig", "ClientIP only"},
      {"clusterIP: None, sessionAffinity: ClientIP, selector: { a: b }", "sessionAffinity",
       "headless"},
      {"ipFamilies: [IPv6], selector: { a: b }, ports: [{ port: 80 }]", "ipFamilies[0]",
       "IPv4 addresses only"},
      {"ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv6], selector: { a: b }, ports: [{ port: "
       "80 }]",
       "ipFamilies[0]", "write IPv4"},
      {"ipFamilies: [IPv4, IPv6], selector: { a: b }, ports: [{ port: 80 }]", "ipFamilies",
       "write PreferDualStack"},
      {"ipFamilyPolicy: SingleStack, ipFamilies: [IPv4, IPv6], selector: { a: b }, ports: [{ port: "
       "80 }]",
       "ipFamilies", "one family only"},
      {"ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv4], selector: { a: b }, ports: [{ "
       "port: 80 }]",
       "ipFamilies[1]", "twice"},
      {"ipFamilies: [ipv4], selector: { a: b }, ports: [{ port: 80 }]", "ipFamilies[0]", "IPv4"},
      {"ipFamilyPolicy: RequireDualStack, selector: { a: b }, ports: [{ port: 80 }]",
       "ipFamilyPolicy", "needs IPv6, and Services have IPv4 addresses only here"},
      {"selectr: { a: b }, selector: { a: b }, ports: [{ port: 80 }]", "selectr",
       "did you mean \"selector\"?"},
  };
  for (const Wrong& test : kCases) {
    const Document document = parse_desired_state(desired(service(test.spec)));
    EXPECT_NE(find(document.errors, std::string("spec.items[0].spec.") + test.path, test.message),
              nullptr)
        << test.spec << "\n"
        << print(document.errors);
    EXPECT_EQ(document.errors.size(), 1U) << test.spec << "\n" << print(document.errors);
  }
  const Document alias =
      parse_desired_state(desired(service("type: ExternalName, externalName: example.org")));
  EXPECT_NE(find(alias.errors, "spec.items[0].spec.externalName", "hosts files"), nullptr)
      << print(alias.errors);
}

TEST(Services, APortOfTheDeviceHasOneOwner) {
  const std::string port =
      "selector: { app: web }, type: NodePort, ports: [{ port: 80, nodePort: 30080 }]";
  const Merged with_pod =
      merged(service(port) + pod("a", "app: web", "{ containerPort: 80, hostPort: 30080 }"));
  EXPECT_NE(find(with_pod.errors, "devices/d:spec.items[0].spec.ports[0]",
                 "port 30080 of the device is taken by workload \"a\" (devices/d): choose another "
                 "nodePort"),
            nullptr)
      << print(with_pod.errors);
  EXPECT_THAT(with_pod.services, IsEmpty());
  EXPECT_EQ(with_pod.workloads.size(), 1U) << "the Pod is not at fault";
  const Merged with_other = merged(service(port, "a") + service(port, "b") + pod("p", "app: web"));
  EXPECT_NE(find(with_other.errors, "devices/d:spec.items[1].spec.ports[0]", "Service \"a\""),
            nullptr)
      << print(with_other.errors);
  const Merged other_protocol =
      merged(service(port, "a") +
             service("selector: { app: web }, type: NodePort, ports: [{ port: 80, protocol: UDP, "
                     "nodePort: 30080 }]",
                     "b") +
             pod("p", "app: web"));
  EXPECT_THAT(other_protocol.errors, IsEmpty());
}

TEST(Services, ThoseThatLeadNowhereAreWarnedAbout) {
  const Merged none =
      merged(service("selector: { app: web }, ports: [{ port: 80 }]") + pod("a", "app: other"));
  EXPECT_NE(find(none.warnings, "devices/d:spec.items[0].spec.selector", "no Pod of this device"),
            nullptr)
      << print(none.warnings);
  const Merged no_port =
      merged(service("selector: { app: web }, ports: [{ port: 80, targetPort: http }]") +
             pod("a", "app: web", "{ name: htp, containerPort: 80 }"));
  EXPECT_NE(find(no_port.warnings, "devices/d:spec.items[0].spec.ports[0]", "named \"http\""),
            nullptr)
      << print(no_port.warnings);
  EXPECT_EQ(no_port.services.size(), 1U);
}

TEST(Services, ChooseByAllLabelsAndByThePodOfAStatefulSet) {
  ServiceSpec web;
  web.selector = {{"app", "web"}, {"tier", "front"}};
  EXPECT_TRUE(selects(web, {{"app", "web"}, {"tier", "front"}, {"more", ""}}));
  EXPECT_FALSE(selects(web, {{"app", "web"}}));
  EXPECT_FALSE(selects(web, {{"app", "web"}, {"tier", "back"}}));
  const Merged set = merged(
      "  - { apiVersion: apps/v1, kind: StatefulSet, metadata: { name: db }, spec: { replicas: 2, "
      "selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { "
      "containers: [{ name: c, image: i:1 }] } } } }\n");
  EXPECT_EQ(set.workloads.at(1).labels.at("statefulset.kubernetes.io/pod-name"), "db-1");
  EXPECT_EQ(set.workloads.at(1).labels.at("a"), "b");
}

TEST(Services, DecideNoRestartOfAPod) {
  const std::string web = pod("a", "app: web", "{ name: http, containerPort: 80 }");
  const std::string other =
      pod("a", "app: other", "{ name: htp, containerPort: 80 }", "enableServiceLinks: false,");
  const Merged before = merged(web);
  EXPECT_EQ(
      merged(web + service("selector: { app: web }, ports: [{ port: 80 }]")).workloads[0].pod.hash,
      before.workloads[0].pod.hash);
  const Merged after = merged(other);
  EXPECT_EQ(after.workloads[0].pod.hash, before.workloads[0].pod.hash);
  EXPECT_FALSE(after.workloads[0].service_links);
}

TEST(Services, VariablesOfThemAreLeftToTheStart) {
  const auto env = [](const std::string& value, const std::string& more = "") {
    return only_workload(
               container("        env: [" + more + "{ name: A, value: '" + value + "' }]\n"))
        .pod.containers[0]
        .env.back()
        .second;
  };
  const auto mark = [](const std::string& name) {
    return std::string(kServiceVariableMark) + name + kServiceVariableEnd;
  };
  EXPECT_EQ(env("$(WEB_SERVICE_HOST):$(WEB_SERVICE_PORT_HTTP)"),
            mark("WEB_SERVICE_HOST") + ":" + mark("WEB_SERVICE_PORT_HTTP"));
  EXPECT_EQ(env("$$(WEB_SERVICE_HOST)"), "$(WEB_SERVICE_HOST)");
  EXPECT_EQ(env("$(web_SERVICE_HOST) $(WEB_PORT)"), "$(web_SERVICE_HOST) $(WEB_PORT)");
  EXPECT_EQ(env("$(WEB_SERVICE_HOST)", "{ name: WEB_SERVICE_HOST, value: own }, "), "own");
}

TEST(Services, ALaterSourceReplacesOneOfTheSameName) {
  const Document group = parse_desired_state(
      desired(service("selector: { a: b }, ports: [{ port: 80 }]") + pod("p", "a: b")));
  const Document own =
      parse_desired_state(desired(service("selector: { a: b }, ports: [{ port: 81 }]")));
  const Merged both = merge({{"groups/g", &group}, {"devices/d", &own}}, {});
  ASSERT_EQ(both.services.size(), 1U);
  EXPECT_EQ(both.services[0].ports[0].port, 81);
  EXPECT_EQ(both.services[0].source, "devices/d");
}

}  // namespace
}  // namespace wherry

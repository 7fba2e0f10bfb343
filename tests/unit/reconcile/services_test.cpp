// What Services are told to the runtime, when, and what is chosen for them.

#include <gmock/gmock.h>

#include "agent/reconcile/service_choices.h"
#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class FakeServices final : public runtime::Services {
 public:
  Result<std::vector<runtime::ServiceFault>> apply(const std::vector<runtime::ServiceRules>& rules,
                                                   CancelToken) override {
    ++calls;
    if (!works) return fail(Code::FailedPrecondition, "iptables-save is not installed");
    now = rules;
    return faults;
  }
  std::vector<runtime::ServiceRules> applied() override { return now; }

  bool works = true;
  size_t calls = 0;
  std::vector<runtime::ServiceRules> now;
  std::vector<runtime::ServiceFault> faults;
};

class FakeHealth final : public runtime::Health {
 public:
  void listen(Sink) override {}
  void watch(std::vector<runtime::ProbeTarget> given) override { targets = std::move(given); }
  void run(runtime::HookRequest) override {}
  std::vector<runtime::ProbeTarget> targets;
};

std::string labelled(const std::string& name, const std::string& spec = "",
                     const std::string& image = "img:1") {
  return pod(name, image, spec, ", labels: { app: web }");
}
std::string probed(const std::string& name) {
  return "{ apiVersion: v1, kind: Pod, metadata: { name: " + name +
         ", labels: { app: web } }, spec: { hostNetwork: true, containers: [{ name: app, image: "
         "\"img:1\", readinessProbe: { tcpSocket: { port: 80 } } }] } }\n";
}
std::string service(const std::string& name, const std::string& spec = "") {
  return "{ apiVersion: v1, kind: Service, metadata: { name: " + name +
         " }, spec: { selector: { app: web }, ports: [{ port: 80 }]" + spec + " } }\n";
}

class ServiceDeskTest : public BenchTest {
 protected:
  ServiceDeskTest() {
    services_ = {&filter_, &records_, "10.90.0.0/24"};
    health_ = &fake_health_;
    fresh();
    spin();
  }
  ServiceView view(const std::string& name) {
    for (const ServiceView& each : board_.get()->services) {
      if (each.name == name) return each;
    }
    return {};
  }
  std::vector<std::string> pods_of(const std::string& name) { return view(name).pods; }
  void probe_says(const std::string& name, runtime::ProbeNews::Kind kind) {
    for (const auto& target : fake_health_.targets) {
      if (target.pod != name) continue;
      mailbox_.post([&](Mail& mail) {
        mail.probed.push_back({target.container_id, name, target.container->name, kind, "says"});
      });
    }
    spin();
  }

  FakeServices filter_;
  FakeHealth fake_health_;
};

TEST_F(ServiceDeskTest, NothingIsToldTwiceAndTheEndIsTold) {
  EXPECT_EQ(filter_.calls, 1U) << "once for each life: what another one left goes";
  apply(document(1, {labelled("a"), labelled("b"), pod("other"), service("web")}));
  ASSERT_THAT(filter_.now, SizeIs(1));
  EXPECT_THAT(pods_of("web"), ElementsAre("a", "b"));
  EXPECT_EQ(filter_.now[0].address, view("web").address);
  EXPECT_THAT(filter_.now[0].names[0].names, ElementsAre("web", "web.default", "web.default.svc",
                                                         "web.default.svc.cluster.local"));
  const size_t told = filter_.calls;
  advance(std::chrono::seconds(30));
  EXPECT_EQ(filter_.calls, told);
  advance(std::chrono::minutes(6));
  EXPECT_EQ(filter_.calls, told + 1) << "should somebody else have changed the rules";
  apply(document(2, {labelled("a"), labelled("b"), pod("other")}));
  EXPECT_THAT(filter_.now, IsEmpty());
  EXPECT_THAT(records_.service_rows, IsEmpty());
}

TEST_F(ServiceDeskTest, PodsComeAndGoWithTheirReadiness) {
  apply(document(1, {probed("a"), probed("b"), service("web")}));
  EXPECT_THAT(pods_of("web"), IsEmpty());
  EXPECT_EQ(view("web").reason, "NoReadyPods");
  probe_says("a", runtime::ProbeNews::Kind::Ready);
  EXPECT_THAT(pods_of("web"), ElementsAre("a"));
  probe_says("b", runtime::ProbeNews::Kind::Ready);
  EXPECT_THAT(pods_of("web"), ElementsAre("a", "b"));
  probe_says("a", runtime::ProbeNews::Kind::NotReady);
  EXPECT_THAT(pods_of("web"), ElementsAre("b"));
  apply(
      document(2, {probed("a"), probed("b"), service("web", ", publishNotReadyAddresses: true")}));
  EXPECT_THAT(pods_of("web"), ElementsAre("a", "b"));
}

TEST_F(ServiceDeskTest, APodThatIsStoppedIsLeftAtOnce) {
  apply(document(1, {labelled("a"), labelled("b"), service("web")}));
  const uint32_t before = pid("a");
  publish(document(2, {labelled("b"), service("web")}));
  reconciler_->step();  // decides to stop it: the signal is not sent yet
  lanes_.run(Lane::Services);
  reconciler_->step();
  ASSERT_THAT(filter_.now, SizeIs(1));
  EXPECT_THAT(filter_.now[0].ports[0].endpoints, SizeIs(1));
  EXPECT_EQ(filter_.now[0].ports[0].endpoints[0].pod, "b");
  EXPECT_NE(before, 0U);
}

TEST_F(ServiceDeskTest, APodThatWaitsBeforeItIsStoppedGoesOnServing) {
  apply(document(1, {labelled("a"), service("web")}));
  publish(document(2, {labelled("a", "", "img:2"), service("web")}));
  spin(false);  // its new image is not there yet
  EXPECT_THAT(pods_of("web"), ElementsAre("a"));
  images_.add("img:2");
  spin();
  advance(std::chrono::minutes(2));
  EXPECT_THAT(pods_of("web"), ElementsAre("a"));

  apply(document(3, {labelled("a", "", "img:2"), dependent("b", "a"), service("web")}));
  publish(document(4, {service("web")}));
  reconciler_->step();
  EXPECT_EQ(workload("a").reason, "DependentStillRunning");
  EXPECT_THAT(pods_of("web"), ElementsAre("a")) << "b may need it until it is stopped";
  spin();
  EXPECT_THAT(pods_of("web"), IsEmpty());
}

TEST_F(ServiceDeskTest, ANewLifeCutsNobodyOff) {
  apply(document(1, {probed("a"), probed("b"), probed("c"), service("web")}));
  probe_says("a", runtime::ProbeNews::Kind::Ready);
  probe_says("b", runtime::ProbeNews::Kind::Ready);
  EXPECT_THAT(pods_of("web"), ElementsAre("a", "b"));
  fresh();
  spin();
  EXPECT_FALSE(workload("a").ready) << "nobody has asked it yet";
  EXPECT_THAT(pods_of("web"), ElementsAre("a", "b"));
  probe_says("a", runtime::ProbeNews::Kind::NotReady);
  EXPECT_THAT(pods_of("web"), ElementsAre("b")) << "it has been asked";
  probe_says("b", runtime::ProbeNews::Kind::Ready);
  probe_says("b", runtime::ProbeNews::Kind::NotReady);
  EXPECT_THAT(pods_of("web"), IsEmpty());
}

// Its probes are those of a document that is no more.
TEST_F(ServiceDeskTest, AVersionThatNobodyRemembersIsServedAsItWas) {
  apply(document(1, {probed("a"), probed("b"), service("web")}));
  probe_says("a", runtime::ProbeNews::Kind::NotReady);
  probe_says("b", runtime::ProbeNews::Kind::Ready);
  const auto next = [](const std::string& name) {
    std::string text = probed(name);
    return text.replace(text.find("img:1"), 5, "img:2");
  };
  publish(document(2, {next("a"), next("b"), service("web")}));
  spin(false);  // their new image is not there
  EXPECT_THAT(pods_of("web"), ElementsAre("b"));
  fresh();
  spin(false);
  EXPECT_THAT(pods_of("web"), ElementsAre("b"));
}

TEST_F(ServiceDeskTest, WhatCannotBeReadKeepsItsServicesAndTheOthersGoOn) {
  publish(document(1, {labelled("g"), service("kept", ", type: NodePort")}), "groups/g");
  apply(document(1, {probed("a"), service("web"), service("gone")}));
  probe_says("a", runtime::ProbeNews::Kind::Ready);
  const auto rules_of = [&](const std::string& name) {
    for (const runtime::ServiceRules& each : filter_.now) {
      if (each.name == name) return each;
    }
    return runtime::ServiceRules();
  };
  const runtime::ServiceRules kept = rules_of("kept");
  EXPECT_THAT(kept.ports, SizeIs(1));
  EXPECT_THAT(kept.ports[0].endpoints, SizeIs(2));
  records_.stored["groups/g"].payload = "damaged";
  for (int life = 0; life < 2; ++life) {
    fresh();
    spin();
    EXPECT_EQ(rules_of("kept"), kept);
    probe_says("a", runtime::ProbeNews::Kind::NotReady);
    EXPECT_THAT(pods_of("web"), IsEmpty()) << "it is known what becomes of this one";
    EXPECT_EQ(rules_of("kept"), kept);
    probe_says("a", runtime::ProbeNews::Kind::Ready);
    EXPECT_THAT(pods_of("web"), ElementsAre("a"));
  }
  apply(document(2, {probed("a"), service("web"), service("new")}));
  EXPECT_EQ(rules_of("gone"), runtime::ServiceRules());
  EXPECT_NE(rules_of("new").address, kept.address);
  EXPECT_EQ(rules_of("kept"), kept);
  publish(document(2, {labelled("g")}), "groups/g");
  spin();
  EXPECT_EQ(rules_of("kept"), runtime::ServiceRules()) << "now it is known that nobody wants it";
}

TEST_F(ServiceDeskTest, ChoicesOutliveTheAgent) {
  apply(document(1, {labelled("a"), service("web", ", type: NodePort")}));
  const ServiceView before = view("web");
  EXPECT_THAT(before.address, testing::StartsWith("10.90.0."));
  ASSERT_THAT(before.ports, SizeIs(1));
  EXPECT_GE(before.ports[0].node_port, 30000);
  ASSERT_THAT(records_.service_rows, SizeIs(1));
  EXPECT_EQ(records_.service_rows[0].address, before.address);
  // As if others had been there when it came.
  records_.service_rows[0].address = "10.90.0.200";
  records_.service_rows[0].node_ports = {{"80/TCP", 32000}};
  fresh();
  spin();
  EXPECT_EQ(view("web").address, "10.90.0.200");
  EXPECT_EQ(view("web").ports[0].node_port, 32000);
  // Somebody asks for its port by number: the choice gives way.
  apply(document(2, {labelled("a"), service("web", ", type: NodePort"),
                     "{ apiVersion: v1, kind: Service, metadata: { name: b }, spec: { selector: { "
                     "app: web }, type: NodePort, ports: [{ port: 80, nodePort: 32000 }] } }\n"}));
  EXPECT_NE(view("web").ports[0].node_port, 32000);
  EXPECT_EQ(view("web").address, "10.90.0.200");
}

TEST_F(ServiceDeskTest, OneThatMovesToAnotherDocumentKeepsWhatItHas) {
  const std::string web = service("web", ", type: NodePort");
  publish(document(1, {labelled("a"), web}), "groups/g");
  apply(document(1, {}));
  ASSERT_THAT(records_.service_rows, SizeIs(1));
  // As if others had been there when it came.
  records_.service_rows[0].address = "10.90.0.200";
  records_.service_rows[0].node_ports = {{"80/TCP", 32000}};
  fresh();
  spin();
  const auto has_it = [&](const std::string& source) {
    ASSERT_THAT(records_.service_rows, SizeIs(1)) << source;
    EXPECT_EQ(records_.service_rows[0].source, source);
    EXPECT_EQ(view("web").address, "10.90.0.200") << source;
    EXPECT_EQ(view("web").ports.at(0).node_port, 32000) << source;
    EXPECT_THAT(pods_of("web"), ElementsAre("a")) << source;
  };
  has_it("groups/g");
  apply(document(2, {labelled("a"), web}));
  has_it(kDevice);
  publish(document(2, {}), "groups/g");
  spin();
  has_it(kDevice);
  // And back, while one of the two cannot be read.
  publish(document(3, {labelled("a"), web}), "groups/g");
  spin();
  records_.stored[kDevice].payload = "damaged";
  fresh();
  spin();
  has_it("groups/g");
  apply(document(3, {}));
  has_it("groups/g");
}

TEST_F(ServiceDeskTest, ATroubleIsReportedAndTriedAgain) {
  filter_.works = false;
  apply(document(1, {labelled("a"), service("web"), service("other")}));
  EXPECT_EQ(desired().state, "Failed");
  ASSERT_THAT(desired().errors, SizeIs(1)) << "once, not for each Service";
  EXPECT_EQ(desired().errors[0].path, "devices/d:spec.items[2]");
  EXPECT_THAT(desired().errors[0].message, HasSubstr("iptables-save is not installed"));
  EXPECT_EQ(view("web").reason, "ServicesUnavailable");
  EXPECT_EQ(workload("a").phase, Phase::Running) << "Pods run without it";
  filter_.works = true;
  advance(std::chrono::minutes(2));
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_THAT(desired().errors, IsEmpty());
}

TEST_F(ServiceDeskTest, EachServiceThatIsLeftOutIsNamedUntilItIsNot) {
  filter_.faults = {{"web", "no xt_recent"}, {"other", "no xt_sctp"}};
  apply(document(1, {labelled("a"), service("web"), service("other"), service("good")}));
  EXPECT_EQ(desired().state, "Failed");
  ASSERT_THAT(desired().errors, SizeIs(2));
  EXPECT_EQ(desired().errors[0].path, "devices/d:spec.items[2]");
  EXPECT_THAT(desired().errors[0].message,
              HasSubstr("Service \"other\" leads nowhere: no xt_sctp"));
  EXPECT_EQ(desired().errors[1].path, "devices/d:spec.items[1]");
  EXPECT_EQ(view("web").reason, "KernelPartMissing");
  EXPECT_EQ(view("good").reason, "");
  filter_.faults.clear();
  advance(std::chrono::minutes(6));
  EXPECT_EQ(desired().state, "Applied") << "looked at again, should the module be there now";
  EXPECT_EQ(view("web").reason, "");
}

TEST_F(ServiceDeskTest, TheContainerStackBeingAwayChangesNothing) {
  apply(document(1, {labelled("a"), service("web")}));
  const size_t told = filter_.calls;
  mailbox_.post_event({runtime::Event::Kind::Disconnected, "", "", "gone"});
  reconciler_->step();
  EXPECT_THAT(pods_of("web"), ElementsAre("a"));
  EXPECT_EQ(filter_.calls, told);
}

TEST_F(ServiceDeskTest, ServicesAreInTheEnvironmentButDecideNoRestart) {
  apply(document(1, {labelled("a"), service("my-web")}));
  const uint32_t before = pid("a");
  apply(document(2, {labelled("a"), service("my-web"), service("other"), labelled("b")}));
  EXPECT_EQ(pid("a"), before);
  EXPECT_NE(pid("b"), 0U);
}

TEST(ServiceChoices, TheEnvironmentIsThatOfKubernetes) {
  ServiceSpec web;
  web.name = "my-web";
  web.ports = {{"http", runtime::Protocol::Tcp, 80, 80, "", 0},
               {"dns", runtime::Protocol::Udp, 53, 53, "", 0}};
  const auto all = service_environment({web}, {{"my-web", "s", "10.90.0.9", {}}});
  const auto has = [&](const std::string& name, const std::string& value) {
    return std::count(all.begin(), all.end(), std::pair(name, value)) == 1;
  };
  EXPECT_TRUE(has("MY_WEB_SERVICE_HOST", "10.90.0.9"));
  EXPECT_TRUE(has("MY_WEB_SERVICE_PORT", "80"));
  EXPECT_TRUE(has("MY_WEB_SERVICE_PORT_HTTP", "80"));
  EXPECT_TRUE(has("MY_WEB_SERVICE_PORT_DNS", "53"));
  EXPECT_TRUE(has("MY_WEB_PORT", "tcp://10.90.0.9:80"));
  EXPECT_TRUE(has("MY_WEB_PORT_80_TCP_ADDR", "10.90.0.9"));
  EXPECT_TRUE(has("MY_WEB_PORT_53_UDP_PROTO", "udp"));
  EXPECT_THAT(service_environment({web}, {{"my-web", "s", "", {}}}), IsEmpty()) << "headless";
}

TEST(ServiceChoices, WhatACommandAsksForIsFilledInAtTheStart) {
  const std::vector<std::pair<std::string, std::string>> all = {{"WEB_SERVICE_HOST", "10.90.0.9"}};
  const auto filled = [&](std::string text) {
    fill_service_variables(all, text);
    return text;
  };
  const auto mark = [](const std::string& name) {
    return std::string(kServiceVariableMark) + name + kServiceVariableEnd;
  };
  EXPECT_EQ(filled("a" + mark("WEB_SERVICE_HOST") + "b" + mark("OTHER_SERVICE_PORT")),
            "a10.90.0.9b$(OTHER_SERVICE_PORT)");
  EXPECT_EQ(filled("plain"), "plain");
}

TEST(ServiceChoices, EveryServiceHasAnAddressOfItsOwnWhileThereAreSome) {
  Merged merged;
  for (int i = 0; i < 8; ++i) {
    ServiceSpec made;
    made.name = "s" + std::to_string(i);
    merged.services.push_back(made);
  }
  const auto records = choose(merged, {}, {}, "10.90.0.0/29");
  std::set<std::string> addresses;
  for (const ServiceRecord& record : records) addresses.insert(record.address);
  EXPECT_EQ(addresses.size(), 7U) << "six and none";
  EXPECT_TRUE(addresses.contains(""));
  EXPECT_FALSE(addresses.contains("10.90.0.0") || addresses.contains("10.90.0.7"));
  EXPECT_EQ(choose(merged, records, {}, "10.90.0.0/29"), records);
  EXPECT_EQ(choose(merged, {}, {}, "10.90.0.0/29"), records) << "the same without a memory";
  for (const ServiceRecord& moved : choose(merged, records, {}, "10.91.0.0/24")) {
    EXPECT_THAT(moved.address, testing::StartsWith("10.91.0."));
  }
}

}  // namespace
}  // namespace wherry::test

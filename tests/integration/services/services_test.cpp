// Services on a real device: names, addresses and ports that lead to ready Pods, and what is left
// of them afterwards.

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <set>
#include <sys/socket.h>
#include <thread>

#include "base/fd.h"
#include "tests/integration/services/services_fixture.h"

namespace wherry::test {
namespace {

TEST_F(ServiceTest, ANameLeadsToAllPodsInTurnAlsoFromThemselves) {
  json client = sleeper("client", false);
  client["metadata"]["labels"] = {{"app", "client"}};
  publish(1, {server("web-a", kWeb), server("web-b", kWeb), client, sleeper("on-device"),
              service("web", kWeb)});
  for (const char* name : {"web-a", "web-b", "client", "on-device"}) running(name);
  leads_to("web", {"web-a", "web-b"});
  const std::set<std::string> both = {"web-a\n", "web-b\n"};
  answers_become("client", "http://web:8080/", both);
  for (const char* name : {"web.default", "web.default.svc", "web.default.svc.cluster.local"}) {
    EXPECT_EQ(answers("client", "http://" + std::string(name) + ":8080/", 4), both) << name;
  }
  // Fair shares, one by one.
  const std::string first = get("client", "http://web:8080/");
  const std::string second = get("client", "http://web:8080/");
  EXPECT_NE(first, second);
  EXPECT_EQ(answers("web-a", "http://web:8080/"), both) << "one of them is itself";
  EXPECT_EQ(answers("on-device", "http://web:8080/"), both) << "from the device's own network";
  EXPECT_EQ(get("client", "http://web:8081/"), "") << "a port that the Service does not have";
  const json view = service_view("web");
  EXPECT_EQ(answers("client", "http://" + view["address"].get<std::string>() + ":8080/"), both);
}

TEST_F(ServiceTest, OnlyReadyPodsGetTraffic) {
  publish(1, {server("web-a", kWeb), fussy("web-b", kWeb), sleeper("client", false),
              service("web", kWeb)});
  running("web-a");
  running("client");
  EXPECT_TRUE(wait_until([&] { return pid_of("web-b") != 0; }));
  leads_to("web", {"web-a"});
  answers_become("client", "http://web:8080/", {"web-a\n"});
  in_pod("web-b", "touch /ready");
  answers_become("client", "http://web:8080/", {"web-a\n", "web-b\n"});
  in_pod("web-b", "rm /ready");
  answers_become("client", "http://web:8080/", {"web-a\n"});

  const auto before = tasks();
  publish(2, {fussy("web-b", kWeb), sleeper("client", false), service("web", kWeb)});
  leads_to("web", {});
  answers_become("client", "http://web:8080/", {""});
  EXPECT_NE(in_pod("client", "wget -O - http://web:8080/").find("refused"), std::string::npos);
  const std::string address = service_view("web")["address"];
  const CommandResult on_device =
      run_command({"curl", "-sS", "--max-time", "60", "http://" + address + ":8080/"});
  EXPECT_EQ(on_device.exit_code, 7) << "refused, not waited for: " << on_device.err;
  EXPECT_EQ(service_view("web")["reason"], "NoReadyPods");
  in_pod("web-b", "touch /ready");
  answers_become("client", "http://web:8080/", {"web-b\n"});
  for (const auto& [id, pid] : tasks()) EXPECT_EQ(before.at(id), pid) << "nothing was restarted";
}

TEST_F(ServiceTest, ANodePortIsOneOfTheDevice) {
  const auto with_port = [](const char* name, int port, json more = json::object()) {
    json entry = {{"port", 8080}, {"targetPort", 80}};
    if (port != 0) entry["nodePort"] = port;
    more.update({{"type", "NodePort"}, {"ports", {entry}}});
    return service(name, kWeb, more);
  };
  publish(
      1, {server("web-a", kWeb), with_port("given", 30080),
          with_port("local", 30081, {{"externalTrafficPolicy", "Local"}}), with_port("chosen", 0)});
  running("web-a");
  leads_to("chosen", {"web-a"});
  const json chosen = service_view("chosen");
  const int port = chosen["ports"][0]["nodePort"];
  EXPECT_GE(port, 30000);
  EXPECT_LE(port, 32767);
  const std::string gateway =
      in_pod("web-a", "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p' | tr -d '\\n'");
  for (const int each : {30080, 30081, port}) {
    for (const std::string& at : {gateway, std::string("127.0.0.1"), std::string("localhost")}) {
      const std::string url = "http://" + at + ":" + std::to_string(each) + "/";
      EXPECT_TRUE(wait_until([&] { return get_on_device("web-a", url) == "web-a\n"; })) << url;
    }
  }
  EXPECT_EQ(get("web-a", "http://" + gateway + ":30080/"), "web-a\n") << "from a Pod, to itself";

  // The choice is kept, also by a new agent and among others.
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  publish(2, {server("web-a", kWeb), with_port("a", 0), with_port("chosen", 0)});
  leads_to("a", {"web-a"});
  EXPECT_EQ(service_view("chosen"), [&] {
    json same = chosen;
    same["revision"] = 2;
    return same;
  }());
}

TEST_F(ServiceTest, GoesOnWithoutTheAgentAndThroughItsNextLife) {
  json pod = fussy("web-a", kWeb);
  json& probe = pod["spec"]["containers"][0]["readinessProbe"];
  probe["exec"]["command"] = {"/bin/sh", "-c", "sleep 3; test -f /ready"};
  probe["timeoutSeconds"] = 20;
  publish(1, {pod, sleeper("client", false), service("web", kWeb)});
  running("client");
  EXPECT_TRUE(wait_until([&] { return pid_of("web-a") != 0; }));
  in_pod("web-a", "touch /ready");
  answers_become("client", "http://web:8080/", {"web-a\n"});
  const auto before = tasks();
  const std::string had = rules();
  agent_->kill();
  EXPECT_EQ(answers("client", "http://web:8080/"), (std::set<std::string>{"web-a\n"}));
  // The first probe of the new life takes a while: nobody is cut off by that.
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_FALSE(agent_->workload("web-a").value("ready", true)) << "it has not been asked yet";
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("client", "http://web:8080/"), "web-a\n");
  EXPECT_EQ(rules(), had);
  EXPECT_EQ(tasks(), before);
  leads_to("web", {"web-a"});
  // It still looks after it.
  in_pod("web-a", "rm /ready");
  answers_become("client", "http://web:8080/", {""});
}

TEST_F(ServiceTest, NothingIsLeftOfIt) {
  const Leftovers before = leftovers();
  const std::string rules_before = rules(), routes_before = routes();
  publish(1, {server("web-a", kWeb), sleeper("client", false),
              service("web", kWeb, {{"type", "NodePort"}}),
              service("other", kWeb, {{"sessionAffinity", "ClientIP"}})});
  running("client");
  answers_become("client", "http://web:8080/", {"web-a\n"});
  const std::string with_both = rules();
  const auto pods = tasks();
  publish(2, {server("web-a", kWeb), sleeper("client", false), service("web", kWeb)});
  EXPECT_TRUE(wait_until(
      [&] { return in_pod("client", "cat /etc/hosts").find("other") == std::string::npos; }));
  EXPECT_LT(rules().size(), with_both.size());
  EXPECT_EQ(answers("client", "http://web:8080/"), (std::set<std::string>{"web-a\n"}));
  publish(3, {server("web-a", kWeb), sleeper("client", false)});
  EXPECT_TRUE(wait_until([&] { return rules().find("WHERRY") == std::string::npos; })) << rules();
  EXPECT_TRUE(wait_until(
      [&] { return in_pod("client", "cat /etc/hosts").find("web.default") == std::string::npos; }));
  EXPECT_EQ(routes().find("metric 8787"), std::string::npos);
  EXPECT_EQ(tasks(), pods);
  publish(4, {});
  expect_back_to(before);
  EXPECT_EQ(rules(), rules_before);
  EXPECT_EQ(routes(), routes_before);
}

TEST_F(ServiceTest, HostNetworkAndClientsThatStayWithTheirPod) {
  json on_device = server("web-a", {{"app", "host"}});
  on_device["spec"]["hostNetwork"] = true;
  publish(1, {on_device, server("web-b", kWeb), server("web-c", kWeb), sleeper("client", false),
              service("host", {{"app", "host"}}),
              service("sticky", kWeb, {{"sessionAffinity", "ClientIP"}})});
  for (const char* name : {"web-a", "web-b", "web-c", "client"}) running(name);
  leads_to("sticky", {"web-b", "web-c"});
  answers_become("client", "http://host:8080/", {"web-a\n"});
  EXPECT_EQ(answers("web-a", "http://host:8080/"), (std::set<std::string>{"web-a\n"}));
  EXPECT_TRUE(wait_until([&] { return !get("client", "http://sticky:8080/").empty(); }));
  EXPECT_EQ(answers("client", "http://sticky:8080/").size(), 1u);
}

// A socket in the network of a process.
Fd udp_socket(int pid, uint16_t port) {
  Fd made;
  std::thread([&] {
    const Fd network(
        open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    if (setns(network.get(), CLONE_NEWNET) != 0) return;
    made = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const timeval patience{0, 50'000};
    setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(bind(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }).join();
  return made;
}

TEST_F(ServiceTest, AUdpClientFollowsThoughItKeepsItsPort) {
  const json udp = {{"ports", {{{"port", 53}, {"protocol", "UDP"}, {"targetPort", 5300}}}}};
  publish(1, {server("web-a", kWeb), sleeper("client", false), service("names", kWeb, udp)});
  running("web-a");
  running("client");
  leads_to("names", {"web-a"});
  const Fd client = udp_socket(pid_of("client"), 4000);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  inet_pton(AF_INET, service_view("names")["address"].get<std::string>().c_str(), &to.sin_addr);
  // Sends on and on from one port until it arrives there.
  const auto arrives = [&](const Fd& at) {
    return wait_until(
        [&] {
          sendto(client.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
          char byte = 0;
          sockaddr_in from{};
          socklen_t size = sizeof from;
          if (recvfrom(at.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size) != 1) {
            return false;
          }
          sendto(at.get(), "y", 1, 0, reinterpret_cast<sockaddr*>(&from), size);
          return recv(client.get(), &byte, 1, 0) == 1 && byte == 'y';
        },
        Millis(15'000));
  };
  const Fd first = udp_socket(pid_of("web-a"), 5300);
  EXPECT_TRUE(arrives(first)) << run_command({"iptables-save"}).out;
  // Both are there for a while, so that the flow could go on to the first.
  publish(2, {server("web-a", {{"app", "other"}}), server("web-b", kWeb), sleeper("client", false),
              service("names", kWeb, udp)});
  leads_to("names", {"web-b"});
  const Fd second = udp_socket(pid_of("web-b"), 5300);
  EXPECT_TRUE(arrives(second));
}

TEST_F(ServiceTest, AHeadlessServiceNamesItsReadyPods) {
  json set = {
      {"apiVersion", "apps/v1"},
      {"kind", "StatefulSet"},
      {"metadata", {{"name", "db"}}},
      {"spec",
       {{"replicas", 2},
        {"serviceName", "db"},
        {"selector", {{"matchLabels", kWeb}}},
        {"template", {{"metadata", {{"labels", kWeb}}}, {"spec", server("x", kWeb)["spec"]}}}}}};
  publish(1, {set, sleeper("client", false), service("db", kWeb, {{"clusterIP", "None"}})});
  running("db-0");
  running("db-1");
  running("client");
  leads_to("db", {"db-0", "db-1"});
  const auto ip = [&](const char* name) { return agent_->workload(name)["ip"].get<std::string>(); };
  std::string hosts;
  EXPECT_TRUE(wait_until([&] {
    hosts = in_pod("client", "cat /etc/hosts");
    return hosts.find(ip("db-1") + "\tdb db.default") != std::string::npos;
  })) << hosts;
  EXPECT_NE(hosts.find(ip("db-0") + "\tdb db.default"), std::string::npos) << hosts;
  EXPECT_EQ(get("client", "http://db-1.db.default.svc.cluster.local/"), "x\n");
  EXPECT_EQ(rules().find("WHERRY"), std::string::npos) << "names need no rules";
}

TEST_F(ServiceTest, ContainersFindServicesInTheirEnvironment) {
  json plain = sleeper("plain", false), without = sleeper("without", false);
  without["spec"]["enableServiceLinks"] = false;
  for (json* pod : {&plain, &without}) {
    (*pod)["spec"]["containers"][0]["env"] = {
        {{"name", "AT"}, {"value", "http://$(MY_WEB_SERVICE_HOST):$(MY_WEB_SERVICE_PORT)/"}}};
  }
  publish(1, {server("web-a", kWeb), plain, without, service("my-web", kWeb)});
  running("plain");
  running("without");
  const std::string address = service_view("my-web")["address"];
  const auto environment = [&](const char* pod) {
    return read_text("/proc/" + std::to_string(pid_of(pod)) + "/environ");
  };
  // For a moment the process is still runc's.
  const auto has_begun = [&](const char* pod) {
    return wait_until([&] { return environment(pod).find("AT=") != std::string::npos; });
  };
  EXPECT_TRUE(has_begun("plain") && has_begun("without"));
  EXPECT_NE(environment("plain").find("MY_WEB_SERVICE_HOST=" + address), std::string::npos);
  EXPECT_NE(environment("plain").find("MY_WEB_SERVICE_PORT=8080"), std::string::npos);
  EXPECT_NE(environment("plain").find("AT=http://" + address + ":8080/"), std::string::npos);
  EXPECT_NE(environment("without").find("AT=http://$(MY_WEB_SERVICE_HOST)"), std::string::npos);
  EXPECT_EQ(environment("without").find("MY_WEB_SERVICE_HOST="), std::string::npos);
  // Another Service restarts nobody, nor does the end of this one.
  const auto before = tasks();
  publish(2, {server("web-a", kWeb), plain, without, service("other", kWeb)});
  leads_to("other", {"web-a"});
  publish(3, {server("web-a", kWeb), plain, without});
  EXPECT_TRUE(wait_until([&] { return service_view("other").is_null(); }));
  EXPECT_EQ(tasks(), before);
}

}  // namespace
}  // namespace wherry::test

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
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class ServiceTest : public SystemTest {
 protected:
  // The network is that of all tests of this binary.
  void TearDown() override {
    SystemTest::TearDown();
    publish(1000, {});
    EXPECT_TRUE(wait_until([] { return rules().find("WHERRY") == std::string::npos; })) << rules();
  }

  // A web server that says its name.
  static json server(const std::string& name, const json& labels, const std::string& first = "") {
    json pod =
        simple_pod(name, kImage,
                   {"/bin/sh", "-c",
                    first + "echo " + name + " > /www/index.html && exec httpd -f -p 80 -h /www"},
                   false);
    pod["metadata"]["labels"] = labels;
    pod["spec"]["terminationGracePeriodSeconds"] = 1;
    pod["spec"]["containers"][0]["ports"] = {{{"name", "http"}, {"containerPort", 80}}};
    return pod;
  }
  // … that is ready while it has the file /ready.
  static json fussy(const std::string& name, const json& labels) {
    json pod = server(name, labels);
    pod["spec"]["containers"][0]["readinessProbe"] = {
        {"exec", {{"command", {"test", "-f", "/ready"}}}},
        {"periodSeconds", 1},
        {"failureThreshold", 1}};
    return pod;
  }
  static json service(const std::string& name, const json& selector, json spec = json::object()) {
    json made = {{"selector", selector}, {"ports", {{{"port", 8080}, {"targetPort", "http"}}}}};
    made.update(spec);
    return {
        {"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", {{"name", name}}}, {"spec", made}};
  }

  // What a program of that Pod gets; "" where nobody answers.
  std::string get(const std::string& from, const std::string& url) {
    const CommandResult result =
        run_command({"nsenter", "-t", std::to_string(pid_of(from)), "--net", "--mount", "--root",
                     "/bin/wget", "-q", "-O", "-", url});
    return result.exit_code == 0 ? result.out : "";
  }
  // … a program of the device, which has the files of that Pod.
  std::string get_on_device(const std::string& files_of, const std::string& url) {
    const CommandResult result =
        run_command({"nsenter", "-t", std::to_string(pid_of(files_of)), "--mount", "--root",
                     "/bin/wget", "-q", "-O", "-", url});
    return result.exit_code == 0 ? result.out : "";
  }
  std::set<std::string> answers(const std::string& from, const std::string& url, int count = 6) {
    std::set<std::string> all;
    for (int i = 0; i < count; ++i) all.insert(get(from, url));
    return all;
  }
  std::string in_pod(const std::string& pod, const std::string& script) {
    const CommandResult result = run_command({"nsenter", "-t", std::to_string(pid_of(pod)), "--net",
                                              "--mount", "--root", "/bin/sh", "-c", script});
    return result.out + result.err;
  }

  json service_view(const std::string& name) {
    const json state = agent_->reported();
    if (!state.is_object()) return {};
    for (const json& view : state.value("services", json::array())) {
      if (view["name"] == name) return view;
    }
    return {};
  }
  // Until the Service leads to these Pods.
  void leads_to(const std::string& name, const std::vector<std::string>& pods) {
    EXPECT_TRUE(wait_until([&] {
      const json view = service_view(name);
      return view.is_object() && view["pods"] == json(pods);
    })) << agent_->reported().dump(1);
  }
  // … and the packet filter does so, too: it is told a moment after it is decided.
  void answers_become(const std::string& from, const std::string& url,
                      const std::set<std::string>& wanted) {
    std::set<std::string> last;
    EXPECT_TRUE(wait_until([&] { return (last = answers(from, url)) == wanted; }))
        << url << " gave " << json(last).dump() << "\n"
        << run_command({"iptables-save"}).out;
  }
  static std::string rules() {
    return run_command({"sh", "-c", "iptables-save | grep -e '^-A' -e WHERRY || true"}).out;
  }
  static std::string routes() { return run_command({"ip", "route"}).out; }
};

const json kWeb = {{"app", "web"}};

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
    const std::string url = "http://" + gateway + ":" + std::to_string(each) + "/";
    EXPECT_TRUE(wait_until([&] { return get_on_device("web-a", url) == "web-a\n"; })) << url;
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

TEST_F(ServiceTest, AKillAtAnyStepLeavesNothingUndone) {
  const std::string rules_before = rules(), routes_before = routes();
  int64_t revision = 0;
  publish(++revision, {server("web-a", kWeb), sleeper("client", false)});
  running("client");
  running("web-a");
  for (const char* step :
       {"service.choices.save", "service.rules.planned", "service.rules.written"}) {
    for (const bool removing : {false, true}) {
      std::vector<json> items = {server("web-a", kWeb), sleeper("client", false)};
      if (!removing) items.push_back(service("web", kWeb));
      agent_->stop();
      agent_->options().env["WHERRY_FAILPOINTS"] = std::string(step) + "=kill";
      agent_->spawn();
      publish(++revision, items);
      EXPECT_TRUE(wait_until([&] { return !agent_->running(); })) << step << " was never reached";
      agent_->options().env.erase("WHERRY_FAILPOINTS");
      agent_->start();
      ASSERT_TRUE(agent_->wait_ready());
      if (removing) {
        EXPECT_TRUE(wait_until([&] {
          return rules().find("WHERRY") == std::string::npos &&
                 routes().find("8787") == std::string::npos;
        })) << step;
      } else {
        answers_become("client", "http://web:8080/", {"web-a\n"});
      }
    }
  }
}

TEST_F(ServiceTest, ATroubleIsReportedWithItsPlaceAndGoesAway) {
  agent_->stop();
  agent_->options().env["WHERRY_FAILPOINTS"] = "service.rules.planned=error";
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  publish(1, {server("web-a", kWeb), sleeper("client", false), service("web", kWeb)});
  const json reported = wait_upstream([](const json& state) {
    const json document = document_in(state);
    return document.value("state", "") == "Failed" && !document["errors"].empty();
  });
  const json error = document_in(reported)["errors"][0];
  EXPECT_EQ(error["path"], "devices/dev-1:spec.items[2]");
  EXPECT_NE(error["message"].get<std::string>().find("Service \"web\" leads nowhere"),
            std::string::npos);
  running("client");
  agent_->stop();
  agent_->options().env.clear();
  agent_->start();
  answers_become("client", "http://web:8080/", {"web-a\n"});
  wait_upstream(
      [](const json& state) { return document_in(state).value("state", "") == "Applied"; });
}

TEST_F(ServiceTest, RulesThatSomebodyRemovedOrARebootTookAreMadeAgain) {
  publish(1, {server("web-a", kWeb), sleeper("client", false), service("web", kWeb)});
  running("client");
  answers_become("client", "http://web:8080/", {"web-a\n"});
  run_command({"iptables", "-t", "nat", "-F"});
  agent_->restart();
  answers_become("client", "http://web:8080/", {"web-a\n"});
  const json before = service_view("web");
  agent_->stop();
  for (const char* table : {"nat", "filter"}) {
    run_command({"iptables", "-t", table, "-F"});
    run_command({"iptables", "-t", table, "-X"});
  }
  run_command({"ip", "route", "del", "10.90.0.0/16"});
  run_command({"rm", "-r", agent_->run_dir() + "/services"});
  agent_->start();
  answers_become("client", "http://web:8080/", {"web-a\n"});
  EXPECT_EQ(service_view("web"), before);
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

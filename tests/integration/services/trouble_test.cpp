// Services where something goes wrong: kills at every step, a packet filter that lacks parts or
// loses its rules, and Pods that send where they should not.

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>

#include "base/fd.h"
#include "tests/integration/services/services_fixture.h"

namespace wherry::test {
namespace {

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

// A kernel without some modules, as iptables-restore tells it.
class PoorKernel {
 public:
  explicit PoorKernel(const std::string& refused) {
    EXPECT_EQ(mount("tmpfs", kDirectory, "tmpfs", 0, "mode=755"), 0) << std::strerror(errno);
    const std::string path = std::string(kDirectory) + "/iptables-restore";
    write_text(path, "#!/bin/sh\nrules=$(cat)\nif echo \"$rules\" | grep -q -e '" + refused +
                         "'; then\n  echo 'Extension not supported, missing kernel module?' >&2\n"
                         "  exit 1\nfi\necho \"$rules\" | /usr/sbin/iptables-restore \"$@\"\n");
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
  }
  ~PoorKernel() { umount2(kDirectory, MNT_DETACH); }
  PoorKernel(const PoorKernel&) = delete;
  PoorKernel& operator=(const PoorKernel&) = delete;

 private:
  static constexpr const char* kDirectory = "/usr/local/sbin";
};

TEST_F(ServiceTest, OneThatTheKernelCannotDoIsLeftOutAndTheOthersWork) {
  json sctp = service("sctp", kWeb);
  sctp["spec"]["ports"][0]["protocol"] = "SCTP";
  sctp["spec"]["ports"][0]["targetPort"] = 80;
  const std::vector<json> items = {server("web-a", kWeb), sleeper("client", false),
                                   service("sticky", kWeb, {{"sessionAffinity", "ClientIP"}}), sctp,
                                   service("web", kWeb)};
  {
    const PoorKernel kernel("-m recent\\|-m sctp");
    publish(1, items);
    running("client");
    answers_become("client", "http://web:8080/", {"web-a\n"});
    const json document = document_in(wait_upstream([](const json& state) {
      return document_in(state).value("errors", json::array()).size() == 2;
    }));
    EXPECT_EQ(document["state"], "Failed");
    EXPECT_EQ(document["errors"][0]["path"], "devices/dev-1:spec.items[3]");
    EXPECT_NE(document["errors"][0]["message"].get<std::string>().find("no xt_sctp"),
              std::string::npos);
    EXPECT_NE(document["errors"][1]["message"].get<std::string>().find(
                  "Service \"sticky\" leads nowhere: the device's kernel has no xt_recent, which "
                  "sessionAffinity: ClientIP needs: install that module, or leave "
                  "sessionAffinity out"),
              std::string::npos)
        << document["errors"].dump();
    EXPECT_EQ(service_view("sticky")["reason"], "KernelPartMissing");
    EXPECT_NE(in_pod("client", "wget -O - http://sticky:8080/").find("refused"), std::string::npos);
    EXPECT_EQ(rules().find("TRIAL"), std::string::npos);
  }
  agent_->restart();  // once the modules are installed
  answers_become("client", "http://sticky:8080/", {"web-a\n"});
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

// Does a connection from the network of that process come about?
bool connects(int pid, const char* address, uint16_t port) {
  bool done = false;
  std::thread([&] {
    const Fd network(
        open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    if (setns(network.get(), CLONE_NEWNET) != 0) return;
    const Fd made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{1, 0};  // of connect(), see socket(7)
    setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, address, &to.sin_addr);
    done = connect(made.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }).join();
  return done;
}

// A Pod that may change its network can send to the loopback of others, and where node ports answer
// on 127.0.0.1 the bridge would hand it on.
TEST_F(ServiceTest, TheLoopbackOfTheDeviceIsNobodyElses) {
  json own = server("own", {{"app", "own"}});
  own["spec"]["hostNetwork"] = true;
  own["spec"]["containers"][0]["command"][2] =
      "echo own > /www/index.html && exec httpd -f -p 127.0.0.1:8123 -h /www";
  publish(1, {server("web-a", kWeb), own, sleeper("client", false),
              service("web", kWeb, {{"type", "NodePort"}})});
  for (const char* name : {"web-a", "own", "client"}) running(name);
  leads_to("web", {"web-a"});
  const int port = service_view("web")["ports"][0]["nodePort"];
  EXPECT_TRUE(wait_until([&] {
    return get_on_device("web-a", "http://127.0.0.1:" + std::to_string(port) + "/") == "web-a\n";
  }));
  EXPECT_EQ(get_on_device("web-a", "http://127.0.0.1:8123/"), "own\n");
  const CommandResult turned = run_command(
      {"nsenter", "-t", std::to_string(pid_of("client")), "--net", "sh", "-ec",
       "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; "
       "gateway=$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); "
       "ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via $gateway dev eth0"});
  ASSERT_EQ(turned.exit_code, 0) << turned.err;
  const auto attack = [&] { return connects(pid_of("client"), "127.0.0.1", 8123); };
  EXPECT_FALSE(attack());
  const std::string guard =
      "iptables -F $(iptables-save -t filter | sed -n 's/^:\\(WHERRY.*GUARD\\) .*/\\1/p')";
  ASSERT_EQ(run_command({"sh", "-c", guard}).exit_code, 0);
  EXPECT_TRUE(attack()) << "or this test shows nothing";
  publish(2, {server("web-a", kWeb), own, sleeper("client", false)});
  EXPECT_TRUE(wait_until([] { return rules().find("WHERRY") == std::string::npos; }));
  EXPECT_FALSE(attack()) << "it is closed again";
}

class HandedOverTest : public ServiceTest {
 protected:
  void configure(WherryOptions& options) override { options.groups = {"hall"}; }
  void publish_to_group(int64_t revision, const std::vector<json>& items) {
    fleet_->publish_retained("wherry/v1/groups/hall/desired", desired_document(revision, items));
  }
  void settled(const std::string& source, int64_t revision) {
    wait_upstream([&](const json& reported) {
      for (const json& each : reported["desired"]) {
        if (each["source"] == source && each["revision"] == revision) {
          return each["state"] == "Applied";
        }
      }
      return false;
    });
  }
};

TEST_F(HandedOverTest, FromAGroupToADeviceItKeepsItsAddressItsPortAndItsClients) {
  const json web = service("web", kWeb, {{"type", "NodePort"}});
  publish_to_group(1, {server("web-a", kWeb), web});
  publish(1, {sleeper("client", false)});
  running("web-a");
  running("client");
  leads_to("web", {"web-a"});
  // A name stands for an address and a port unless another Service has them: those of `web` shall
  // be such as only what was kept of it tells.
  const json named = service_view("web");
  json rival = service("rival-57987", kWeb, {{"type", "NodePort"}});
  rival["spec"]["ports"][0]["nodePort"] = named["ports"][0]["nodePort"];
  publish_to_group(2, {server("web-a", kWeb), rival});
  settled("groups/hall", 2);
  publish_to_group(3, {server("web-a", kWeb), rival, web});
  settled("groups/hall", 3);
  publish_to_group(4, {server("web-a", kWeb), web});
  settled("groups/hall", 4);
  const auto taken = named["address"].get<std::string>() + "/";
  EXPECT_TRUE(wait_until([&] { return rules().find(taken) == std::string::npos; })) << rules();
  answers_become("client", "http://web:8080/", {"web-a\n"});
  const json before = service_view("web");
  EXPECT_NE(before["address"], named["address"]) << "or the rest shows nothing";
  EXPECT_NE(before["ports"], named["ports"]) << "or the rest shows nothing";
  const std::string had = rules();
  const auto had_tasks = tasks();

  publish(2, {sleeper("client", false), server("web-a", kWeb), web});
  settled("devices/dev-1", 2);
  publish_to_group(5, {});
  settled("groups/hall", 5);
  const json after = service_view("web");
  EXPECT_EQ(after["source"], "devices/dev-1");
  for (const char* field : {"address", "ports", "pods"}) EXPECT_EQ(after[field], before[field]);
  EXPECT_EQ(rules(), had) << "connections go on";
  EXPECT_EQ(tasks(), had_tasks) << "and so does the Pod, which moved with it";
  EXPECT_EQ(get("client", "http://web:8080/"), "web-a\n");
}

}  // namespace
}  // namespace wherry::test

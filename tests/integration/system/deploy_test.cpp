// The main job, end to end: a document over MQTT becomes running containers, and their state comes
// back.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "base/fd.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

TEST_F(SystemTest, ADocumentBecomesAPageAtTheContainersAddress) {
  json web = simple_pod(
      "web", kImage,
      {"/bin/sh", "-c", "echo \"$GREETING\" > /www/index.html && exec httpd -f -p 80 -h /www"},
      false);
  web["spec"]["containers"][0]["env"] = {
      {{"name", "GREETING"},
       {"valueFrom", {{"configMapKeyRef", {{"name", "page"}, {"key", "greeting"}}}}}}};
  const json page = {{"apiVersion", "v1"},
                     {"kind", "ConfigMap"},
                     {"metadata", {{"name", "page"}}},
                     {"data", {{"greeting", "Hello, World!"}}}};
  publish(1, {page, web});
  running("web");
  const std::string ip = agent_->workload("web").value("ip", "");
  ASSERT_FALSE(ip.empty());
  std::string body;
  EXPECT_TRUE(wait_until([&] {
    body = run_command({"curl", "-fsS", "--max-time", "2", "http://" + ip + "/"}).out;
    return !body.empty();
  }));
  EXPECT_EQ(body, "Hello, World!\n");

  const json reported = wait_upstream([](const json& state) {
    return in_phase(state, "web", "Running") && document_in(state).value("state", "") == "Applied";
  });
  EXPECT_EQ(reported["kind"], "ReportedState");
  EXPECT_EQ(reported["desired"][0]["revision"], 1);
  EXPECT_EQ(reported["desired"][0]["source"], "devices/dev-1");
  EXPECT_EQ(workload_in(reported, "web")["ip"], ip);
  EXPECT_EQ(workload_in(reported, "web")["containers"][0]["state"], "running");
}

TEST_F(SystemTest, WorkloadsFindEachOtherByName) {
  const auto server = [&](const std::string& name, bool host_network, int port) {
    json made = simple_pod(name, kImage,
                           {"/bin/sh", "-c",
                            "echo from " + name + " > /www/index.html && exec httpd -f -p " +
                                std::to_string(port) + " -h /www"},
                           host_network);
    made["spec"]["terminationGracePeriodSeconds"] = 1;
    return made;
  };
  const int port = free_port();
  const auto page = [&](const std::string& from, const std::string& name, int at) {
    return run_command({"nsenter", "--target", std::to_string(pid_of(from)), "--mount", "--net",
                        "--root", "/bin/wget", "-q", "-O", "-",
                        "http://" + name + ":" + std::to_string(at) + "/"});
  };
  publish(1, {server("web", false, 80), server("broker", false, 80), server("camera", true, port)});
  for (const char* name : {"web", "broker", "camera"}) running(name);
  const auto sees = [&](const std::string& from, const std::string& name, int at) {
    CommandResult got;
    const bool seen = wait_until([&] {
      got = page(from, name, at);
      return got.out == "from " + name + "\n";
    });
    EXPECT_TRUE(seen) << got.out << got.err;
    return seen;
  };
  EXPECT_TRUE(sees("web", "broker", 80));
  EXPECT_TRUE(sees("broker", "web", 80));
  EXPECT_TRUE(sees("web", "camera", port)) << "which has the network of the device";
  EXPECT_TRUE(sees("camera", "web", 80));
  // Names need no agent, and follow a workload that is replaced.
  const auto before = tasks();
  agent_->kill();
  EXPECT_TRUE(sees("web", "broker", 80));
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  json other = server("broker", false, 80);
  other["spec"]["containers"][0]["env"] = {{{"name", "A"}, {"value", "b"}}};
  publish(2, {server("web", false, 80), other, server("camera", true, port)});
  EXPECT_TRUE(wait_until([&] { return tasks() != before && tasks().size() == 3; }));
  running("broker");
  EXPECT_TRUE(sees("web", "broker", 80));
}

TEST_F(SystemTest, AHostPortReachesTheContainer) {
  const int port = free_port();
  json web = simple_pod(
      "web", kImage,
      {"/bin/sh", "-c", "echo ported > /www/index.html && exec httpd -f -p 80 -h /www"}, false);
  web["spec"]["containers"][0]["ports"] = {{{"containerPort", 80}, {"hostPort", port}}};
  publish(1, {web});
  running("web");
  std::string body;
  EXPECT_TRUE(wait_until([&] {
    body = run_command({"curl", "-fsS", "--max-time", "2",
                        "http://127.0.0.1:" + std::to_string(port) + "/"})
               .out;
    return !body.empty();
  })) << run_command({"iptables-save"}).out;
  EXPECT_EQ(body, "ported\n");
}

// A socket in the network of a process.
Fd udp_socket(int pid, uint16_t port) {
  Fd made;
  std::thread([&] {
    const Fd net(open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(setns(net.get(), CLONE_NEWNET), 0);
    made = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    EXPECT_EQ(bind(made.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  }).join();
  return made;
}

TEST_F(SystemTest, AHostPortIsOfItsAddressAndItsProtocol) {
  const int port = free_port();
  const auto with_port = [&](json pod, json entry) {
    entry["hostPort"] = port;
    pod["spec"]["containers"][0]["ports"] = {entry};
    return pod;
  };
  json web = simple_pod(
      "web", kImage,
      {"/bin/sh", "-c", "echo ported > /www/index.html && exec httpd -f -p 80 -h /www"}, false);
  publish(1, {with_port(web, {{"containerPort", 80}, {"hostIP", "127.0.0.1"}}),
              with_port(sleeper("names", false), {{"containerPort", 5300}, {"protocol", "UDP"}}),
              with_port(sleeper("calls", false), {{"containerPort", 80}, {"protocol", "SCTP"}})});
  for (const char* name : {"web", "names", "calls"}) running(name);
  const auto get = [&](const std::string& ip) {
    return run_command(
        {"curl", "-sS", "--max-time", "30", "http://" + ip + ":" + std::to_string(port) + "/"});
  };
  EXPECT_TRUE(wait_until([&] { return get("127.0.0.1").out == "ported\n"; }));
  const std::string subnet = agent_->options().bridge_subnet;
  const std::string bridge = subnet.substr(0, subnet.find("0/")) + "1";
  EXPECT_EQ(get(bridge).exit_code, 7) << "refused at another address of the device";
  const std::string rules = run_command({"iptables-save", "-t", "nat"}).out;
  EXPECT_NE(rules.find("-p sctp"), std::string::npos) << rules;

  const Fd server = udp_socket(pid_of("names"), 5300), client = udp_socket(getpid(), 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, bridge.c_str(), &to.sin_addr);
  EXPECT_TRUE(wait_until([&] {
    char byte = 0;
    sendto(client.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    return recv(server.get(), &byte, 1, MSG_DONTWAIT) == 1 && byte == 'x';
  })) << rules;
}

TEST_F(SystemTest, StoppingKillingAndRestartingTheAgentRestartsNothing) {
  publish(1, {sleeper("host"), sleeper("bridged", false)});
  running("host");
  running("bridged");
  const auto before = tasks();
  ASSERT_EQ(before.size(), 2u);
  const std::string ip = agent_->workload("bridged").value("ip", "");

  agent_->kill();
  EXPECT_EQ(tasks(), before);
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  running("bridged");
  EXPECT_EQ(tasks(), before);
  EXPECT_EQ(agent_->workload("bridged").value("ip", ""), ip);
  EXPECT_EQ(agent_->workload("host")["containers"][0]["restarts"], 0);

  EXPECT_EQ(agent_->stop(), 0);
  EXPECT_EQ(tasks(), before);
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  running("host");
  EXPECT_EQ(tasks(), before);
}

TEST_F(SystemTest, NoItemsLeaveTheDeviceAsItWas) {
  const Leftovers before = leftovers();
  json ported = sleeper("ported", false);
  ported["spec"]["containers"][0]["ports"] = {{{"containerPort", 80}, {"hostPort", free_port()}}};
  ported["spec"]["volumes"] = {{{"name", "scratch"}, {"emptyDir", json::object()}},
                               {{"name", "fast"}, {"emptyDir", {{"medium", "Memory"}}}}};
  ported["spec"]["containers"][0]["volumeMounts"] = {
      {{"name", "scratch"}, {"mountPath", "/scratch"}}, {{"name", "fast"}, {"mountPath", "/fast"}}};
  publish(1, {sleeper("host"), ported});
  running("host");
  running("ported");
  EXPECT_FALSE(leftovers().beyond(before).empty());
  publish(2, {});
  EXPECT_TRUE(wait_until([&] { return agent_->reported()["workloads"].empty(); }));
  expect_back_to(before);
}

TEST_F(SystemTest, OnlyWhatChangedIsReplaced) {
  publish(1, {sleeper("same"), sleeper("changed")});
  running("same");
  running("changed");
  const int same = pid_of("same");
  const int changed = pid_of("changed");
  json other = sleeper("changed");
  other["spec"]["containers"][0]["env"] = {{{"name", "NEW"}, {"value", "1"}}};
  publish(2, {sleeper("same"), other});
  EXPECT_TRUE(wait_until([&] {
    const int now = pid_of("changed");
    return now != 0 && now != changed;
  }));
  running("changed");
  EXPECT_EQ(pid_of("same"), same);
  const json reported = wait_upstream([](const json& state) {
    return document_in(state).value("revision", 0) == 2 &&
           document_in(state).value("state", "") == "Applied";
  });
  EXPECT_EQ(workload_in(reported, "same")["revision"], 2);
}

TEST_F(SystemTest, ABootWithoutBrokerRunsTheLastAcceptedDocument) {
  publish(1, {sleeper("offline")});
  running("offline");
  agent_->stop();
  broker_->stop();
  // As after a power cut: the tasks are gone, what is on disk is not.
  const int old = pid_of("offline");
  ASSERT_GT(old, 0);
  ::kill(old, SIGKILL);
  agent_->start();
  EXPECT_TRUE(wait_until([&] {
    const int now = pid_of("offline");
    return now != 0 && now != old;
  })) << agent_->workload("offline").dump(1);
  running("offline");
}

TEST_F(SystemTest, DependenciesStartFirst) {
  json front = sleeper("front");
  front["metadata"]["annotations"] = {{"wherry/depends-on", "middle"}};
  json middle = sleeper("middle");
  middle["metadata"]["annotations"] = {{"wherry/depends-on", "back"}};
  publish(1, {front, middle, sleeper("back")});
  running("front");
  const auto started = [&](const std::string& name) {
    return agent_->workload(name)["containers"][0].value("startedAt", "");
  };
  EXPECT_LE(started("back"), started("middle"));
  EXPECT_LE(started("middle"), started("front"));
}

TEST_F(SystemTest, SeveralContainersShareTheirPodsNetwork) {
  json pod = simple_pod(
      "pair", kImage,
      {"/bin/sh", "-c", "echo shared > /www/index.html && exec httpd -f -p 80 -h /www"}, false);
  json client = {
      {"name", "client"},
      {"image", kImage},
      {"command",
       {"/bin/sh", "-c", "until wget -qO- http://127.0.0.1/; do sleep 0.1; done; sleep 1000000"}}};
  pod["spec"]["containers"].push_back(client);
  publish(1, {pod});
  running("pair");
  std::string log;
  EXPECT_TRUE(wait_until([&] {
    log = agent_->get("/v1/workloads/pair/logs?container=client").body;
    return log.find("shared") != std::string::npos;
  })) << log;
}

TEST_F(SystemTest, LogsSurviveTheAgentAndCanBeFollowed) {
  publish(1, {simple_pod(
                 "talk", kImage,
                 {"/bin/sh", "-c",
                  "i=0; while :; do echo out $i; echo err $i >&2; i=$((i+1)); sleep 0.05; done"})});
  running("talk");
  const auto has = [&](const std::string& text) {
    return wait_until([&] {
      return agent_->get("/v1/workloads/talk/logs").body.find(text + "\n") != std::string::npos;
    });
  };
  EXPECT_TRUE(has("out 3"));
  EXPECT_TRUE(has("err 3"));
  agent_->kill();
  // The logger writes on while there is no agent.
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_TRUE(has("out 3"));
  EXPECT_TRUE(has("out 40"));
  const CommandResult tailed = agent_->cli({"logs", "talk", "--tail", "2"});
  EXPECT_EQ(tailed.exit_code, 0) << tailed.err;
  EXPECT_EQ(std::count(tailed.out.begin(), tailed.out.end(), '\n'), 2);
}

TEST_F(SystemTest, AnUnchangedDocumentAgainChangesNothing) {
  publish(1, {sleeper("same")});
  running("same");
  const int pid = pid_of("same");
  const json before = agent_->reported();
  publish(1, {sleeper("same")});
  publish(1, {sleeper("same")});
  // A newer document is the sign that the ones before it were seen.
  publish(2, {sleeper("same"), sleeper("later")});
  running("later");
  EXPECT_EQ(pid_of("same"), pid);
  EXPECT_EQ(agent_->workload("same")["containers"][0]["restarts"], 0);
}

}  // namespace
}  // namespace wherry::test

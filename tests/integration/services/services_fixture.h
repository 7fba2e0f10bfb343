#pragma once
// A device with web servers and Services that lead to them.

#include <set>
#include <string>
#include <vector>

#include "tests/support/system_fixture.h"

namespace wherry::test {

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

inline const json kWeb = {{"app", "web"}};

}  // namespace wherry::test

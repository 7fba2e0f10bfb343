#pragma once
// Pods whose containers are short shell scripts that leave lines in a file of the test's.

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/system_fixture.h"

namespace wherry::test {

class HealthTest : public SystemTest {
 protected:
  using json = nlohmann::json;

  void configure(WherryOptions& options) override {
    options.sets.push_back("device.clock=trusted");  // no machine of tests need be synchronised
  }

  // Runs `script` with the test's files in /out.
  json container(const std::string& name, const std::string& script,
                 json more = json::object()) const {
    json made = {{"name", name},
                 {"image", kImage},
                 {"command", {"/bin/sh", "-c", script}},
                 {"volumeMounts", {{{"name", "out"}, {"mountPath", "/out"}}}}};
    made.update(more);
    return made;
  }
  json pod(const std::string& name, std::vector<json> containers, json more = json::object()) {
    json spec = {{"hostNetwork", true},
                 {"terminationGracePeriodSeconds", 1},
                 {"containers", std::move(containers)},
                 {"volumes", {{{"name", "out"}, {"hostPath", {{"path", files_.path()}}}}}}};
    spec.update(more);
    return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}}}, {"spec", spec}};
  }
  static json exec(std::vector<std::string> command, json more = json::object()) {
    json probe = {{"exec", {{"command", std::move(command)}}}, {"periodSeconds", 1}};
    probe.update(more);
    return probe;
  }

  std::string file(const std::string& name) const { return files_ / name; }
  void touch(const std::string& name) { write_text(file(name), ""); }
  std::vector<std::string> lines(const std::string& name = "log") const {
    std::vector<std::string> all;
    std::istringstream text(read_text(file(name)));
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }

  // Until its entry in the reported state satisfies `wanted`; fails the test at the deadline.
  json until(const std::string& name, const std::function<bool(const json&)>& wanted) {
    json last;
    EXPECT_TRUE(wait_until([&] {
      last = agent_->workload(name);
      return last.is_object() && wanted(last);
    })) << name
        << ": " << last.dump(1);
    return last;
  }
  json until_reason(const std::string& name, const std::string& reason) {
    return until(name, [&](const json& now) { return now.value("reason", "") == reason; });
  }
  static const json& container_of(const json& workload, const std::string& name) {
    static const json kNone;
    for (const json& each : workload["containers"]) {
      if (each["name"] == name) return each;
    }
    return kNone;
  }
  bool has_event(const std::string& reason) {
    return agent_->cli({"events"}).out.find(reason) != std::string::npos;
  }
  void new_life() {
    agent_->kill();
    agent_->start();
    ASSERT_TRUE(agent_->wait_ready());
  }
};

inline constexpr const char* kForever = "trap 'exit 0' TERM; sleep 1000000 & wait";

}  // namespace wherry::test

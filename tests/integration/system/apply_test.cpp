// Documents that come from the device itself, on a real container stack.

#include <csignal>

#include <gmock/gmock.h>

#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class ApplyTest : public SystemTest {
 protected:
  std::string file(const std::string& text) {
    const std::string path = files_ / "document.yaml";
    write_text(path, text);
    return path;
  }
  CommandResult apply(const std::string& text) { return agent_->cli({"apply", "-f", file(text)}); }
  RestAnswer put(const std::string& text) { return agent_->request("PUT", "/v1/desired", text); }
  bool gone(const std::string& name) {
    return wait_until([&] { return agent_->workload(name).is_null() && pid_of(name) == 0; });
  }
  static json using_image(json pod, const std::string& image) {
    pod["spec"]["containers"][0]["image"] = image;
    return pod;
  }
};

TEST_F(ApplyTest, WhatIsAppliedHereRunsAndOutlivesTheAgent) {
  write_text(agent_->manifests_dir() + "/site.json", json::array({sleeper("filed")}).at(0).dump());
  agent_->process().signal(SIGHUP);
  running("filed");
  const json secret = {{"apiVersion", "v1"},
                       {"kind", "Secret"},
                       {"metadata", {{"name", "key"}}},
                       {"stringData", {{"k", "s3cret"}}}};
  const std::string first = desired_document(1, json::array({sleeper("web"), secret}));
  const CommandResult applied = apply(first);
  EXPECT_EQ(applied.exit_code, 0) << applied.err;
  EXPECT_EQ(applied.out, "revision 1 accepted\n");
  running("web");
  EXPECT_EQ(agent_->workload("web")["source"], "local");
  const auto before = tasks();
  agent_->kill();
  agent_->start();
  running("web");
  running("filed");
  EXPECT_EQ(tasks(), before) << "accepted means on disk, and nothing is started anew";
  EXPECT_THAT(apply(first).out, HasSubstr("nothing changes"));

  const std::string merged = agent_->get("/v1/desired").body;
  EXPECT_EQ(merged.find("s3cret"), std::string::npos) << merged;
  const json document = json::parse(merged);
  std::set<std::string> names;
  for (const json& source : document["sources"]) {
    for (const json& item : source["items"]) {
      names.insert(source["source"].get<std::string>() + " " + item.get<std::string>());
    }
  }
  EXPECT_THAT(names, ElementsAre("local Pod/web", "local Secret/key", "manifests Pod/filed"));

  // The fleet has the last word, then the next local document, by REST, then none.
  publish(1, {using_image(sleeper("web"), kImage), sleeper("fleet")});
  running("fleet");
  EXPECT_TRUE(wait_until([&] {
    return agent_->workload("web").value("source", "") == "devices/dev-1";
  })) << agent_->workload("web").dump(1);
  const RestAnswer second =
      put(desired_document(2, json::array({sleeper("web"), sleeper("more")})));
  EXPECT_EQ(second.status, 200) << second.body;
  EXPECT_THAT(second.json()["warnings"][0].value("message", ""), HasSubstr("does not count"));
  running("more");
  const CommandResult none = run_command(
      {"sh", "-c",
       "printf '%s' '" + desired_document(3, json::array()) + "' | '" + std::string(WHERRY_BIN) +
           "/wherry' --socket '" + agent_->api_socket() + "' apply -f -"});
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_TRUE(gone("more"));
  agent_->restart();
  running("filed");
  running("fleet");
  EXPECT_EQ(pid_of("more"), 0);
}

}  // namespace
}  // namespace wherry::test

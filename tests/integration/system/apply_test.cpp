// Documents that come from the device itself, and what a document would come to, on a real
// container stack.

#include <csignal>

#include <gmock/gmock.h>

#include "tests/support/registry.h"
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
  json plan(const std::string& text, const std::string& source = "") {
    std::vector<std::string> words{"plan", "-o", "json", "-f", file(text)};
    if (!source.empty()) words.insert(words.end(), {"--source", source});
    const CommandResult result = agent_->cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out, nullptr, false);
  }
  static json of(const json& plan, const std::string& name) {
    for (const json& each : plan.value("workloads", json::array())) {
      if (each["name"] == name) return each;
    }
    return json::object();
  }
  static std::vector<std::string> down(const json& plan) {
    std::vector<std::string> names;
    for (const json& each : plan.value("down", json::array())) names.push_back(each["name"]);
    return names;
  }
  bool gone(const std::string& name) {
    return wait_until([&] { return agent_->workload(name).is_null() && pid_of(name) == 0; });
  }
  static json using_image(json pod, const std::string& image) {
    pod["spec"]["containers"][0]["image"] = image;
    return pod;
  }
  json config(const std::string& level) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", "settings"}}},
            {"data", {{"LEVEL", level}}}};
  }
  json configured(const std::string& name) {
    json pod = sleeper(name);
    pod["spec"]["containers"][0]["envFrom"] = {{{"configMapRef", {{"name", "settings"}}}}};
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

TEST_F(ApplyTest, ABadDocumentChangesNothing) {
  ASSERT_EQ(apply(desired_document(5, json::array({sleeper("web")}))).exit_code, 0);
  running("web");
  const auto before = tasks();
  const std::string merged = agent_->get("/v1/desired").body;
  json wrong = sleeper("web");
  wrong["spec"]["containers"][0]["imgae"] = "x";
  wrong["spec"]["restartPolicy"] = "Sometimes";
  json lonely = sleeper("web");
  lonely["metadata"]["annotations"] = {{"wherry/depends-on", "nobody"}};
  const std::vector<std::pair<std::string, std::string>> table{
      {desired_document(6, json::array({wrong})), "did you mean \"image\"?"},
      {desired_document(6, json::array({lonely})), "spec.items[0].metadata.annotations"},
      {desired_document(5, json::array({sleeper("other")})), "metadata.revision: stale"},
      {desired_document(4, json::array({sleeper("other")})), "metadata.revision: stale"},
      {sleeper("other").dump(), "put it under spec.items"},
      {"kind: [", "document.yaml:1:"},
      {std::string(2 << 20, ' '), "larger than 1 MiB"},
      {std::string((1 << 20) + 1, ' '), "1 MiB"},
      {"", "empty"}};
  for (const auto& [text, says] : table) {
    const CommandResult refused = apply(text);
    EXPECT_EQ(refused.exit_code, 5) << text.substr(0, 200);
    EXPECT_THAT(refused.err, HasSubstr(says)) << text.substr(0, 200);
    EXPECT_EQ(refused.out, "");
    const int status = text.empty() ? 411 : text.size() > (2u << 20) - 1 ? 413 : 422;
    EXPECT_EQ(put(text).status, status) << text.substr(0, 200);
    EXPECT_EQ(agent_->cli({"plan", "-f", file(text)}).exit_code, 5) << text.substr(0, 200);
  }
  const json errors = put(desired_document(6, json::array({wrong}))).json()["errors"];
  ASSERT_EQ(errors.size(), 2U) << "all at once";
  EXPECT_LE(errors[0]["line"].get<int>(), errors[1]["line"].get<int>());
  EXPECT_EQ(agent_->get("/v1/desired").body, merged);
  EXPECT_EQ(tasks(), before);
  const json reported = agent_->reported();
  EXPECT_FALSE(document_in(reported).contains("rejected")) << "who asked has the answer";
  EXPECT_EQ(document_in(reported)["revision"], 5);
}

TEST_F(ApplyTest, APlanTellsWhatComesAndDoesNothing) {
  Registry registry;
  ImageOptions large;
  large.extra_layers = {300'000};
  const std::string next = registry.push(
      make_busybox_archive(files_ / "next.tar", "registry.local/next:1", large).path, "next:1");
  publish(1, {sleeper("same"), sleeper("web"), sleeper("old"), config("debug"),
              configured("configured"), sleeper("far")});
  for (const char* name : {"same", "web", "old", "configured", "far"}) running(name);
  const auto before = tasks();
  const std::string merged = agent_->get("/v1/desired").body;
  const int64_t events = agent_->get("/v1/events?limit=1000").json()["events"].size();

  json greedy = sleeper("greedy");
  greedy["spec"]["containers"][0]["resources"] = {{"requests", {{"memory", "64Ti"}}}};
  const std::vector<json> items{sleeper("same"),
                                using_image(sleeper("web"), next),
                                config("info"),
                                configured("configured"),
                                using_image(sleeper("far"), "127.0.0.1:1/far:1"),
                                sleeper("fresh"),
                                greedy};
  const json come = plan(desired_document(2, items), "devices/dev-1");
  EXPECT_EQ(of(come, "same")["change"], "unchanged");
  EXPECT_EQ(of(come, "fresh")["change"], "create");
  EXPECT_EQ(of(come, "old")["change"], "remove");
  EXPECT_EQ(of(come, "web")["change"], "replace");
  EXPECT_EQ(of(come, "web")["reason"], "ImageChanged");
  EXPECT_EQ(of(come, "configured")["change"], "replace");
  EXPECT_EQ(of(come, "configured")["reason"], "ConfigChanged");
  EXPECT_THAT(of(come, "configured").value("message", ""), HasSubstr("ConfigMap/settings (LEVEL)"));
  EXPECT_EQ(of(come, "far")["obstacle"]["reason"], "RegistryUnavailable");
  EXPECT_EQ(of(come, "greedy")["obstacle"]["reason"], "InsufficientMemory");
  EXPECT_EQ(come["possible"], false);
  EXPECT_THAT(down(come), ElementsAre("configured", "old", "web"));
  ASSERT_EQ(come["images"].size(), 2U) << come["images"];
  EXPECT_GT(come["downloadBytes"], 300'000);
  EXPECT_EQ(come["images"][0]["problem"]["reason"], "RegistryUnavailable");
  EXPECT_EQ(come["images"][1]["image"], next);
  EXPECT_GT(come["disks"][0]["freeBytes"], 0) << come["disks"];
  EXPECT_GE(come["disks"][0]["neededBytes"], come["downloadBytes"]);
  const CommandResult shown =
      agent_->cli({"plan", "-f", file(desired_document(2, items)), "--source", "devices/dev-1"});
  EXPECT_THAT(shown.out, HasSubstr("cannot start: greedy: InsufficientMemory"));
  EXPECT_THAT(shown.out, HasSubstr("goes down: web"));

  // The same over MQTT, where it is the device's own document that is meant.
  const std::string topic = "wherry/v1/devices/dev-1/";
  fleet_->publish(
      topic + "commands/p-1",
      json{{"command", "plan"}, {"args", {{"document", json::parse(desired_document(2, items))}}}}
          .dump());
  const auto answer = fleet_->wait_for(
      [&](const auto& message) { return message.topic == topic + "responses/p-1"; });
  ASSERT_TRUE(answer) << tail(agent_->log());
  const json result = json::parse(answer->payload)["result"];
  EXPECT_EQ(result["workloads"], come["workloads"]);
  EXPECT_EQ(result["source"], "devices/dev-1");

  EXPECT_EQ(tasks(), before) << "nothing was done";
  EXPECT_EQ(agent_->get("/v1/desired").body, merged);
  EXPECT_EQ(agent_->get("/v1/events?limit=1000").json()["events"].size(), events);
  EXPECT_EQ(agent_->get("/v1/images").body.find(next), std::string::npos) << "nothing was pulled";

  // And so it comes.
  publish(2, items);
  EXPECT_TRUE(wait_until([&] {
    const json web = agent_->workload("web");
    return in_phase(agent_->reported(), "fresh", "Running") && gone("old") && !web.is_null() &&
           web["containers"][0].value("image", "") == next && pid_of("web") != 0;
  })) << agent_->reported().dump(1);
  const auto after = tasks();
  for (const auto& [id, pid] : before) {
    const bool stays = id.starts_with("same") || id.starts_with("far");
    EXPECT_TRUE(!stays || (after.contains(id) && after.at(id) == pid)) << id;
  }
  EXPECT_EQ(agent_->workload("greedy")["reason"], "InsufficientMemory");
}

TEST_F(ApplyTest, APlanOfWhatIsThereAlreadyChangesNothing) {
  ASSERT_EQ(apply(desired_document(1, json::array({sleeper("web")}))).exit_code, 0);
  running("web");
  const json same = plan(desired_document(2, json::array({sleeper("web")})));
  EXPECT_EQ(of(same, "web")["change"], "unchanged");
  EXPECT_EQ(same["possible"], true);
  EXPECT_THAT(down(same), testing::IsEmpty());
  const json none = plan(desired_document(2, json::array()));
  EXPECT_EQ(of(none, "web")["change"], "remove");
  EXPECT_THAT(down(none), ElementsAre("web"));
  EXPECT_EQ(agent_
                ->cli({"plan", "-f", file(desired_document(1, json::array())), "--source",
                       "groups/nobody"})
                .exit_code,
            4);
}

}  // namespace
}  // namespace wherry::test

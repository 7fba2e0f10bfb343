// What a document would come to, asked of a reconciler at work.

#include "agent/reconcile/forecast.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Registries that have what the test says.
class Registries final : public runtime::Estimates {
 public:
  Result<runtime::StoreEstimate> estimate(const std::vector<runtime::PullRequest>& wanted,
                                          CancelToken) override {
    runtime::StoreEstimate all;
    for (const runtime::PullRequest& request : wanted) {
      asked.push_back(request.reference);
      runtime::ImageEstimate image;
      image.reference = image.name = request.reference;
      const auto known = has.find(request.reference);
      if (known == has.end()) {
        image.error = Error(Code::Unavailable, "nobody answers", "RegistryUnavailable");
      } else {
        image.digest = "sha256:new";
        image.download_bytes = known->second;
        image.disk_bytes = 3 * known->second;
        disk.needed += image.disk_bytes;
      }
      all.images.push_back(std::move(image));
    }
    all.disks = {disk};
    return all;
  }
  std::map<std::string, int64_t> has;  // reference -> bytes to download
  std::vector<std::string> asked;
  runtime::DiskEstimate disk{"/var", "everything", 0, 1000, 100};
};

class ForecastTest : public BenchTest {
 protected:
  ForecastTest() {
    facts_.memory_bytes = int64_t{1} << 30;
    images_.add("img:2");
    fresh();
    spin();
  }
  // Of what is so now; nothing is stepped or stored for it.
  json ask(const std::string& payload, const std::string& source = kDevice) {
    const auto planned = planned_for(payload, source);
    EXPECT_TRUE(planned) << planned.error().full();
    if (!planned) return {};
    EXPECT_TRUE(planned->errors.empty())
        << planned->errors[0].path << ": " << planned->errors[0].message;
    return planned->errors.empty() ? json::parse(planned->json) : json();
  }
  Result<Planned> planned_for(const std::string& payload, const std::string& source = kDevice,
                              bool from_network = false) {
    std::shared_ptr<const Rehearsal> rehearsal;
    mailbox_.post([&](Mail& mail) {
      mail.rehearsals.emplace_back([&](const auto& answer) { rehearsal = *answer; });
    });
    reconciler_->step();
    EXPECT_TRUE(rehearsal);
    const size_t writes = records_.writes, done = calls();
    auto planned =
        forecast(*rehearsal, {payload, source, from_network}, {images_, registries_}, {});
    EXPECT_EQ(records_.writes, writes) << "nothing is stored";
    EXPECT_EQ(calls(), done) << "nothing is done";
    return planned;
  }
  static json of(const json& plan, const std::string& name) {
    for (const json& each : plan.value("workloads", json::array())) {
      if (each["name"] == name) return each;
    }
    return json::object();
  }
  // "web: Replaced", in order.
  static std::vector<std::string> down(const json& plan) {
    std::vector<std::string> all;
    for (const json& each : plan["down"]) {
      all.push_back(each["name"].get<std::string>() + ": " + each["reason"].get<std::string>());
    }
    return all;
  }
  static std::string change(const json& plan, const std::string& name) {
    const json one = of(plan, name);
    return one.value("change", "?") + " " + one.value("reason", "?");
  }
  static std::string asking(const std::string& name, const std::string& memory,
                            const std::string& spec = "") {
    return pod(name,
               "img:1\", resources: { requests: { memory: " + memory + " } }, workingDir: \"/",
               spec);
  }

  Registries registries_;
};

TEST_F(ForecastTest, TheSameImageUnderAnotherReferenceChangesNothing) {
  const runtime::Image image = images_.add("img:1");
  const std::string pinned = "img@" + image.digest;
  images_.alias(image, pinned, true);
  apply(document(1, {pod("a")}));
  const json planned = ask(document(2, {pod("a", pinned)}));
  EXPECT_EQ(of(planned, "a")["change"], "unchanged");
  EXPECT_THAT(down(planned), IsEmpty());
  apply(document(2, {pod("a", pinned)}));
  EXPECT_EQ(of(ask(document(3, {pod("a", pinned)})), "a")["change"], "unchanged");
}

TEST_F(ForecastTest, TellsTheNewTheChangedTheRemovedAndTheSame) {
  apply(document(1, {pod("same"), pod("web"), pod("old"), pod("field")}));
  const json plan = ask(document(2, {pod("same"), pod("web", "img:2"), pod("new"),
                                     pod("field", "img:1", ", restartPolicy: Never")}));
  EXPECT_EQ(change(plan, "same"), "unchanged ");
  EXPECT_EQ(change(plan, "web"), "replace ImageChanged");
  EXPECT_EQ(of(plan, "web")["message"], "changed: containers[app].image: img:1 -> img:2");
  EXPECT_EQ(change(plan, "field"), "replace SpecChanged");
  EXPECT_EQ(of(plan, "field")["differences"], json::array({"restartPolicy"}));
  EXPECT_EQ(change(plan, "new"), "create Added");
  EXPECT_EQ(change(plan, "old"), "remove NoLongerWanted");
  EXPECT_THAT(down(plan), ElementsAre("field: Replaced", "old: Removed", "web: Replaced"));
  EXPECT_EQ(plan["possible"], true);
  EXPECT_THAT(plan["images"], IsEmpty()) << "all are on the device";
  EXPECT_EQ(plan["source"], kDevice);
  EXPECT_EQ(plan["revision"], 2);

  // And so it comes.
  apply(document(2, {pod("same"), pod("web", "img:2"), pod("new")}));
  EXPECT_EQ(workload("new").phase, Phase::Running);
  const json again = ask(document(2, {pod("same"), pod("web", "img:2"), pod("new")}));
  for (const json& each : again["workloads"]) EXPECT_EQ(each["change"], "unchanged") << each;
  EXPECT_THAT(again["down"], IsEmpty());
}

TEST_F(ForecastTest, ABadDocumentIsRefusedAsItWouldBe) {
  apply(document(5, {pod("web")}));
  const auto stale = planned_for(document(4, {pod("web")}));
  ASSERT_TRUE(stale);
  ASSERT_EQ(stale->errors.size(), 1U);
  EXPECT_EQ(stale->errors[0].path, "metadata.revision");
  EXPECT_FALSE(planned_for("nonsense")->errors.empty());
  const auto foreign = planned_for(document(1, {}), "groups/nobody");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code(), Code::NotFound);
  EXPECT_THAT(foreign.error().full(), HasSubstr("local, groups/g, devices/d"));
}

TEST_F(ForecastTest, ConfigurationAloneIsNamed) {
  const auto with = [](int revision, const std::string& level, const std::string& page) {
    return document(
        static_cast<uint64_t>(revision),
        {"{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: { level: \"" +
             level + "\" } }\n",
         "{ apiVersion: v1, kind: ConfigMap, metadata: { name: pages }, data: { index: \"" + page +
             "\" } }\n",
         pod("env", "img:1\", envFrom: [{ configMapRef: { name: settings } }], workingDir: \"/"),
         pod("files", "img:1\", volumeMounts: [{ name: v, mountPath: /v }], workingDir: \"/",
             ", volumes: [{ name: v, configMap: { name: pages } }]"),
         pod("other")});
  };
  apply(with(1, "debug", "one"));
  const json env = ask(with(2, "info", "one"));
  EXPECT_EQ(change(env, "env"), "replace ConfigChanged");
  EXPECT_THAT(of(env, "env").value("message", ""), HasSubstr("ConfigMap/settings (level)"));
  EXPECT_EQ(change(env, "files"), "unchanged ");
  EXPECT_THAT(down(env), ElementsAre("env: Replaced"));
  const json files = ask(with(2, "debug", "two"));
  EXPECT_EQ(change(files, "files"), "update ContentChanged");
  EXPECT_THAT(of(files, "files").value("message", ""), HasSubstr("ConfigMap/pages (index)"));
  EXPECT_THAT(files["down"], IsEmpty());
}

TEST_F(ForecastTest, ImagesAreCountedAndTheUnreachableIsAnObstacle) {
  apply(document(1, {pod("web"), pod("far")}));
  registries_.has = {{"reg/new:1", 100}};
  json plan = ask(
      document(2, {pod("web", "reg/new:1"), pod("far", "reg/gone:1"), pod("more", "reg/new:1")}));
  EXPECT_THAT(registries_.asked, ElementsAre("reg/gone:1", "reg/new:1")) << "each once";
  EXPECT_EQ(plan["downloadBytes"], 100);
  EXPECT_EQ(plan["images"][1]["workloads"], json::array({"more", "web"}));
  EXPECT_EQ(plan["images"][1]["diskBytes"], 300);
  EXPECT_EQ(plan["images"][0]["problem"]["reason"], "RegistryUnavailable");
  EXPECT_EQ(plan["images"][0]["downloadBytes"], nullptr);
  EXPECT_EQ(plan["disks"][0]["neededBytes"], 300);
  EXPECT_EQ(plan["possible"], false);
  EXPECT_EQ(of(plan, "far")["obstacle"]["reason"], "RegistryUnavailable");
  EXPECT_EQ(of(plan, "web")["obstacle"], nullptr);
  EXPECT_THAT(down(plan), ElementsAre("web: Replaced")) << "far runs on, for its image never comes";

  registries_.disk.needed = 0;
  registries_.has = {{"reg/new:1", 1000}};
  plan = ask(document(2, {pod("web", "reg/new:1"), pod("far")}));
  EXPECT_EQ(plan["disks"][0]["fits"], false);
  EXPECT_EQ(of(plan, "web")["obstacle"]["reason"], "InsufficientStorage");
  EXPECT_THAT(plan["down"], IsEmpty());
}

TEST_F(ForecastTest, PullPoliciesCount) {
  json plan = ask(document(1, {pod("a", "none:1\", imagePullPolicy: Never, workingDir: \"/"),
                               pod("b", "img:1\", imagePullPolicy: Always, workingDir: \"/")}));
  EXPECT_EQ(of(plan, "a")["obstacle"]["reason"], "ErrImageNeverPull");
  EXPECT_EQ(of(plan, "b")["obstacle"], nullptr) << "what is there is started without its registry";
  EXPECT_THAT(registries_.asked, ElementsAre("img:1"));
}

TEST_F(ForecastTest, RoomIsCountedAsItWouldBe) {
  apply(document(1, {asking("low", "600Mi")}));
  json plan = ask(document(2, {asking("low", "600Mi"), asking("giant", "64Gi")}));
  EXPECT_EQ(of(plan, "giant")["obstacle"]["reason"], "InsufficientMemory");
  EXPECT_THAT(of(plan, "giant")["obstacle"].value("message", ""), HasSubstr("lower its requests"));
  EXPECT_EQ(plan["possible"], false);
  EXPECT_THAT(plan["down"], IsEmpty());
  const json memory = plan["resources"][0];
  EXPECT_EQ(memory["resource"], "memory");
  EXPECT_EQ(memory["before"], int64_t{600} << 20);
  EXPECT_EQ(memory["after"], (int64_t{600} << 20) + (int64_t{64} << 30));
  EXPECT_EQ(memory["left"], memory["limit"].get<int64_t>() - memory["after"].get<int64_t>());

  plan = ask(document(2, {asking("low", "600Mi"), asking("high", "600Mi", ", priority: 5")}));
  EXPECT_EQ(plan["possible"], true);
  EXPECT_EQ(change(plan, "low"), "unchanged ");
  EXPECT_THAT(down(plan), ElementsAre("low: Preempted"));

  plan = ask(document(2, {asking("next", "600Mi")}));
  EXPECT_EQ(of(plan, "next")["obstacle"], nullptr) << "the one that leaves makes room";
  EXPECT_EQ(plan["resources"][0]["after"], int64_t{600} << 20);
}

TEST_F(ForecastTest, ObjectsThatMakePodsAreSeenThrough) {
  apply(document(1, {deployment("dep", 2, "img:1"), job("done")}));
  EXPECT_EQ(change(ask(document(2, {deployment("dep", 2, "img:1"), job("done")})), "dep-0"),
            "unchanged ");
  const json plan = ask(document(2, {deployment("dep", 3, "img:2"), job("done"), job("more")}));
  EXPECT_EQ(change(plan, "dep-0"), "replace ImageChanged");
  EXPECT_EQ(change(plan, "dep-1"), "replace ImageChanged")
      << "the whole rollout, not its first step";
  EXPECT_EQ(change(plan, "dep-2"), "create Added");
  EXPECT_EQ(of(plan, "dep-0")["owner"], "Deployment/dep");
  EXPECT_EQ(change(plan, "more"), "create Added");
  EXPECT_EQ(change(plan, "done"), "unchanged ");
  EXPECT_EQ(change(ask(document(2, {})), "done"), "remove NoLongerWanted");
}

TEST_F(ForecastTest, OtherSourcesAndOrdersStayAsTheyAre) {
  publish(document(1, {pod("grouped"), pod("web")}), "groups/g");
  apply(document(1, {pod("web", "img:2")}));
  const json plan = ask(document(1, {pod("web", "img:1"), pod("mine")}), kLocalSource);
  EXPECT_EQ(change(plan, "grouped"), "unchanged ");
  EXPECT_EQ(change(plan, "web"), "unchanged ") << "the device's own document is stronger";
  EXPECT_EQ(change(plan, "mine"), "create Added");
  ASSERT_EQ(plan["warnings"].size(), 2U) << plan["warnings"];
  EXPECT_THAT(plan["warnings"][0].value("message", ""), HasSubstr("does not count"));
}

TEST_F(ForecastTest, WhatComesOverTheNetworkIsSignedAsWhatIsApplied) {
  signatures_ = {true, "/none"};
  fresh();
  spin();
  for (const char* source : {kLocalSource, kDevice}) {
    const auto planned = planned_for(document(1, {pod("web")}), source, true);
    ASSERT_TRUE(planned) << planned.error().full();
    ASSERT_EQ(planned->errors.size(), 1U) << source;
    EXPECT_THAT(planned->errors[0].message, HasSubstr("it is not signed"));
    EXPECT_EQ(change(ask(document(1, {pod("web")}), source), "web"), "create Added")
        << "the device's own socket needs no signature";
  }
}

TEST_F(ForecastTest, WhatRunsMustBeKnown) {
  runtime_.disconnect();
  spin();
  const auto planned = planned_for(document(1, {pod("web")}));
  ASSERT_FALSE(planned);
  EXPECT_EQ(planned.error().code(), Code::Unavailable);
}

}  // namespace
}  // namespace wherry::test

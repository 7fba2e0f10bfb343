// The ReportedState document, letter by letter.
#include "agent/reconcile/state_view.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace wherry {
namespace {

WallTime at(const char* text) { return parse_rfc3339(text).value(); }

StateView full() {
  StateView view;
  view.at = at("2026-11-23T22:00:00.123Z");
  view.device = {"pump-7", {"g1"}, {{"a", "b"}}, "1.0.0", "boot-1", "Debian", "6.1",
                 "arm64",  4,      1024,         "1.6.20"};
  DesiredView desired;
  desired.source = "devices/pump-7";
  desired.revision = 42;
  desired.digest = "sha256:d";
  desired.state = "Applied";
  desired.warnings = {{"spec", "w", 3, 9}};
  desired.rejected = DesiredView::Rejected{43, {{"spec.items[0]", "bad", 0, 0}}};
  view.desired = {desired};
  ContainerView container;
  container.name = "web";
  container.image = "web:1";
  container.digest = "sha256:c";
  container.state = "running";
  container.ready = true;
  container.started_at = at("2026-11-23T21:59:00Z");
  view.workloads = {{"web",
                     "devices/pump-7",
                     42,
                     Phase::Running,
                     true,
                     "",
                     "",
                     "10.89.0.7",
                     at("2026-11-23T21:59:01Z"),
                     {container}}};
  view.conditions = {{"ContainerdReady", true, "", "", at("2026-11-23T21:00:00Z")}};
  return view;
}

TEST(ReportedState, HasExactlyTheContractsFieldsInOrder) {
  EXPECT_EQ(
      to_reported_json(full()),
      R"({"apiVersion":"wherry/v1","kind":"ReportedState","at":"2026-11-23T22:00:00.123Z",)"
      R"("device":{"id":"pump-7","groups":["g1"],"labels":{"a":"b"},"agent":"1.0.0","boot":"boot-1",)"
      R"("os":"Debian","kernel":"6.1","arch":"arm64","cpus":4,"memoryBytes":1024,"containerd":"1.6.20"},)"
      R"("desired":[{"source":"devices/pump-7","revision":42,"digest":"sha256:d","state":"Applied",)"
      R"("errors":[],"warnings":[{"path":"spec","message":"w","line":3,"column":9}],)"
      R"("rejected":{"revision":43,"errors":[{"path":"spec.items[0]","message":"bad"}]}}],)"
      R"("workloads":[{"name":"web","source":"devices/pump-7","revision":42,"phase":"Running","ready":true,)"
      R"("reason":"","message":"","ip":"10.89.0.7","since":"2026-11-23T21:59:01.000Z",)"
      R"("containers":[{"name":"web","image":"web:1","digest":"sha256:c","state":"running","ready":true,)"
      R"("restarts":0,"exitCode":null,"reason":"","startedAt":"2026-11-23T21:59:00.000Z","finishedAt":null}]}],)"
      R"("conditions":[{"type":"ContainerdReady","status":true,"reason":"","since":"2026-11-23T21:00:00.000Z"}]})");
}

TEST(ReportedState, OnlyTheTimeTellsTwoOfTheSameApart) {
  StateView later = full();
  later.at += std::chrono::seconds(5);
  const std::string first = to_reported_json(full()), second = to_reported_json(later);
  EXPECT_NE(first, second);
  auto a = nlohmann::ordered_json::parse(first), b = nlohmann::ordered_json::parse(second);
  a.erase("at"), b.erase("at");
  EXPECT_EQ(a.dump(), b.dump());
}

TEST(ReportedState, TheFigureOfTheDayIsThereOnceADayHasEnded) {
  StateView view = full();
  EXPECT_FALSE(nlohmann::json::parse(to_reported_json(view)).contains("usage"));
  view.usage = UsageView{"2026-11-25", 1, 2, 3};
  EXPECT_EQ(nlohmann::json::parse(to_reported_json(view))["usage"],
            nlohmann::json::parse(
                R"({"day":"2026-11-25","sentBytes":1,"receivedBytes":2,"writtenBytes":3})"));
}

TEST(ReportedState, EmptyIsStillWhole) {
  const auto json = nlohmann::json::parse(to_reported_json({}));
  EXPECT_EQ(json["at"], nullptr);
  EXPECT_TRUE(json["desired"].is_array());
  EXPECT_TRUE(json["workloads"].is_array());
  EXPECT_TRUE(json["conditions"].is_array());
  EXPECT_TRUE(json["device"]["groups"].is_array());
  EXPECT_TRUE(json["device"]["labels"].is_object());
}

TEST(ReportedState, ExitCodesAndPhases) {
  StateView view = full();
  view.workloads[0].containers[0].exit_code = 0;
  view.workloads[0].containers[0].finished_at = at("2026-11-23T21:59:02Z");
  const auto json = nlohmann::json::parse(to_json(view.workloads[0]));
  EXPECT_EQ(json["containers"][0]["exitCode"], 0);
  EXPECT_EQ(json["containers"][0]["finishedAt"], "2026-11-23T21:59:02.000Z");
  const std::vector<std::pair<Phase, std::string>> names = {
      {Phase::Pending, "Pending"}, {Phase::Pulling, "Pulling"},     {Phase::Starting, "Starting"},
      {Phase::Running, "Running"}, {Phase::Succeeded, "Succeeded"}, {Phase::Failed, "Failed"},
      {Phase::BackOff, "BackOff"}, {Phase::Stopping, "Stopping"}};
  for (const auto& [phase, name] : names) EXPECT_EQ(to_string(phase), name);
}

TEST(ReportedState, TextThatIsNotUtf8CostsOnlyItself) {
  StateView view = full();
  view.workloads[0].message = "runc said \xff\xfe";
  const auto json = nlohmann::json::parse(to_reported_json(view));
  EXPECT_EQ(json["workloads"][0]["message"], "runc said \uFFFD\uFFFD");
}

TEST(StateBoard, NeverEmptyAndNewest) {
  StateBoard board;
  ASSERT_NE(board.get(), nullptr);
  EXPECT_FALSE(board.get()->first_pass_done);
  const auto kept = board.get();
  board.set(std::make_shared<const StateView>(full()));
  board.set(nullptr);
  EXPECT_EQ(board.get()->device.id, "pump-7");
  EXPECT_EQ(kept->device.id, "");
  EXPECT_NE(board.get()->find("web"), nullptr);
  EXPECT_EQ(board.get()->find("nope"), nullptr);
}

}  // namespace
}  // namespace wherry

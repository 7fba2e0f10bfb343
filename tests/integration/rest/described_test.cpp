// A whole device answers as configs/openapi.json says: what it answers is judged when the test ends
// (tests/support/system_fixture.cpp), as in every test on a device; here every route is asked.

#include <map>
#include <regex>

#include "tests/support/openapi.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class DescribedTest : public SystemTest {};

TEST_F(DescribedTest, EveryRouteOfADevice) {
  const std::string archive = files_ / "box.tar";
  make_busybox_archive(archive, "registry.local/other:1", {});
  publish(1, {sleeper("web"), simple_pod("bad", kImage, {"/bin/sh", "-c", "echo no; exit 3"})});
  running("web");
  ASSERT_TRUE(agent_->wait_phase("bad", "BackOff"));
  const auto local = [](int revision, const json& pod) {
    return json{{"apiVersion", "wherry/v1"},
                {"kind", "DesiredState"},
                {"metadata", {{"revision", revision}}},
                {"spec", {{"items", json::array({pod})}}}}
        .dump();
  };
  // What a route is given, where it takes something.
  const std::map<std::string, std::pair<std::string, std::string>> given = {
      {"POST /v1/workloads/{name}/exec", {"application/json", R"({"argv":["/bin/echo","hi"]})"}},
      {"POST /v1/images", {"application/x-tar", read_text(archive)}},
      {"PUT /v1/desired", {"application/json", local(7, sleeper("here"))}},
      {"POST /v1/plan", {"application/json", local(8, sleeper("there"))}},
      {"POST /v1/images:pull", {"application/json", R"({"image":"127.0.0.1:1/none:1"})"}}};
  const OpenApi api;
  for (const OpenApi::Operation& operation : api.operations()) {
    const std::string line = operation.method + " " + operation.path;
    const std::string path = std::regex_replace(operation.path, std::regex("\\{name\\}"), "web");
    const auto found = given.find(line);
    const auto [type, body] =
        found == given.end() ? std::pair<std::string, std::string>() : found->second;
    const RestAnswer answer = agent_->request(operation.method, path, body, type);
    const bool nobody_there = line == "POST /v1/images:pull";
    EXPECT_EQ(answer.status < 300 && answer.status != 0, !nobody_there) << line << answer.body;
  }
  for (const char* path :
       {"/v1/workloads/bad/why", "/v1/workloads/bad", "/v1/workloads/bad/logs?tail=1",
        "/v1/workloads/nobody/why", "/v1/events?after=1&limit=2", "/v1/nothing"}) {
    EXPECT_NE(agent_->get(path).status, 0) << path;
  }
}

}  // namespace
}  // namespace wherry::test

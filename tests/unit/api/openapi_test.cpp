// configs/openapi.json says of every route what it takes and answers, and of nothing else.
#include "agent/api/openapi.h"

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "agent/api/router.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

std::string line_of(const Route& route) {
  return std::string(route.method) + " " + std::string(route.pattern);
}

class OpenApiTest : public ApiTest {
 protected:
  void SetUp() override { start(); }
  const OpenApi api_;
};

// Adding a route: docs/development.md, "A new route".
TEST_F(OpenApiTest, HasEveryRouteAndNoOther) {
  std::set<std::string> there, described;
  std::map<std::string, std::set<std::string>> parameters, described_parameters;
  for (const Route* route : server->routes()) {
    there.insert(line_of(*route));
    parameters[line_of(*route)] = {route->params.begin(), route->params.end()};
  }
  for (const OpenApi::Operation& operation : api_.operations()) {
    const std::string line = operation.method + " " + operation.path;
    described.insert(line);
    described_parameters[line] = {operation.query_parameters.begin(),
                                  operation.query_parameters.end()};
    const bool named = operation.path.find("{name}") != std::string::npos;
    EXPECT_EQ(operation.path_parameters,
              named ? std::vector<std::string>{"name"} : std::vector<std::string>{})
        << line;
  }
  EXPECT_EQ(there, described);
  EXPECT_EQ(parameters, described_parameters);
}

TEST_F(OpenApiTest, TheDocumentationHasTheSame) {
  std::set<std::string> described, documented;
  for (const OpenApi::Operation& operation : api_.operations()) {
    described.insert(operation.method + " " + operation.path);
  }
  std::istringstream lines(read_text(WHERRY_SOURCE_DIR "/docs/rest.md"));
  const std::regex route("`([A-Z]+ /[^`]*)`");
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("### ")) continue;
    for (std::sregex_iterator at(line.begin(), line.end(), route), end; at != end; ++at) {
      documented.insert((*at)[1]);
    }
  }
  EXPECT_EQ(documented, described);
}

TEST_F(OpenApiTest, IsServedWhole) {
  const Answer answer = ask("GET /openapi.json");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/json");
  EXPECT_EQ(answer.body, openapi_document() + "\n");
  const json& document = api_.document();
  EXPECT_EQ(document["openapi"], "3.1.0");
  size_t refs = 0;
  const std::function<void(const json&)> walk = [&](const json& node) {
    if (node.is_object() && node.contains("$ref")) {
      ++refs;
      EXPECT_NE(api_.find(node["$ref"]), nullptr) << node["$ref"];
    }
    if (!node.is_structured()) return;
    for (const json& child : node) walk(child);
  };
  walk(document);
  EXPECT_GT(refs, 50U);
}

// What OpenAPI asks for and a JSON Schema cannot say.
TEST_F(OpenApiTest, EveryOperationIsComplete) {
  std::set<std::string> ids, tags;
  for (const json& tag : api_.document()["tags"]) tags.insert(tag["name"]);
  for (const OpenApi::Operation& operation : api_.operations()) {
    const json& content = *operation.content;
    const std::string line = operation.method + " " + operation.path;
    EXPECT_TRUE(ids.insert(content.value("operationId", "")).second) << line;
    EXPECT_FALSE(content.value("summary", "").empty()) << line;
    ASSERT_EQ(content.value("tags", json::array()).size(), 1U) << line;
    EXPECT_TRUE(tags.contains(content["tags"][0])) << line;
    const json& responses = content.at("responses");
    EXPECT_TRUE(responses.contains("default")) << line;
    for (const auto& [status, response] : responses.items()) {
      const json* whole = response.contains("$ref") ? api_.find(response["$ref"]) : &response;
      EXPECT_FALSE(whole->value("description", "").empty()) << line << " " << status;
      EXPECT_FALSE(whole->at("content").empty()) << line << " " << status;
      const bool problem = whole->at("content").contains("application/problem+json");
      EXPECT_EQ(problem, status >= "4") << line << " " << status;
    }
  }
}

TEST_F(OpenApiTest, EverySchemaIsOne) {
  std::vector<SchemaCase> cases;
  std::vector<std::string> places;
  const std::function<void(const json&, const std::string&)> walk = [&](const json& node,
                                                                        const std::string& place) {
    if (!node.is_structured()) return;
    for (const auto& [key, child] : node.items()) {
      const std::string below = place + "/" + key;
      if (key == "schema" || place == "/components/schemas") {
        cases.push_back({"schema", child.dump()});
        places.push_back(below);
      } else {
        walk(child, below);
      }
    }
  };
  walk(api_.document(), "");
  EXPECT_GT(cases.size(), 30U);
  cases.push_back({"schema", R"({"type":"objekt"})"});
  const std::vector<std::string> verdicts = judge_by_schema(cases);
  EXPECT_NE(verdicts.back(), "");
  for (size_t i = 0; i < places.size(); ++i) EXPECT_EQ(verdicts[i], "") << places[i];
}

// One good answer of each; how they are judged is in the fixture.
TEST_F(OpenApiTest, EveryRouteAnswersAsItIsDescribed) {
  add_event({1, clock.wall(), "web", "web", "Warning", "BackOff", "again", 42});
  logs.append("web", "hello\n");
  images.end_pulls(runtime::Image{"registry.local/web:1", "sha256:1", 200});
  images.prune_with(runtime::PruneReport{});
  // Those that take a body, and what they are given.
  const std::map<std::string, std::string> bodies = {
      {"POST /v1/workloads/{name}/exec", R"({"argv":["ls"]})"},
      {"POST /v1/images", "archive"},
      {"PUT /v1/desired", "{}"},
      {"POST /v1/plan", "{}"},
      {"POST /v1/images:pull", R"({"image":"registry.local/web:1"})"}};
  for (const OpenApi::Operation& operation : api_.operations()) {
    const std::string line = operation.method + " " + operation.path;
    const auto body = bodies.find(line);
    ASSERT_EQ(body != bodies.end(), operation.content->contains("requestBody")) << line;
    const std::string text = body == bodies.end() ? "" : body->second;
    const Answer answer = ask(std::regex_replace(line, std::regex("\\{name\\}"), "web"),
                              "Content-Length: " + std::to_string(text.size()) + "\r\n", text);
    const json& responses = operation.content->at("responses");
    EXPECT_TRUE(answer.complete) << line;
    EXPECT_LT(answer.status, 300) << line << answer.body;
    EXPECT_TRUE(responses.contains(std::to_string(answer.status))) << line;
  }
}

TEST_F(OpenApiTest, TheJudgeSeesWhatIsWrong) {
  const std::string type = "application/json", problem = "application/problem+json";
  json state = json::parse(to_reported_json(sample_state()));
  const std::string status = state.dump();
  state["workloads"][0]["phase"] = "Dreaming";
  const std::string gone =
      R"({"type":"about:blank","title":"Not Found","status":404,"detail":"x","reason":"NotFound"})";
  EXPECT_EQ(api_.problems({{"GET", "/v1/status", 200, type, status},
                           {"HEAD", "/v1/status", 200, type + "; charset=utf-8", ""},
                           {"GET", "/v1/workloads", 200, type, R"({"workloads":[]})"},
                           {"GET", "/v1/nothing", 404, problem, gone},
                           {"PUT", "/v1/workloads/x", 405, problem, gone},
                           {"GET", "/v1/workloads/x", 404, problem, gone}}),
            std::vector<std::string>{});
  const std::vector<RestAnswered> wrong = {
      {"GET", "/v1/status", 202, type, status},
      {"GET", "/v1/status", 200, "text/plain", status},
      {"GET", "/v1/status", 200, type, "{"},
      {"GET", "/v1/status", 200, type, state.dump()},
      {"GET", "/v1/workloads", 200, type, R"({"workload":[]})"},
      {"GET", "/v1/nothing", 200, type, "{}"},
      {"GET", "/v1/workloads/x", 404, problem, R"({"status":404})"},
      {"GET", "/v1/workloads/x", 404, type, gone},
      {"GET", "/v1/workloads/x", 418, problem, gone},
      {"GET", "/v1/events?follow=true", 200, "application/x-ndjson", "{}\n"}};
  EXPECT_EQ(api_.problems(wrong).size(), wrong.size()) << json(api_.problems(wrong)).dump(1);
}

}  // namespace
}  // namespace wherry::test

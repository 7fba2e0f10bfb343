// Documents over REST: what is handed on, and how a refusal is told.

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class DocumentsTest : public ApiTest {
 protected:
  Answer send(const std::string& line, const std::string& body) {
    return ask(line, "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
  }
};

TEST_F(DocumentsTest, AreHandedOnByteForByte) {
  start();
  Applied applied;
  applied.revision = 7;
  applied.digest = "sha256:1";
  applied.changed = true;
  applied.warnings = {{"spec.items[0]", "so", 3, 4}};
  answer_documents(applied, Planned{{}, kPlan});
  const std::string text = "kind: DesiredState # \xc3\xa4\n";
  const Answer put = send("PUT /v1/desired", text);
  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(json::parse(put.body),
            json::parse(R"({"source":"local","revision":7,"digest":"sha256:1","changed":true,
              "warnings":[{"path":"spec.items[0]","message":"so","line":3,"column":4}]})"));
  EXPECT_EQ(apply_asked().payload, text);
  EXPECT_FALSE(apply_asked().from_network);
  EXPECT_EQ(json::parse(send("POST /v1/plan", text).body)["possible"], true);
  EXPECT_EQ(plan_asked().payload, text);
  EXPECT_EQ(plan_asked().source, "local");
  EXPECT_FALSE(plan_asked().from_network);
  EXPECT_EQ(send("POST /v1/plan?source=groups%2Fg", text).status, 200);
  EXPECT_EQ(plan_asked().source, "groups/g");
  EXPECT_EQ(ask("GET /v1/desired").body, std::string(kMerged) + "\n");
}

TEST_F(DocumentsTest, ARefusalNamesEveryError) {
  start();
  const std::vector<Finding> errors{{"spec.items[0].kind", "unknown kind", 5, 3}, {"", "more"}};
  Applied refused;
  refused.errors = errors;
  answer_documents(refused, Planned{errors, ""});
  for (const char* line : {"PUT /v1/desired", "POST /v1/plan"}) {
    const Answer answer = send(line, "x");
    EXPECT_EQ(answer.status, 422) << line;
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
    const json problem = json::parse(answer.body);
    EXPECT_EQ(problem["title"], "Unprocessable Content");
    EXPECT_EQ(problem["reason"], "InvalidDocument");
    EXPECT_THAT(problem.value("detail", ""), HasSubstr("spec.items[0].kind: unknown kind (and 1"));
    EXPECT_EQ(problem["errors"], json::parse(R"([{"path":"spec.items[0].kind","message":
      "unknown kind","line":5,"column":3},{"path":"","message":"more"}])"));
  }
  answer_documents(fail(Code::ResourceExhausted, "the disk is full"),
                   fail(Code::Unavailable, "not known yet"));
  EXPECT_EQ(send("PUT /v1/desired", "x").status, 507);
  EXPECT_EQ(send("POST /v1/plan", "x").status, 503);
}

TEST_F(DocumentsTest, OneThatIsTooLargeIsNotReadToItsEnd) {
  start();
  EXPECT_EQ(send("PUT /v1/desired", std::string(3 << 20, ' ')).status, 413);
  EXPECT_EQ(send("PUT /v1/desired", std::string((1 << 20) + 1, ' ')).status, 200)
      << "it is for the parser to say so, in its own words";
}

TEST_F(DocumentsTest, NoBodyAndOneAnnouncedTooLargeAreRefusedAtOnce) {
  options.limits.timeouts.body = std::chrono::hours(1);  // nothing waits for it
  start();
  for (const char* line : {"PUT /v1/desired", "POST /v1/plan", "POST /v1/workloads/web/exec",
                           "POST /v1/images:pull"}) {
    EXPECT_EQ(ask(line).status, 411) << line;
    EXPECT_EQ(ask(line, "Content-Length: 0\r\n").status, 411) << line;
    const auto client = RawClient::unix_socket(socket());
    client->send(std::string(line) +
                 " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                 "Content-Length: 9000000000\r\n\r\n");
    EXPECT_EQ(client->answer().status, 413) << line << ": without 100 before it";
  }
}

}  // namespace
}  // namespace wherry::test

// An image fetched while the client watches.
#include <nlohmann/json.hpp>

#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr const char* kBody = R"({"image":"registry.local/web:1"})";

std::string request(const std::string& body) {
  return "POST /v1/images:pull HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

class PullTest : public ApiTest {
 protected:
  void SetUp() override { start(); }
  std::unique_ptr<RawClient> begin(const std::string& body = kBody) const {
    auto client = RawClient::unix_socket(options.socket);
    client->send(request(body));
    return client;
  }
};

TEST_F(PullTest, ProgressComesAsItIsMadeAndTheImageInTheEnd) {
  const auto client = begin();
  images.tell({50, 200, 10});
  ASSERT_TRUE(client->wait_for("doneBytes"));
  EXPECT_EQ(images.pulled(), "registry.local/web:1");
  images.tell({200, 200, 0});
  ASSERT_TRUE(client->wait_for(":100"));
  images.end_pulls(runtime::Image{"registry.local/web:1", "sha256:1", 200});
  const Answer answer = client->answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.header("Content-Type"), "application/x-ndjson");
  const size_t first = answer.body.find('\n');
  EXPECT_EQ(json::parse(answer.body.substr(0, first)).at("progress"),
            (json{{"image", "registry.local/web:1"},
                  {"percent", 25},
                  {"doneBytes", 50},
                  {"totalBytes", 200},
                  {"bytesPerSecond", 10}}));
  const size_t last = answer.body.rfind('\n', answer.body.size() - 2);
  EXPECT_EQ(json::parse(answer.body.substr(last + 1)).at("image").at("digest"), "sha256:1");
  EXPECT_TRUE(wait_until([&] { return images_changed == 1; }));
}

TEST_F(PullTest, ItShowsAmongThoseOfWorkloadsWhileItGoesOn) {
  const auto shown = [this] { return json::parse(ask("GET /v1/images").body).at("pulls"); };
  const auto client = begin();
  ASSERT_TRUE(wait_until([&] { return images.pulling() == 1; }));
  ASSERT_EQ(shown().size(), 1u);
  EXPECT_EQ(shown()[0].at("image"), "registry.local/web:1");
  images.tell({50, 200, 10});
  ASSERT_TRUE(client->wait_for("doneBytes"));
  EXPECT_EQ(shown()[0].at("percent"), 25);
  images.end_pulls(runtime::Image{"registry.local/web:1", "sha256:1", 200});
  EXPECT_TRUE(client->answer().complete);
  EXPECT_TRUE(wait_until([&] { return shown().empty(); }));
}

TEST_F(PullTest, AFailureBeforeAnyProgressIsAProblemLikeOthers) {
  images.end_pulls(fail(Code::NotFound, "the registry does not have it", "ErrImagePull"));
  const Answer answer = begin()->answer();
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(json::parse(answer.body).at("reason"), "ErrImagePull");
  EXPECT_TRUE(wait_until([&] { return images_changed == 1; })) << "what it left goes";
}

TEST_F(PullTest, ALaterFailureIsTheLastLine) {
  const auto client = begin();
  images.tell({1, 2, 0});
  ASSERT_TRUE(client->wait_for("doneBytes"));
  images.end_pulls(fail(Code::ResourceExhausted, "the disk is full", "InsufficientStorage"));
  const Answer answer = client->answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  const size_t last = answer.body.rfind('\n', answer.body.size() - 2);
  const json problem = json::parse(answer.body.substr(last + 1)).at("problem");
  EXPECT_EQ(problem.at("status"), 507);
  EXPECT_EQ(problem.at("detail"), "the disk is full");
}

TEST_F(PullTest, TheClientLeavingCancelsIt) {
  const auto silent = begin();
  ASSERT_TRUE(wait_until([&] { return images.pulling() == 1; }));
  silent->close();
  EXPECT_TRUE(wait_until([&] { return images.cancelled() == 1; }));
  images.tell({1, 2, 0});
  const auto watching = begin();
  ASSERT_TRUE(watching->wait_for("doneBytes"));
  watching->close();
  EXPECT_TRUE(wait_until([&] { return images.cancelled() == 2; }));
  EXPECT_TRUE(wait_until([&] { return images_changed == 2; })) << "what they left goes";
}

TEST_F(PullTest, PullsTakeTheOthersNoPlace) {
  const auto one = begin();
  const auto two = begin();
  ASSERT_TRUE(wait_until([&] { return images.pulling() == 2; }));
  const Answer third = begin()->answer();
  EXPECT_EQ(third.status, 503);
  EXPECT_EQ(third.header("Retry-After"), "10");
  EXPECT_EQ(json::parse(third.body).at("reason"), "TooManyPulls");
  for (int i = 0; i < 30; ++i) EXPECT_EQ(ask("GET /v1/status").status, 200);
  one->close();
  ASSERT_TRUE(wait_until([&] { return images.pulling() == 1; }));
  images.end_pulls(runtime::Image{"a", "sha256:1", 1});
  EXPECT_EQ(two->answer().status, 200);
}

TEST_F(PullTest, TheAgentStopsThoughAPullHangs) {
  const auto client = begin();
  ASSERT_TRUE(wait_until([&] { return images.pulling() == 1; }));
  server->stop();
  EXPECT_EQ(images.pulling(), 0);
  EXPECT_EQ(client->answer().status, 503);
}

TEST_F(PullTest, WhatIsNoRequestForAnImage) {
  for (const char* body :
       {"{}", "[]", "image", R"({"image":""})", R"({"image":7})", R"({"image":"a","more":1})"}) {
    const Answer answer = begin(body)->answer();
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_NE(answer.body.find("image"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(begin(std::string(20'000, ' '))->answer().status, 413);
  EXPECT_EQ(ask("GET /v1/images:pull").status, 405);
  EXPECT_EQ(images.pulled(), "");
}

}  // namespace
}  // namespace wherry::test

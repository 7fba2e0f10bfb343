// The check and the support bundle over HTTP: bounded, broken off, and never half of one unnoticed.

#include <thread>

#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

TEST_F(ApiTest, TheCheckIsAnsweredAsItIs) {
  start();
  const Answer answer = ask("GET /v1/check");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, std::string(kNothingFound) + "\n");
  check_with([](const CancelToken&) -> Result<std::string> {
    return fail(Code::Unavailable, "other checks are under way; try again");
  });
  EXPECT_EQ(ask("GET /v1/check").status, 503);
  EXPECT_EQ(ask("GET /v1/check?now=1").status, 400);
}

TEST_F(ApiTest, MoreThanTwoChecksAtOnceAreToldToWaitAndALeavingClientEndsItsOwn) {
  std::atomic<int> running{0};
  check_with([&](const CancelToken& cancel) -> Result<std::string> {
    ++running;
    while (!cancel.wait_for(std::chrono::hours(1))) {
    }
    --running;
    return fail(Code::Cancelled, "broken off");
  });
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(RawClient::unix_socket(socket()));
    clients.back()->send("GET /v1/check HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  ASSERT_TRUE(wait_until([&] { return running == 2; }));
  const Answer third = ask("GET /v1/check");
  EXPECT_EQ(third.status, 503);
  EXPECT_EQ(third.header("Retry-After"), "10");
  for (auto& client : clients) client->close();
  EXPECT_TRUE(wait_until([&] { return running == 0; }));
}

TEST_F(ApiTest, TheSupportBundleIsStreamedWithLogsOnlyWhereTheyAreAskedFor) {
  start();
  const Answer answer = ask("GET /v1/support-bundle");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/gzip");
  EXPECT_EQ(answer.body, "an archive");
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(ask("GET /v1/support-bundle?logs=true").body, "an archive with logs");
  EXPECT_EQ(ask("GET /v1/support-bundle?logs=false").body, "an archive");
  EXPECT_EQ(ask("GET /v1/support-bundle?logs=all").status, 400);
  EXPECT_EQ(ask("GET /v1/support-bundle?workload=web").status, 400);
}

TEST_F(ApiTest, ABundleThatBreaksOffDoesNotLookWhole) {
  bundle_with([](bool, const auto& sink, const CancelToken&) -> Status {
    sink("the first half");
    return fail(Code::Internal, "the rest is lost");
  });
  start();
  EXPECT_FALSE(ask("GET /v1/support-bundle").complete);
  bundle_with([](bool, const auto&, const CancelToken&) -> Status {
    return fail(Code::Internal, "nothing of it is there");
  });
  EXPECT_EQ(ask("GET /v1/support-bundle").status, 500);
}

}  // namespace
}  // namespace wherry::test

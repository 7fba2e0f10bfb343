// What an ingest holds is read and hashed by the store before it can be continued: with gigabytes
// on a slow card that takes minutes.

#include <future>

#include "tests/support/wait.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string big_ingest() { return "layer-" + sha256_digest(big_blob()); }

TEST_F(Pull, WhatTheStoreReadsFirstIsShownAndACancelEndsTheWait) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  store_.ingests[big_ingest()] = big_blob().substr(0, 100'000);
  store_.reading = [](const std::string&, const CancelToken& cancel) {
    cancel.wait_for(seconds(20));
  };
  std::atomic<int64_t> checking{0}, there{0};
  runtime::PullRequest request{name};
  request.progress = [&](const runtime::PullProgress& now) {
    checking = now.checking_bytes;
    there = now.done_bytes;
  };
  CancelToken cancel;
  auto pulled = std::async(std::launch::async, [&] { return service_->pull(request, cancel); });
  EXPECT_TRUE(test::wait_until([&] { return checking == 100'000; })) << checking;
  EXPECT_GE(there, 100'000);
  cancel.cancel();
  EXPECT_EQ(pulled.wait_for(seconds(4)), std::future_status::ready);
  EXPECT_EQ(pulled.get().error().code(), Code::Cancelled);

  store_.reading = nullptr;
  request.progress = [&](const auto& now) { checking = now.checking_bytes; };
  ASSERT_TRUE(service_->pull(request, {}));
  EXPECT_EQ(checking, 0);
}

// To give its slot to others and to go on later must not cost the reading each time.
TEST_F(Pull, AWriterIsKeptWhileOthersHaveTheirTurn) {
  options_.max_parallel = 1;
  options_.slice = milliseconds(5);
  restart();
  const std::string name = registry_.add(three_layers(), "web", "1");
  const TestImage small = make_image({make_layer("z", "small")});
  const std::string other = registry_.add(small, "other", "1");
  std::promise<void> begun;
  std::atomic<int> asked{0};
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob()) || asked++ > 0) return false;
    response.set_content_provider(
        big_blob().size(), "x", [&](size_t at, size_t length, httplib::DataSink& sink) {
          if (at == 0) begun.set_value();
          std::promise<void> never;
          static_cast<void>(never.get_future().wait_for(milliseconds(1)));
          return sink.write(big_blob().data() + at, std::min<size_t>(1000, length));
        });
    return true;
  });
  std::atomic<int> opened{0};
  store_.fault = [&](const std::string& method, const std::string& what) -> Status {
    if (method == "open_blob" && what == sha256_digest(big_blob())) ++opened;
    return {};
  };
  auto large = std::async(std::launch::async, [&] { return pull(name); });
  begun.get_future().wait();
  const auto quick = pull(other);
  EXPECT_TRUE(quick) << quick.error().full();
  const auto pulled = large.get();
  EXPECT_TRUE(pulled) << pulled.error().full();
  EXPECT_GE(asked, 2) << "it gave its slot away";
  EXPECT_EQ(opened, 1);
}

}  // namespace
}  // namespace wherry::image_test

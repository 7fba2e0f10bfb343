// One layer from several registries: who fetches it, and who takes over.

#include <future>

#include "tests/support/wait.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLong{30};

class Sources : public Pull {
 protected:
  Sources() {
    options_.trial = seconds(1);
    restart();
    options_.timeouts = {seconds(90), seconds(90)};  // it is not that which helps
    service_ = std::make_unique<runtime::ImageService>(store_, options_);
    slow_ = registry_.add(three_layers(), "web", "1");
    fast_ = other_.add(three_layers(), "app", "2");
  }
  ~Sources() override {
    end_.set_value();
    stop_.cancel();
  }

  std::future<Result<Image>> begin(const std::string& name,
                                   std::function<void(const runtime::PullProgress&)> note = {}) {
    return std::async(std::launch::async, [this, name, note] {
      return service_->pull({name, {}, note}, stop_);
    });
  }
  void expect_pulled(std::future<Result<Image>>& pull, const std::string& what) {
    if (pull.wait_for(kLong) != std::future_status::ready) {
      stop_.cancel();
      FAIL() << what << " hangs";
    }
    const auto pulled = pull.get();
    EXPECT_TRUE(pulled) << what << ": " << pulled.error().full();
  }
  // `first` bytes at once and then one now and then, without end.
  void crawl(Response& response, size_t first = 0) const {
    response.set_content_provider(
        big_blob().size(), "application/octet-stream",
        [first, over = over_](size_t offset, size_t, httplib::DataSink& sink) {
          if (offset < first) return sink.write(big_blob().data() + offset, first - offset);
          if (over.wait_for(milliseconds(10)) == std::future_status::ready) return false;
          return sink.write(big_blob().data() + offset, 1);
        });
  }
  static std::vector<std::string> ranges(const ScriptedRegistry& registry) {
    std::vector<std::string> ranges;
    for (const auto& each : registry.seen()) {
      if (each.path.ends_with(sha256_digest(big_blob()))) ranges.push_back(each.range);
    }
    return ranges;
  }
  bool asked(const ScriptedRegistry& registry) {
    return test::wait_until([&] { return !ranges(registry).empty(); });
  }

  ScriptedRegistry other_;
  std::string slow_, fast_;
  CancelToken stop_;
  std::promise<void> end_;
  std::shared_future<void> over_ = end_.get_future().share();
};

TEST_F(Sources, ALayerThatCrawlsIsTakenOverByWhoHasAnotherRegistryAndContinued) {
  registry_.script([this](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    return crawl(response, 1000), true;
  });
  auto slow = begin(slow_);
  ASSERT_TRUE(asked(registry_));
  auto fast = begin(fast_);
  expect_pulled(fast, "the fast one");
  expect_pulled(slow, "the slow one");
  EXPECT_EQ(ranges(registry_).size(), 1u) << "it found it in the store";
  ASSERT_EQ(ranges(other_).size(), 1u);
  EXPECT_THAT(ranges(other_)[0], ::testing::StartsWith("bytes=1"));
}

TEST_F(Sources, ARegistryThatDoesNotAnswerAtAllHoldsUpNobodyElse) {
  registry_.script([over = over_](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    over.wait();
    return refuse(response, 500), true;
  });
  auto slow = begin(slow_);
  ASSERT_TRUE(asked(registry_));
  auto fast = begin(fast_);
  expect_pulled(fast, "the fast one");
  expect_pulled(slow, "the slow one");
  EXPECT_EQ(ranges(other_), std::vector<std::string>{""});
}

TEST_F(Sources, WhoCannotContinueLeavesItToWhoCan) {
  std::atomic<int> crawls{1};
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob()) || crawls-- <= 0) return false;
    return crawl(response, 100'000), true;
  });
  other_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    return send_from_start(response, big_blob()), true;
  });
  auto slow = begin(slow_);
  ASSERT_TRUE(asked(registry_));
  auto fast = begin(fast_);
  expect_pulled(slow, "the slow one");
  expect_pulled(fast, "the fast one");
  ASSERT_EQ(ranges(registry_).size(), 2u);
  EXPECT_THAT(ranges(registry_)[1], ::testing::StartsWith("bytes=1")) << "nothing was thrown away";
  EXPECT_EQ(ranges(other_).size(), 1u);
}

TEST_F(Sources, ALayerOfOneRegistryIsFetchedOnceAndShownToAllWhoWaitForIt) {
  std::promise<void> go;
  registry_.script([go = go.get_future().share()](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    response.set_content_provider(big_blob().size(), "x",
                                  [go](size_t offset, size_t length, httplib::DataSink& sink) {
                                    if (offset == 0) return sink.write(big_blob().data(), 200'000);
                                    go.wait();
                                    return sink.write(big_blob().data() + offset, length);
                                  });
    return true;
  });
  const std::string again = registry_.add(three_layers(), "again", "1");
  auto first = begin(slow_);
  ASSERT_TRUE(asked(registry_));
  std::atomic<int64_t> shown{0};
  auto second = begin(again, [&](const auto& now) { shown = now.done_bytes; });
  EXPECT_TRUE(test::wait_until([&] { return shown >= 200'000; })) << shown;
  go.set_value();
  expect_pulled(first, "the first");
  expect_pulled(second, "the second");
  EXPECT_EQ(ranges(registry_).size(), 1u);
}

// Turn by turn it would begin again each time, and never end.
TEST_F(Sources, WhoeverCannotContinueKeepsItsTurn) {
  options_.max_parallel = 1;
  options_.slice = milliseconds(20);
  for (const bool said : {false, true}) {
    restart();
    registry_.script([&, said](const Request& request, Response& response) {
      if (!wants(request, big_blob())) return false;
      if (said) response.set_header("Accept-Ranges", "none");
      response.status = 200;
      response.set_chunked_content_provider(
          "application/octet-stream", [over = over_](size_t at, httplib::DataSink& sink) {
            if (at >= big_blob().size()) return sink.done(), true;
            if (over.wait_for(milliseconds(5)) == std::future_status::ready) return false;
            return sink.write(big_blob().data() + at,
                              std::min<size_t>(5000, big_blob().size() - at));
          });
      return true;
    });
    // Of an earlier attempt, so that it shows.
    if (!said) store_.ingests["layer-" + sha256_digest(big_blob())] = big_blob().substr(0, 70'000);
    const size_t before = ranges(registry_).size();
    auto slow = begin(slow_);
    ASSERT_TRUE(test::wait_until([&] { return ranges(registry_).size() > before; }));
    const TestImage mine = make_image({make_layer("z", noise(1000, said ? "z" : "y"))});
    auto other = begin(other_.add(mine, "mine", said ? "1" : "2"));
    expect_pulled(slow, "who cannot continue");
    expect_pulled(other, "the other");
    EXPECT_EQ(ranges(registry_).size(), before + 1) << said;
    ASSERT_TRUE(service_->remove(slow_));
    store_.collect();
  }
}

}  // namespace
}  // namespace wherry::image_test

// Pulls where threads are scarce.

#include <filesystem>
#include <fstream>
#include <future>
#include <pthread.h>

#include "tests/support/wait.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

// No thread can be made while it lives: none of this process's address space is large enough.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, size_t{1} << 47);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_{};
};

TEST_F(Pull, WithoutAnyThreadItFailsAndKeepsWhatItHas) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  expect_failure(registry_.host() + "/none:1", Code::NotFound, "404");  // its threads are there now
  {
    const NoThreads scarce;
    expect_failure(name, Code::Unavailable, "the system gives no thread for a download");
  }
  EXPECT_EQ(store_.leases.size(), 1u);
  EXPECT_TRUE(pull(name));
  EXPECT_TRUE(store_.leases.empty());
}

int fetchers() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    count += name == "wherry-fetch" ? 1 : 0;
  }
  return count;
}

TEST_F(Pull, ThreadsOfAllPullsTogetherAreBounded) {
  constexpr int kPulls = 7, kLayers = 16;
  options_.max_parallel = kLayers;
  restart();
  std::vector<TestLayer> layers;
  for (int i = 0; i < kLayers; ++i) layers.push_back(make_layer("a", std::to_string(i)));
  const TestImage image = make_image(layers);
  std::promise<void> over;
  const auto go_on = over.get_future().share();
  store_.fault = [&, go_on](const std::string& method, const std::string& what) -> Status {
    const bool layer = std::any_of(layers.begin(), layers.end(), [&](const TestLayer& each) {
      return sha256_digest(each.blob) == what;
    });
    if (method == "open_blob" && layer) go_on.wait();
    return {};
  };
  std::vector<std::string> names;  // before anybody asks for one
  for (int i = 0; i < kPulls; ++i) {
    names.push_back(registry_.add(image, "web" + std::to_string(i), "1"));
  }
  std::vector<std::future<Result<Image>>> pulls;
  for (int i = 0; i < kPulls; ++i) {
    const std::string name = names[static_cast<size_t>(i)];
    pulls.push_back(std::async(std::launch::async, [this, name] { return pull(name); }));
    // One after the other, so that the last finds none but its own.
    EXPECT_TRUE(test::wait_until([&] { return fetchers() >= std::min(kLayers * (i + 1), 97); }));
  }
  EXPECT_EQ(fetchers(), 97);
  over.set_value();
  for (auto& each : pulls) {
    const auto pulled = each.get();
    EXPECT_TRUE(pulled) << pulled.error().full();
  }
}

}  // namespace
}  // namespace wherry::image_test

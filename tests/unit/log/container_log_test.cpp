#include "runtime/log/container_log.h"

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "tests/support/log_writer.h"

namespace wherry::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Writer = test::LogWriter;

class ContainerLogsTest : public testing::Test {
 protected:
  ContainerLogsTest() {
    char name[] = "/tmp/wherry-logs-XXXXXX";
    dir = mkdtemp(name);
    logs.emplace(LogOptions{dir, "/usr/lib/wherry/wherry-logger", 1 << 20});
    query.pod = "web";
    EXPECT_TRUE(logs->prepare("web"));
  }
  ~ContainerLogsTest() override { static_cast<void>(remove_tree(dir)); }

  std::string path(const std::string& container) const {
    return dir + "/web/" + container + ".log";
  }
  std::string read() {
    std::string text;
    const Status done = logs->read(query,
                                   [&](std::string_view bytes) {
                                     text += bytes;
                                     return true;
                                   },
                                   {});
    EXPECT_TRUE(done) << done.error().full();
    return text;
  }

  std::string dir;
  std::optional<ContainerLogs> logs;
  LogQuery query;
};

TEST_F(ContainerLogsTest, NamesTheLoggerForContainerd) {
  EXPECT_EQ(logs->stdio_uri("web", "main"),
            "binary:///usr/lib/wherry/wherry-logger?file=" + dir + "/web/main.log&max=1048576");
  ContainerLogs odd({"/a b&c", "/x?y/l", 1});
  EXPECT_EQ(odd.stdio_uri("p", "c"), "binary:///x%3Fy/l?file=/a%20b%26c/p/c.log&max=1");
}

TEST_F(ContainerLogsTest, ReadsPlainTextOrWithTimes) {
  Writer(path("main")).say("one\ntwo\n", 0);
  EXPECT_EQ(read(), "one\ntwo\n");
  query.timestamps = true;
  EXPECT_EQ(read(), "2026-09-21T14:13:20.000000000Z one\n2026-09-21T14:13:20.000000000Z two\n");
}

TEST_F(ContainerLogsTest, SaysWhenThereIsNoLog) {
  EXPECT_EQ(logs->read(query, [](auto) { return true; }, {}).error().code(), Code::NotFound);
  query.pod = "nobody";
  EXPECT_EQ(logs->read(query, [](auto) { return true; }, {}).error().code(), Code::NotFound);
  query.follow = true;
  EXPECT_EQ(logs->read(query, [](auto) { return true; }, {}).error().code(), Code::NotFound);
  query.pod = "../web";
  EXPECT_EQ(logs->read(query, [](auto) { return true; }, {}).error().code(), Code::InvalidArgument);
}

TEST_F(ContainerLogsTest, InterleavesContainersByTime) {
  Writer a(path("a"));
  Writer b(path("b"));
  a.say("1\n", 1);
  b.say("2\n", 2);
  a.say("3\n", 3);
  b.say("4\n", 4, true);
  EXPECT_EQ(read(), "1\n2\n3\n4\n");
  query.tail = 2;
  EXPECT_EQ(read(), "3\n4\n");
  query.container = "b";
  EXPECT_EQ(read(), "2\n4\n");
}

TEST_F(ContainerLogsTest, TheEndOfSeveralIsThatOfThemTogether) {
  Writer a(path("a"));
  Writer b(path("b"));
  std::string all;
  for (long i = 0; i < 40; ++i) {
    (i % 4 == 0 ? a : b).say(std::to_string(i) + "\n", i);
    if (i >= 10) all += std::to_string(i) + "\n";
  }
  query.tail = 30;
  EXPECT_EQ(read(), all);
  query.tail = int64_t{1} << 62;
  query.since = WallTime(std::chrono::seconds(1'790'000'010));
  EXPECT_EQ(read(), all);
  query.tail = 2;
  EXPECT_EQ(read(), "38\n39\n");
  query.tail = 0;
  EXPECT_EQ(read(), "");
}

TEST_F(ContainerLogsTest, StartsAtATime) {
  Writer writer(path("main"));
  for (long i = 0; i < 5; ++i) writer.say(std::to_string(i) + "\n", i);
  query.since = WallTime(std::chrono::seconds(1'790'000'003));
  EXPECT_EQ(read(), "3\n4\n");
  query.since += std::chrono::nanoseconds(1);
  EXPECT_EQ(read(), "4\n");
}

TEST_F(ContainerLogsTest, JoinsLinesTheLoggerHadToSplit) {
  const std::string giant(40'000, 'g');
  Writer writer(path("main"));
  writer.say(giant, 0);
  writer.say("between\n", 1, true);
  writer.say(giant + "\nlast\n", 2);
  EXPECT_EQ(read(), "between\n" + giant + giant + "\nlast\n");
}

TEST_F(ContainerLogsTest, ReadsAcrossRotatedFiles) {
  Writer writer(path("main"), 0);
  std::string expected;
  for (int i = 0; i < 1500; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    writer.say(line, i);
    expected += line;
  }
  ASSERT_EQ(access((path("main") + ".2").c_str(), F_OK), 0);
  ASSERT_NE(access((path("main") + ".4").c_str(), F_OK), 0);
  EXPECT_EQ(read(), expected);
}

TEST_F(ContainerLogsTest, TailIsTheEndOfTheWholeForAnyCount) {
  Writer writer(path("main"), 0);
  std::vector<std::string> lines;
  for (int i = 0; i < 1500; ++i) {
    lines.push_back(std::to_string(i) + std::string(static_cast<size_t>(i) % 70, '.') + "\n");
    writer.say(lines.back(), i);
  }
  for (const size_t count : {0UL, 1UL, 2UL, 300UL, 800UL, 1499UL, 1500UL, 5000UL}) {
    std::string expected;
    for (size_t i = count < lines.size() ? lines.size() - count : 0; i < lines.size(); ++i)
      expected += lines[i];
    query.tail = static_cast<int64_t>(count);
    EXPECT_EQ(read(), expected) << count;
  }
}

TEST_F(ContainerLogsTest, SkipsWhatIsNoRecord) {
  std::ofstream(path("main")) << "garbage\n\n" << std::string(100, '\0') << "\nhalf";
  Writer(path("main")).say("good\n", 0);
  EXPECT_EQ(read(), "good\n");
  query.tail = 5;
  EXPECT_EQ(read(), "good\n");
}

TEST_F(ContainerLogsTest, StopsWhenTheSinkHasEnough) {
  Writer writer(path("main"));
  for (int i = 0; i < 5000; ++i) writer.say("0123456789012345678901234567890\n", i);
  int calls = 0;
  EXPECT_TRUE(logs->read(query, [&](std::string_view) { return ++calls < 2; }, {}));
  EXPECT_EQ(calls, 2);
}

TEST_F(ContainerLogsTest, ListsAndRemoves) {
  Writer(path("main")).say("x\n", 0);
  EXPECT_TRUE(logs->prepare("web"));
  EXPECT_THAT(*logs->list(), ElementsAre("web"));
  EXPECT_TRUE(logs->remove("web"));
  EXPECT_TRUE(logs->remove("web"));
  EXPECT_THAT(*logs->list(), IsEmpty());
  EXPECT_FALSE(logs->remove(".."));
  EXPECT_TRUE(ContainerLogs({dir + "/none", "", 0}).list()->empty());
}

TEST_F(ContainerLogsTest, RemovesALogInOneStepAndCleansUpAfterOneThatFailed) {
  failpoints_arm("logs.remove.renamed=error");
  for (int life = 0; life < 2; ++life) {
    EXPECT_TRUE(logs->prepare("web"));
    Writer(path("main")).say("x\n", 0);
    EXPECT_FALSE(logs->remove("web"));
    EXPECT_NE(access((dir + "/web").c_str(), F_OK), 0);
    EXPECT_THAT(*logs->list(), ElementsAre("web"));
  }
  EXPECT_TRUE(logs->prepare("web"));
  EXPECT_THAT(*logs->list(), ElementsAre("web"));
  failpoints_arm("");
  EXPECT_TRUE(logs->remove("web"));
  EXPECT_THAT(*logs->list(), IsEmpty());
}

TEST_F(ContainerLogsTest, StaysWhereWhoIsAskedBeforeItsRemovalSaysSo) {
  std::vector<std::string> prepared;
  Status answer = fail(Code::Cancelled, "the agent is stopping");
  logs.emplace(LogOptions{dir, "", 0,
                          [&](const std::string& pod) {
                            EXPECT_EQ(access((dir + "/" + pod).c_str(), F_OK), 0);
                            prepared.push_back(pod);
                          },
                          [&](const std::string&) { return answer; }});
  EXPECT_TRUE(logs->prepare("web"));
  EXPECT_THAT(prepared, ElementsAre("web"));
  EXPECT_EQ(logs->remove("web").error().code(), Code::Cancelled);
  EXPECT_THAT(*logs->list(), ElementsAre("web"));
  answer = {};
  EXPECT_TRUE(logs->remove("web"));
  EXPECT_THAT(*logs->list(), IsEmpty());
}

// --- following

class Following : public ContainerLogsTest {
 protected:
  ~Following() override {
    cancel.cancel();
    if (thread.joinable()) thread.join();
  }
  void start() {
    query.follow = true;
    thread = std::thread([this] {
      const Status done = logs->read(
          query,
          [this](std::string_view bytes) {
            const std::lock_guard lock(mutex);
            text += bytes;
            changed.notify_all();
            return true;
          },
          cancel);
      const std::lock_guard lock(mutex);
      ended = true;
      changed.notify_all();
      EXPECT_TRUE(done);
    });
  }
  template <typename Condition>
  bool wait_until(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), condition);
  }
  bool sees(const std::string& expected) {
    return wait_until([&] { return text == expected; });
  }

  CancelToken cancel;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable changed;
  std::string text;
  bool ended = false;
};

TEST_F(Following, ShowsWhatComesUntilCancelled) {
  Writer writer(path("main"));
  writer.say("old\n", 0);
  start();
  ASSERT_TRUE(sees("old\n"));
  writer.say("new\n", 1);
  ASSERT_TRUE(sees("old\nnew\n"));
  cancel.cancel();
  EXPECT_TRUE(wait_until([this] { return ended; }));
}

TEST_F(Following, MissesNothingAcrossRotationsAndNewContainers) {
  Writer writer(path("main"), 0);
  writer.say("before\nstart\n", 0);
  query.tail = 1;
  start();
  ASSERT_TRUE(sees("start\n"));
  std::string expected = "start\n";
  for (int i = 0; i < 3000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    writer.say(line, i + 1);
    expected += line;
    // In steps: a file that is rotated away four times between two looks is gone for good.
    if (i % 100 == 99) {
      ASSERT_TRUE(sees(expected)) << i;
    }
  }
  ASSERT_EQ(access((path("main") + ".3").c_str(), F_OK), 0);
  Writer other(path("other"));
  other.say("hello\n", 4000);
  EXPECT_TRUE(sees(expected + "hello\n"));
}

TEST_F(Following, EndsWhenTheLogsAreRemoved) {
  Writer writer(path("main"));
  writer.say("last words\n", 0);
  start();
  ASSERT_TRUE(sees("last words\n"));
  ASSERT_TRUE(logs->remove("web"));
  EXPECT_TRUE(wait_until([this] { return ended; }));
}

}  // namespace
}  // namespace wherry::runtime

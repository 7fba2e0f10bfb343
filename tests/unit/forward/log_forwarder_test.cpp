// The thread that follows logs: Pods that come and go, rotations, what goes up changing.

#include "agent/forward/log_forwarder.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "tests/support/wait.h"
#include "tests/unit/forward/forward_fixture.h"

namespace wherry {
namespace {

using test::LogWriter;
using test::wait_until;
using Messages = std::vector<std::string>;

size_t threads_named(const std::string& wanted) {
  size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name == wanted) ++count;
  }
  return count;
}

class LogForwarderTest : public test::ForwardTest {
 protected:
  LogForwarderTest() { begin(); }
  void begin() {
    forwarder_.reset();
    LogForwarderOptions options;
    options.log_dir = log_dir();
    options.otherwise = otherwise_;
    options.first_wait = std::chrono::milliseconds(1);
    options.longest_wait = std::chrono::milliseconds(5);
    options.try_again = std::chrono::milliseconds(1);
    forwarder_.emplace(options, *telemetry_, clock_);
  }
  void set(const LogForwarder::Modes& modes) { forwarder_->set(modes, true); }
  // What the agent does before a container may say something.
  void prepare(const std::string& pod) {
    ASSERT_TRUE(make_directories(log_dir() + "/" + pod));
    forwarder_->prepared(pod);
  }
  testing::AssertionResult has(const std::string& stream, const Messages& wanted) {
    Messages last;
    if (wait_until([&] { return (last = kept(stream).messages) == wanted; })) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << stream << " has " << nlohmann::json(last);
  }

  LogForward otherwise_ = LogForward::None;
  std::optional<LogForwarder> forwarder_;
};

TEST_F(LogForwarderTest, DoesNothingWhileNobodyAsks) {
  set({{"web", LogForward::None}});
  EXPECT_TRUE(forwarder_->drain("web"));
  EXPECT_EQ(threads_named("logs"), 0U);
  EXPECT_NE(access(log_dir().c_str(), F_OK), 0);
  EXPECT_TRUE(telemetry_->streams().empty());
}

TEST_F(LogForwarderTest, FollowsPodsThatComeAndGo) {
  set({{"web", LogForward::All}, {"db", LogForward::Errors}, {"dark", LogForward::None}});
  {
    LogWriter web(path("web", "main")), side(path("web", "side"));
    LogWriter db(path("db", "db")), dark(path("dark", "dark"));
    web.say("one\n", 1);
    side.say("beside\n", 1);
    db.say("fine\n", 1);
    db.say("broken\n", 2, true);
    dark.say("hidden\n", 1, true);
    EXPECT_TRUE(has("logs/web/main", {"one"}));
    EXPECT_TRUE(has("logs/web/side", {"beside"}));
    EXPECT_TRUE(has("logs/db/db", {"broken"}));
    web.say("two\n", 2);
    EXPECT_TRUE(has("logs/web/main", {"one", "two"}));
    web.say("last words\n", 3);
  }
  EXPECT_TRUE(forwarder_->drain("web"));
  EXPECT_EQ(kept("logs/web/main").messages, (Messages{"one", "two", "last words"}));
  ASSERT_TRUE(remove_tree(log_dir() + "/web"));
  LogWriter again(path("web", "main"));
  again.say("anew\n", 4);
  EXPECT_TRUE(has("logs/web/main", {"one", "two", "last words", "anew"}));
  EXPECT_TRUE(kept("logs/dark/dark").messages.empty());
}

TEST_F(LogForwarderTest, ReadsRotationsAsTheyCome) {
  set({{"web", LogForward::All}});
  LogWriter writer(path("web", "main"), 128 << 10);
  Messages said;
  for (int i = 0; i < 40; ++i) {
    for (int k = 0; k < 100; ++k) {
      said.push_back(std::to_string(i * 100 + k) + std::string(100, 'x'));
      writer.say(said.back() + "\n", i * 20);
    }
    // So that the reader is not overtaken, which would be told, too.
    ASSERT_TRUE(wait_until([&] {
      return !kept("logs/web/main").messages.empty() &&
             kept("logs/web/main").messages.back() == said.back();
    }));
  }
  EXPECT_TRUE(kept("logs/web/main").messages == said);
  EXPECT_EQ(kept("logs/web/main").lost, 0U);
}

TEST_F(LogForwarderTest, WhatGoesUpCanBeChanged) {
  LogWriter writer(path("web", "main"));
  writer.say("one\n", 1);
  set({{"web", LogForward::All}});
  EXPECT_TRUE(has("logs/web/main", {"one"}));
  set({{"web", LogForward::Errors}});
  writer.say("fine\n", 2);
  writer.say("broken\n", 3, true);
  EXPECT_TRUE(has("logs/web/main", {"one", "broken"}));
  set({{"web", LogForward::None}});
  EXPECT_TRUE(wait_until([] { return threads_named("logs") == 0; }));
  writer.say("meanwhile\n", 4);
  set({{"web", LogForward::All}});
  EXPECT_TRUE(has("logs/web/main", {"one", "broken", "meanwhile"})) << "it goes on where it was";
}

TEST_F(LogForwarderTest, AFloodStarvesNobody) {
  set({{"flood", LogForward::All}, {"quiet", LogForward::All}});
  LogWriter flood(path("flood", "main")), quiet(path("quiet", "main"));
  const std::string lines = [] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "flood\n";
    return text;
  }();
  Messages said;
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 20; ++k) flood.say(lines, i);
    said.push_back(std::to_string(i));
    quiet.say(said.back() + "\n", i);
    EXPECT_TRUE(has("logs/quiet/main", said));
  }
  EXPECT_EQ(kept("logs/quiet/main").lost, 0U);
  EXPECT_TRUE(forwarder_->drain("flood"));
  const auto all = kept("logs/flood/main");
  EXPECT_EQ(all.messages.size() + all.lost, 400'000U);
  EXPECT_LT(all.messages.size(), 40'000U);
}

TEST_F(LogForwarderTest, TriesAgainWhereTheQueueFails) {
  failpoints_arm("outbox.append.commit=error");
  set({{"web", LogForward::All}});
  LogWriter writer(path("web", "main"));
  writer.say("one\n", 1);
  failpoints_arm("");
  EXPECT_TRUE(has("logs/web/main", {"one"}));
}

TEST_F(LogForwarderTest, ForgetsStreamsOfWorkloadsThatAreGone) {
  LogWriter(path("web", "main")).say("one\n", 1);
  LogWriter(path("db", "main")).say("two\n", 1);
  set({{"web", LogForward::All}, {"db", LogForward::All}});
  EXPECT_TRUE(has("logs/web/main", {"one"}));
  EXPECT_TRUE(has("logs/db/main", {"two"}));
  ASSERT_TRUE(telemetry_->append("telemetry", {}));
  forwarder_->set({{"db", LogForward::None}}, true);
  EXPECT_TRUE(wait_until([] { return threads_named("logs") == 0; }));
  EXPECT_EQ(telemetry_->streams().size(), 2U) << "what waits to be sent stays";
}

// Lines of before are not sent twice, and those of meanwhile are.
TEST_F(LogForwarderTest, GoesOnAfterARestart) {
  LogWriter writer(path("web", "main"));
  writer.say("one\n", 1);
  set({{"web", LogForward::All}});
  EXPECT_TRUE(has("logs/web/main", {"one"}));
  forwarder_.reset();
  open();
  writer.say("two\n", 2);
  begin();
  set({{"web", LogForward::All}});
  EXPECT_TRUE(has("logs/web/main", {"one", "two"}));
}

// Of a Pod whose document went while the agent was away.
TEST_F(LogForwarderTest, WhatWentUpOfAPodIsKnownInTheNextLife) {
  otherwise_ = LogForward::Errors;
  begin();
  const auto removed_later = [&](const std::string& pod, std::optional<LogForward> changed) {
    if (changed) set({{pod, changed}});
    begin();
    LogWriter writer(path(pod, "main"));
    writer.say("out\n", 1);
    writer.say("err\n", 2, true);
    EXPECT_TRUE(forwarder_->drain(pod));
    return kept("logs/" + pod + "/main").messages;
  };
  set({{"all", LogForward::All}, {"none", LogForward::None}, {"errors", LogForward::Errors}});
  for (const char* pod : {"all", "none", "errors"}) prepare(pod);
  EXPECT_EQ(removed_later("all", {}), (Messages{"out", "err"}));
  EXPECT_EQ(removed_later("none", {}), Messages{});
  EXPECT_EQ(removed_later("errors", {}), Messages{"err"});
  EXPECT_NE(access((log_dir() + "/errors/forward").c_str(), F_OK), 0) << "nothing to note";
  // The newest document counts, whether or not there was a directory when it came.
  set({{"late", LogForward::All}});
  prepare("late");
  EXPECT_EQ(removed_later("late", LogForward::None), Messages{});
  prepare("early");
  EXPECT_EQ(removed_later("early", LogForward::All), (Messages{"out", "err"}));
}

TEST_F(LogForwarderTest, WhatCouldNotBeNotedIsNotedWithTheNextPicture) {
  const std::string note = log_dir() + "/web/forward";
  set({{"web", LogForward::All}});
  ASSERT_TRUE(make_directories(note + "/in the way"));
  forwarder_->prepared("web");
  set({{"web", LogForward::All}, {"db", LogForward::None}});
  ASSERT_TRUE(remove_tree(note));
  set({{"web", LogForward::All}});
  EXPECT_EQ(read_file(note).value_or(""), "all");
}

// A Pod's end waits for its last lines, but no longer than the agent and its queue do.
TEST_F(LogForwarderTest, LogsStayForTheNextLifeWhereTheAgentStops) {
  set({{"web", LogForward::All}, {"dark", LogForward::None}});
  LogWriter(path("web", "main")).say("bye\n", 1);
  failpoints_arm("outbox.append.commit=error");
  EXPECT_TRUE(forwarder_->drain("web")) << "nothing can be kept, and the Pod goes";
  failpoints_arm("");
  forwarder_->stop();
  const Status stopped = forwarder_->drain("web");
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), Code::Cancelled);
  EXPECT_TRUE(forwarder_->drain("dark"));
}

TEST_F(LogForwarderTest, OfAPodThatLeavesGoesUpWhatDidBefore) {
  set({{"web", LogForward::Errors}, {"db", LogForward::All}});
  prepare("web");
  set({{"web", LogForward::All}, {"db", std::nullopt}});
  begin();
  set({{"web", std::nullopt}, {"db", LogForward::None}});
  LogWriter web(path("web", "main"));
  web.say("bye\n", 1);
  EXPECT_TRUE(has("logs/web/main", {"bye"}));
}

}  // namespace
}  // namespace wherry

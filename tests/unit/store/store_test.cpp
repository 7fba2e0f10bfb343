#include "agent/store/store.h"

#include <limits>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

#include "base/digest.h"
#include "base/failpoint.h"
#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(StoreTest, StartsEmptyInADirectoryOfItsOwn) {
  StoreOptions deep = options();
  deep.path = path("a/b/wherry.db");
  const Store::Opened opened = value(Store::open(deep));
  EXPECT_THAT(value(opened.store->documents()), IsEmpty());
  EXPECT_THAT(value(opened.store->history()), IsEmpty());
  EXPECT_THAT(value(opened.store->events(0, 100)), IsEmpty());
  EXPECT_EQ(opened.set_aside, "");
  struct stat info {};
  ASSERT_EQ(stat(path("a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
}

TEST_F(StoreTest, IsReadableByItsOwnerOnly) {
  const mode_t before = umask(0);
  auto store = open();
  umask(before);
  EXPECT_TRUE(store->save_document(document(1), {}));
  for (const char* part : {"", "-wal"}) {
    struct stat info {};
    ASSERT_EQ(stat((path() + part).c_str(), &info), 0) << part;
    EXPECT_EQ(info.st_mode & 07777, 0600u) << part;
  }
}

TEST_F(StoreTest, KeepsTheLastDocumentOfEachSource) {
  const StoredDocument odd{"local", std::numeric_limits<uint64_t>::max(), "",
                           std::string("\0\xff", 2), WallTime(Duration(-1))};
  {
    auto store = open();
    ASSERT_OK(store->save_document(document(1), {}));
    ASSERT_OK(store->save_document(document(2, "newer"), {}));
    ASSERT_OK(store->save_document(document(7, std::string(1 << 20, 'x'), "groups/pumps"), {}));
    ASSERT_OK(store->save_document(odd, {}));
  }
  auto store = open();
  EXPECT_THAT(value(store->documents()),
              ElementsAre(document(2, "newer"),
                          document(7, std::string(1 << 20, 'x'), "groups/pumps"), odd));
  ASSERT_OK(store->leave_document("groups/pumps"));
  ASSERT_OK(store->leave_document("groups/unknown"));
  StoredDocument left = document(7, "", "groups/pumps");
  left.digest = sha256_digest(std::string(1 << 20, 'x'));
  EXPECT_THAT(value(store->documents()), ElementsAre(document(2, "newer"), left, odd));
  ASSERT_OK(store->leave_document("groups/pumps"));
  EXPECT_THAT(value(store->documents()), ElementsAre(document(2, "newer"), left, odd));
}

TEST_F(StoreTest, WhatADocumentReplacesIsKeptUntilItIsForgotten) {
  {
    auto store = open();
    ASSERT_OK(store->save_document(document(1), {}));
    EXPECT_TRUE(value(store->superseded_documents()).empty());
    ASSERT_OK(store->save_document(document(2), {}));
    ASSERT_OK(store->save_document(document(2), {event("again")}));
    ASSERT_OK(store->save_document(document(3), {}));
    ASSERT_OK(store->save_document(document(7, "x", "groups/pumps"), {}));
    ASSERT_OK(store->save_document(document(9, "x", "groups/pumps"), {}));
  }
  auto store = open();
  EXPECT_THAT(value(store->superseded_documents()),
              ElementsAre(document(1), document(2), document(7, "x", "groups/pumps")));
  ASSERT_OK(store->forget_superseded("devices/pump-7", 1));
  ASSERT_OK(store->forget_superseded("devices/pump-7", 1));
  ASSERT_OK(store->leave_document("groups/pumps"));
  EXPECT_THAT(value(store->superseded_documents()), ElementsAre(document(2)));
}

TEST_F(StoreTest, AnEmptyPayloadIsKept) {
  auto store = open();
  ASSERT_OK(store->save_document(document(1, ""), {}));
  EXPECT_THAT(value(store->documents()), ElementsAre(document(1, "")));
}

TEST_F(StoreTest, ADocumentAndItsEventsAreOneTransaction) {
  auto store = open();
  ASSERT_OK(store->save_document(document(1), {event("first")}));
  failpoints_arm("store.save_document.commit=error");
  EXPECT_FALSE(store->save_document(document(2), {event("second"), event("third")}));
  failpoints_arm("");
  EXPECT_THAT(value(store->documents()), ElementsAre(document(1)));
  EXPECT_EQ(value(store->events(0, 10)).size(), 1u);
  ASSERT_OK(store->save_document(document(2), {event("again")}));
  EXPECT_THAT(value(store->documents()), ElementsAre(document(2)));
  const auto events = value(store->events(0, 10));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].number, events[0].number + 1) << "numbers of what was rolled back are free";
}

TEST_F(StoreTest, KeepsHistoryOfContainers) {
  const ContainerHistory full{
      "web", "main", "hash", 7, -1, "OOMKilled", WallTime(Duration(1)), WallTime(Duration(2))};
  ContainerHistory none;
  none.workload = "web";
  none.container = "side";
  {
    auto store = open();
    ASSERT_OK(store->save_history(full));
    ASSERT_OK(store->save_history(none));
    ContainerHistory other = full;
    other.workload = "broker";
    other.last_exit_code = 3;
    ASSERT_OK(store->save_history(other));
    other.last_exit_code = 0;
    other.restarts = 8;
    ASSERT_OK(store->save_history(other));
  }
  auto store = open();
  auto all = value(store->history());
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].workload, "broker");
  EXPECT_EQ(all[0].last_exit_code, 0);
  EXPECT_EQ(all[0].restarts, 8u);
  EXPECT_EQ(all[1].container, "main");
  EXPECT_EQ(all[1].spec_hash, "hash");
  EXPECT_EQ(all[1].restarts, 7u);
  EXPECT_EQ(all[1].last_exit_code, -1);
  EXPECT_EQ(all[1].last_reason, "OOMKilled");
  EXPECT_EQ(all[1].last_started_at, full.last_started_at);
  EXPECT_EQ(all[1].last_finished_at, full.last_finished_at);
  EXPECT_EQ(all[2].last_exit_code, std::nullopt);
  ASSERT_OK(store->remove_history("web"));
  ASSERT_OK(store->remove_history("unknown"));
  all = value(store->history());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].workload, "broker");
}

TEST_F(StoreTest, KeepsWhatRunsUnderOtherReferences) {
  {
    auto store = open();
    EXPECT_TRUE(value(store->same_images()).empty());
    ASSERT_OK(store->save_same_images({"web", "a", "b"}));
    ASSERT_OK(store->save_same_images({"db", "c", "d"}));
    ASSERT_OK(store->save_same_images({"web", "e", "b"}));
  }
  auto store = open();
  EXPECT_EQ(value(store->same_images()),
            (std::vector<SameImages>{{"db", "c", "d"}, {"web", "e", "b"}}));
  ASSERT_OK(store->remove_same_images("web"));
  ASSERT_OK(store->remove_same_images("unknown"));
  EXPECT_EQ(value(store->same_images()), (std::vector<SameImages>{{"db", "c", "d"}}));
}

TEST_F(StoreTest, EventsAreNumberedAndReadFromAPlace) {
  auto store = open();
  EXPECT_EQ(value(store->append_event(event("a"))), 1);
  EXPECT_EQ(value(store->append_event(event("b"))), 2);
  EXPECT_EQ(value(store->append_event(event("c"))), 3);
  const auto two = value(store->events(1, 1));
  ASSERT_EQ(two.size(), 1u);
  EXPECT_EQ(two[0].number, 2);
  EXPECT_EQ(two[0].message, "b");
  EXPECT_EQ(two[0].at, WallTime(std::chrono::seconds(5)));
  EXPECT_EQ(two[0].workload, "web");
  EXPECT_EQ(two[0].container, "main");
  EXPECT_EQ(two[0].type, "Normal");
  EXPECT_EQ(two[0].reason, "Started");
  EXPECT_EQ(two[0].revision, 42u);
  EXPECT_EQ(value(store->events(0, std::numeric_limits<size_t>::max())).size(), 3u);
  EXPECT_THAT(value(store->events(3, 10)), IsEmpty());
  EXPECT_THAT(value(store->events(0, 0)), IsEmpty());
  store.reset();
  EXPECT_EQ(value(open()->append_event(event("d"))), 4) << "a clean end leaves no gap";
}

TEST_F(StoreTest, EventsAreCappedByRows) {
  StoreOptions small = options();
  small.max_event_rows = 100;
  auto store = std::move(value(Store::open(small)).store);
  for (int i = 1; i <= 350; ++i) {
    ASSERT_EQ(value(store->append_event(event(std::to_string(i)))), i);
    const auto kept = value(store->events(0, 1000));
    ASSERT_LE(kept.size(), 100u);
    ASSERT_GE(kept.size(), static_cast<size_t>(std::min(i, 95)));
    ASSERT_EQ(kept.back().number, i) << "the oldest go first";
    ASSERT_EQ(kept.back().number - kept.front().number + 1, static_cast<int64_t>(kept.size()));
  }
  ASSERT_OK(store->save_document(document(1), std::vector<EventRecord>(300, event("many"))));
  EXPECT_LE(value(store->events(0, 1000)).size(), 100u);
  EXPECT_EQ(value(store->events(0, 1000)).back().number, 650);
  small.max_event_rows = 10;
  store.reset();
  store = std::move(value(Store::open(small)).store);
  EXPECT_EQ(value(store->append_event(event("fewer"))), 651);
  EXPECT_EQ(value(store->events(0, 1000)).size(), 10u) << "a smaller cap holds from the next event";
}

TEST_F(StoreTest, OneEventIsAlwaysKept) {
  StoreOptions none = options();
  none.max_event_rows = 0;
  auto store = std::move(value(Store::open(none)).store);
  EXPECT_EQ(value(store->append_event(event("a"))), 1);
  EXPECT_EQ(value(store->append_event(event("b"))), 2);
  EXPECT_EQ(value(store->events(0, 10)).size(), 1u);
}

TEST_F(StoreTest, LongMessagesAreCutBetweenCharacters) {
  auto store = open();
  std::string message(2047, 'a');
  message += "äää";
  ASSERT_TRUE(store->append_event(event(message)));
  EXPECT_EQ(value(store->events(0, 1))[0].message, std::string(2047, 'a') + "…");
}

TEST_F(StoreTest, ASecondAgentIsToldSo) {
  auto store = open();
  const auto second = Store::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::Unavailable);
  EXPECT_THAT(second.error().full(), HasSubstr("another agent"));
  ASSERT_OK(store->save_document(document(1), {}));
}

TEST_F(StoreTest, ABadPlaceIsToldSo) {
  ASSERT_TRUE(make_directories(path()));
  const auto directory = Store::open(options());
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().full(), HasSubstr(path()));
  ASSERT_EQ(rmdir(path().c_str()), 0);
  StoreOptions below = options();
  ASSERT_TRUE(write_file_atomic(path("file"), ""));
  below.path = path("file/wherry.db");
  EXPECT_FALSE(Store::open(below));
}

TEST_F(StoreTest, WhatIsNoFileIsLeftAsItIs) {
  ASSERT_TRUE(make_directories(directory()));
  ASSERT_EQ(symlink("/dev/null", path().c_str()), 0);
  struct stat before {
  }, after{};
  ASSERT_EQ(stat("/dev/null", &before), 0);
  const auto opened = Store::open(options());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Code::FailedPrecondition) << opened.error().full();
  ASSERT_EQ(stat("/dev/null", &after), 0);
  EXPECT_EQ(before.st_mode, after.st_mode);
  EXPECT_NE(access("/dev/null-journal", F_OK), 0);
}

TEST_F(StoreTest, TheStateDirectoryMayBeALink) {
  ASSERT_TRUE(make_directories(path("data")));
  ASSERT_EQ(symlink("data", path("link").c_str()), 0);
  StoreOptions linked = options();
  linked.path = path("link/wherry.db");
  EXPECT_TRUE(Store::open(linked));
}

TEST_F(StoreTest, ManyThreadsMayUseIt) {
  auto store = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 1; i <= 25; ++i) {
        EXPECT_TRUE(store->append_event(event("e")));
        EXPECT_TRUE(store->events(0, 10));
        EXPECT_TRUE(store->save_document(document(i, "p", "groups/" + std::to_string(t)), {}));
        EXPECT_TRUE(store->documents());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(value(store->events(0, 1000)).size(), 100u);
  EXPECT_EQ(value(store->events(0, 1000)).back().number, 100);
  EXPECT_EQ(value(store->documents()).size(), 4u);
}

}  // namespace
}  // namespace wherry

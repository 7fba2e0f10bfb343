// What is written to flash, counted by the kernel (proc(5), /proc/self/io: wchar), and when it is
// synced.
#include <atomic>
#include <fstream>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/store/store_fixture.h"

namespace {
std::atomic<int> syncs{0};
}  // namespace

// Takes the place of the C library's, which SQLite calls to sync.
extern "C" int fdatasync(int fd) {
  ++syncs;
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

namespace wherry {
namespace {

// SQLite writes whole pages; sanitizers write a few bytes into pipes of their own.
constexpr int64_t kNothing = 512;

int64_t bytes_written() {
  std::ifstream io("/proc/self/io");
  std::string name;
  for (int64_t count = 0; io >> name >> count;) {
    if (name == "wchar:") return count;
  }
  ADD_FAILURE() << "no wchar in /proc/self/io";
  return 0;
}

template <typename Work>
int64_t written_by(const Work& work) {
  const int64_t before = bytes_written();
  work();
  return bytes_written() - before;
}

TEST_F(StoreTest, WritesNothingWhenNothingChanged) {
  auto store = open();
  ContainerHistory history{"web", "main", "hash", 1, 0, "Completed", {}, {}};
  ContainerHistory never_ran{"web", "side", "hash", 0, std::nullopt, "", {}, {}};
  ASSERT_OK(store->save_document(document(1), {}));
  ASSERT_OK(store->save_history(history));
  ASSERT_OK(store->save_history(never_ran));
  StoredDocument later = document(1);
  later.accepted_at += std::chrono::hours(1);
  EXPECT_LT(written_by([&] {
              for (int i = 0; i < 10; ++i) {
                EXPECT_TRUE(store->save_document(document(1), {}));
                EXPECT_TRUE(store->save_document(later, {}));
                EXPECT_TRUE(store->save_history(history));
                EXPECT_TRUE(store->save_history(never_ran));
                EXPECT_TRUE(store->leave_document("groups/none"));
                EXPECT_TRUE(store->remove_history("none"));
                EXPECT_TRUE(store->documents() && store->history() && store->events(0, 100));
              }
            }),
            kNothing);
  // The same calls do write once something differs.
  history.last_exit_code = std::nullopt;
  EXPECT_GT(written_by([&] { EXPECT_TRUE(store->save_history(history)); }), kNothing);
  EXPECT_GT(written_by([&] { EXPECT_TRUE(store->save_document(document(1, "other"), {})); }),
            kNothing);
}

TEST_F(StoreTest, OpeningAWholeDatabaseWritesNothing) {
  ASSERT_OK(open()->save_document(document(1), {}));
  EXPECT_LT(written_by([&] { EXPECT_NE(open(), nullptr); }), kNothing);
}

TEST_F(StoreTest, ADocumentCostsAFewPagesMoreThanItself) {
  struct Case {
    size_t payload;
    int64_t most;  // log and database together, on average
  };
  // Whole pages, once in the log; the database itself gets only the last of each page at a
  // checkpoint.
  // The one before is forgotten as soon as nothing runs of it.
  for (const Case& one : {Case{2'000, 44'000}, Case{20'000, 60'000}, Case{200'000, 350'000}}) {
    auto store = open();
    constexpr int kSaves = 100;
    const int64_t written = written_by([&] {
      for (int i = 1; i <= kSaves; ++i) {
        const std::string payload(one.payload, static_cast<char>('a' + i % 26));
        const auto revision = static_cast<uint64_t>(i);
        EXPECT_TRUE(store->save_document(document(revision, payload), {}));
        EXPECT_TRUE(store->forget_superseded(document(revision).source, revision - 1));
      }
      store.reset();
    });
    EXPECT_LE(written / kSaves, one.most) << one.payload;
    RecordProperty("bytes_for_" + std::to_string(one.payload), static_cast<int>(written / kSaves));
  }
}

TEST_F(StoreTest, AnEventCostsAPageOrTwo) {
  auto store = open();
  for (int i = 0; i < 2100; ++i) EXPECT_TRUE(store->append_event(event("the cap is reached")));
  constexpr int kEvents = 1000;
  const int64_t written = written_by([&] {
    for (int i = 0; i < kEvents; ++i) EXPECT_TRUE(store->append_event(event("started")));
  });
  EXPECT_LE(written / kEvents, 6000);
  RecordProperty("bytes_an_event", static_cast<int>(written / kEvents));
}

template <typename Work>
int syncs_of(const Work& work) {
  const int before = syncs;
  work();
  return syncs - before;
}

TEST_F(StoreTest, ADocumentIsSyncedWhenItIsAcknowledgedAndLittleElse) {
  auto store = open();
  ASSERT_OK(store->save_document(document(1), {}));
  EXPECT_EQ(syncs_of([&] { EXPECT_TRUE(store->append_event(event("a"))); }), 0);
  EXPECT_EQ(syncs_of([&] { EXPECT_TRUE(store->save_document(document(2), {event("b")})); }), 1);
  EXPECT_EQ(syncs_of([&] { EXPECT_TRUE(store->save_document(document(2), {})); }), 0);
  EXPECT_EQ(syncs_of([&] { EXPECT_TRUE(store->append_event(event("c"))); }), 0);
  EXPECT_EQ(syncs_of([&] {
              EXPECT_TRUE(store->save_history({"web", "main", "hash", 1, 0, "Completed", {}, {}}));
            }),
            0);
  EXPECT_EQ(syncs_of([&] { EXPECT_TRUE(store->leave_document("devices/pump-7")); }), 1);
}

}  // namespace
}  // namespace wherry

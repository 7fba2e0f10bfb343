// The process dies at any moment: what was acknowledged is there, what was not is there whole or
// not at all.
#include <poll.h>
#include <random>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

std::string payload_of(uint64_t revision) {
  return std::string(revision * 97 % 20'000, static_cast<char>('a' + revision % 26));
}

// Writes documents and events until it is killed; each revision is told once it is acknowledged.
[[noreturn]] void write_until_killed(const StoreOptions& options, uint64_t revision, int pipe) {
  const auto opened = Store::open(options);
  if (!opened) _exit(1);
  while (true) {
    ++revision;
    if (!opened->store->save_document(document(revision, payload_of(revision)),
                                      {event("accepted"), event(std::to_string(revision))}) ||
        !opened->store->append_event(event("between"))) {
      _exit(2);
    }
    if (write(pipe, &revision, sizeof revision) != sizeof revision) _exit(3);
  }
}

class CrashedStore : public StoreTest {
 protected:
  // Kills a writer after `acknowledged` revisions and some work more; returns the last one it told.
  uint64_t crash(uint64_t from, uint64_t acknowledged, unsigned spin) const {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      write_until_killed(options(), from, ends[1]);
    }
    close(ends[1]);
    uint64_t last = from;
    while (last < from + acknowledged && read(ends[0], &last, sizeof last) == sizeof last) {
    }
    for (unsigned i = 0; i < spin; ++i) {
      pollfd wait{ends[0], POLLIN, 0};
      poll(&wait, 1, 0);
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer failed with " << WEXITSTATUS(status);
    while (read(ends[0], &last, sizeof last) == sizeof last) {
    }
    close(ends[0]);
    return last;
  }
};

TEST_F(CrashedStore, KilledAtAnyMomentItKeepsWhatWasAcknowledged) {
  std::mt19937 random(4);
  uint64_t revision = 0;
  int64_t last_number = 0;
  for (int round = 0; round < 60; ++round) {
    const uint64_t acknowledged = crash(revision, random() % 15, random() % 2000);
    auto store = open();
    ASSERT_NE(store, nullptr);
    const auto documents = value(store->documents());
    if (acknowledged == 0 && documents.empty()) continue;
    ASSERT_EQ(documents.size(), 1u);
    // One more may have been committed without having been told yet.
    ASSERT_GE(documents[0].revision, acknowledged);
    ASSERT_LE(documents[0].revision, acknowledged + 1);
    revision = documents[0].revision;
    ASSERT_EQ(documents[0], document(revision, payload_of(revision)));

    const auto events = value(store->events(last_number, 100'000));
    for (const EventRecord& one : events) {
      ASSERT_GT(one.number, last_number);
      last_number = one.number;
    }
    // The document's events are in its transaction.
    const auto told = std::find_if(events.rbegin(), events.rend(), [](const EventRecord& one) {
      return one.message != "between" && one.message != "accepted";
    });
    if (told != events.rend()) {
      ASSERT_EQ(told->message, std::to_string(revision));
    }
  }
  EXPECT_GT(revision, 60u);
}

TEST_F(CrashedStore, NumbersGoOnBeyondWhatAPowerCutMayHaveTaken) {
  const int64_t last = 2 + 3 * static_cast<int64_t>(crash(0, 5, 0));
  auto store = open();
  const int64_t next = value(store->append_event(event("after")));
  EXPECT_GT(next, last + 256);
  store.reset();
  EXPECT_EQ(value(open()->append_event(event("clean"))), next + 1);
}

}  // namespace
}  // namespace wherry

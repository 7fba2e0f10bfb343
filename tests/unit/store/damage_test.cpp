// Damaged files: always a working store, never a wrong document, nothing thrown away unasked.
#include <algorithm>
#include <filesystem>
#include <random>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DamagedStore : public StoreTest {
 protected:
  // A database with several documents, cleanly closed; its bytes.
  std::string make() const {
    auto store = open();
    for (const StoredDocument& one : originals()) EXPECT_TRUE(store->save_document(one, {}));
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(store->append_event(event(std::string(100, 'e'))));
    store.reset();
    return value(read_file(path()));
  }
  static std::vector<StoredDocument> originals() {
    return {document(1, std::string(9000, 'a'), "devices/d"), document(2, "b", "groups/a"),
            document(3, std::string(500, 'c'), "groups/b")};
  }
  static bool is_original(const StoredDocument& document) {
    const auto all = originals();
    return std::find(all.begin(), all.end(), document) != all.end();
  }
  void put(const std::string& bytes, const std::string& name = "wherry.db") const {
    ASSERT_OK(write_file_atomic(path(name), bytes, 0600));
  }
  size_t set_aside_count() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory())) {
      const std::string name = entry.path().filename();
      if (name.find(".corrupt-") != std::string::npos && !name.ends_with("-wal")) ++count;
    }
    return count;
  }
  void clear() const {
    ASSERT_OK(remove_tree(directory()));
    ASSERT_OK(make_directories(directory()));
  }
};

TEST_F(DamagedStore, WhatIsNoDatabaseIsSetAside) {
  ASSERT_TRUE(make_directories(directory()));
  const std::string noise(20'000, '#');
  put(noise);
  const Store::Opened opened = this->opened();
  ASSERT_THAT(opened.set_aside, HasSubstr(path() + ".corrupt-"));
  EXPECT_THAT(opened.damage, HasSubstr("not a database"));
  EXPECT_THAT(opened.salvaged, IsEmpty());
  EXPECT_EQ(value(read_file(opened.set_aside)), noise) << "kept as it was";
  struct stat info {};
  ASSERT_EQ(stat(opened.set_aside.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0077, 0u);
  ASSERT_OK(opened.store->save_document(document(1), {}));
  const auto events = value(opened.store->events(0, 10));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, "DatabaseDamaged");
  EXPECT_THAT(events[0].message, HasSubstr(opened.set_aside));
}

TEST_F(DamagedStore, TheNewOneIsWholeAndWritten) {
  make();
  put(std::string(20'000, '#'));
  ASSERT_OK(opened().store->save_document(document(5), {}));
  EXPECT_THAT(value(open()->documents()), ElementsAre(document(5)));
}

TEST_F(DamagedStore, OnlyTheNewestTwoAreKept) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(make_directories(directory()));
    put(std::string(5000, static_cast<char>('a' + i)));
    const Store::Opened opened = this->opened();
    EXPECT_TRUE(std::filesystem::exists(opened.set_aside));
  }
  EXPECT_EQ(set_aside_count(), 2u);
}

TEST_F(DamagedStore, WholeDocumentsAreSavedFromABrokenOne) {
  std::string bytes = make();
  // A flipped bit in the payload of one document: SQLite's own checks see nothing.
  const size_t at = bytes.find(std::string(400, 'c'));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 200] ^= 1;
  put(bytes);
  const Store::Opened opened = this->opened();
  EXPECT_NE(opened.set_aside, "");
  EXPECT_THAT(opened.damage, HasSubstr("groups/b"));
  EXPECT_THAT(opened.salvaged, ElementsAre("devices/d", "groups/a"));
  EXPECT_THAT(value(opened.store->documents()), ElementsAre(originals()[0], originals()[1]));
  EXPECT_GT(value(opened.store->append_event(event("next"))), 1050)
      << "numbers go on beyond those of the old one";
}

// What is known of a source that was left is not taken for what came after it, nor lost.
TEST_F(DamagedStore, WhatWasLeftIsSavedAsWell) {
  make();
  auto store = open();
  for (const char* source : {"groups/a", "devices/d"}) ASSERT_OK(store->leave_document(source));
  ASSERT_OK(store->save_document(originals()[1], {}));  // the same again
  store.reset();
  std::string bytes = value(read_file(path()));
  const size_t at = bytes.find(std::string(400, 'c'));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 200] ^= 1;
  put(bytes);
  const auto documents = value(opened().store->documents());
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].revision, 1u);
  EXPECT_EQ(documents[0].payload, "");
  EXPECT_EQ(documents[1], originals()[1]);
}

TEST_F(DamagedStore, AnEmptyFileBesideItsLogIsNotTakenForANewOne) {
  auto store = open();
  ASSERT_OK(store->save_document(document(1), {}));
  const std::string log = value(read_file(path() + "-wal"));
  store.reset();
  put("");
  put(log, "wherry.db-wal");
  const Store::Opened opened = this->opened();
  ASSERT_NE(opened.set_aside, "");
  EXPECT_TRUE(value(read_file(opened.set_aside + "-wal")) == log) << "the log moves with it";
  ASSERT_OK(opened.store->save_document(document(2), {}));
}

TEST_F(DamagedStore, ARepairThatWasCutOffIsFinished) {
  ASSERT_OK(open()->save_document(document(1), {}));
  // Between the last two steps the new database is complete but not in its place.
  std::filesystem::rename(path(), path() + ".new");
  EXPECT_THAT(value(open()->documents()), ElementsAre(document(1)));
  // Before that the damaged one is still there, and a half-written new one does not count.
  put("half-written", "wherry.db.new");
  put(std::string(5000, '#'));
  EXPECT_NE(opened().set_aside, "");
  EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(DamagedStore, TruncatedAtAnyPlaceItOpens) {
  const std::string whole = make();
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    clear();
    const size_t size = round == 0 ? whole.size() : random() % whole.size();
    put(whole.substr(0, size));
    const Store::Opened opened = this->opened();
    ASSERT_NE(opened.store, nullptr) << "cut to " << size;
    const auto documents = value(opened.store->documents());
    for (const StoredDocument& one : documents) EXPECT_TRUE(is_original(one)) << one.source;
    if (opened.set_aside.empty() && size > 0) {
      EXPECT_EQ(documents.size(), originals().size()) << "cut to " << size;
    }
    EXPECT_TRUE(opened.store->save_document(document(9), {})) << "cut to " << size;
  }
}

TEST_F(DamagedStore, WithAnyByteFlippedItOpensOrSaysWhy) {
  const std::string whole = make();
  std::mt19937 random(2);
  size_t damaged = 0;
  for (size_t round = 0; round < 300; ++round) {
    clear();
    std::string bytes = whole;
    // Every byte of the header once, then anywhere.
    const size_t at = round < 100 ? round : random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random() % 255));
    put(bytes);
    auto result = Store::open(options());
    // Header: 60 is the schema's version, 68 whose file it is (SQLite file format, 1.3).
    const bool identity = (at >= 60 && at < 64) || (at >= 68 && at < 72);
    if (!result && identity && result.error().code() == Code::FailedPrecondition) continue;
    ASSERT_TRUE(result) << "byte " << at << ": " << result.error().full();
    const auto documents = value(result->store->documents());
    for (const StoredDocument& one : documents) ASSERT_TRUE(is_original(one)) << "byte " << at;
    if (result->set_aside.empty()) {
      ASSERT_EQ(documents.size(), originals().size()) << "byte " << at;
    } else {
      ++damaged;
      ASSERT_EQ(documents.size(), result->salvaged.size());
    }
    ASSERT_TRUE(result->store->save_document(document(9), {})) << "byte " << at;
  }
  EXPECT_GT(damaged, 50u) << "the test does not damage anything";
}

TEST_F(DamagedStore, ATornLogGivesAnEarlierDocumentNeverAWrongOne) {
  auto store = open();
  constexpr uint64_t kLast = 20;
  for (uint64_t i = 1; i <= kLast; ++i) {
    ASSERT_OK(store->save_document(document(i, std::string(1000 * i, 'p')), {event("saved")}));
  }
  const std::string database = value(read_file(path()));
  const std::string log = value(read_file(path() + "-wal"));
  store.reset();
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    clear();
    put(database);
    std::string torn = log.substr(0, random() % (log.size() + 1));
    if (round % 2 == 1 && !torn.empty()) torn[random() % torn.size()] ^= 0x10;
    put(torn, "wherry.db-wal");
    const Store::Opened opened = this->opened();
    ASSERT_NE(opened.store, nullptr);
    EXPECT_EQ(opened.set_aside, "") << opened.damage;
    for (const StoredDocument& one : value(opened.store->documents())) {
      EXPECT_EQ(one, document(one.revision, std::string(1000 * one.revision, 'p')));
      EXPECT_LE(one.revision, kLast);
    }
  }
  clear();
  put(database);
  put(log, "wherry.db-wal");
  EXPECT_EQ(value(open()->documents())[0].revision, kLast);
}

}  // namespace
}  // namespace wherry

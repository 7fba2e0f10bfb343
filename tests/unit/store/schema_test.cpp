// Migrations: frozen once released, together the schema, done whole or not at all.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "base/digest.h"
#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

using ::testing::HasSubstr;

const std::string kSql = std::string(WHERRY_SOURCE_DIR) + "/agent/store/sql/";

// Devices in the field have run these: to change the schema, add a file.
const std::map<std::string, std::string> kReleased = {
    {"001_initial.sql", "781583940cb3774f70d404e5e7e2564a049a0399cc1ca03c1dcbcfdfdd4f495c"},
    {"002_image_use.sql", "0a3b18960bfe156e1a6d6a0d5bd8bfcf5437971aef13b93b965108d7bbdb75ae"},
    {"003_jobs.sql", "60538ea548b7194f807b0e3c8edb06a36b2ef0490ec1bfd6433f3224660e7cd3"},
    {"004_commands.sql", "812ade3c8c3581c0ee182f26b0f91df8206225c89c9d4e45c710c1ed826b612a"},
    {"005_one_command_a_request.sql",
     "21513ddb9b2d5be8779c1f0494a20309830f2d5eab3263e50ffaf8fba1a91252"},
    {"006_superseded_documents.sql",
     "3694146b3995c65537699e0e68a2126e8a251603871c336f26395df44c1ecc2b"},
    {"007_same_images.sql", "57fc497b0e8fb8834daf27e1489ac43a2f876440b55a94d0dbec916ba3705358"},
};

class Raw {
 public:
  explicit Raw(const std::string& path) { EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), 0); }
  ~Raw() { sqlite3_close(handle_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  void execute(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle_);
  }
  // The first column of every row.
  std::vector<std::string> column(const std::string& sql) {
    std::vector<std::string> values;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      values.emplace_back(text == nullptr ? "" : text);
    }
    sqlite3_finalize(statement);
    return values;
  }

 private:
  sqlite3* handle_ = nullptr;
};

// Comments and white space left out: what SQLite keeps is the text as it was written.
std::vector<std::string> schema_of(Raw& database) {
  std::vector<std::string> schema;
  for (const std::string& sql :
       database.column("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")) {
    std::string plain;
    for (const std::string& line : split(sql, '\n')) plain += line.substr(0, line.find("--"));
    std::erase_if(plain, [](char c) { return c == ' ' || c == '\n'; });
    schema.push_back(plain);
  }
  return schema;
}

TEST_F(StoreTest, ReleasedMigrationsAreFrozen) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(kSql + "migrations")) {
    const std::string name = entry.path().filename();
    found.insert(name);
    const auto released = kReleased.find(name);
    ASSERT_NE(released, kReleased.end()) << name << " is new: pin its digest when it is released";
    EXPECT_EQ(sha256_hex(value(read_file(entry.path()))), released->second) << name << " changed";
  }
  EXPECT_EQ(found.size(), kReleased.size()) << "a released migration is missing";
}

TEST_F(StoreTest, MigrationsTogetherGiveTheSchema) {
  open();
  Raw migrated(path());
  Raw described(path("described.db"));
  described.execute(value(read_file(kSql + "schema.sql")));
  EXPECT_FALSE(schema_of(described).empty());
  EXPECT_EQ(schema_of(migrated), schema_of(described));
  EXPECT_THAT(migrated.column("PRAGMA user_version"),
              ::testing::ElementsAre(std::to_string(kReleased.size())));
}

// What is in the field comes along: of commands that came on two topics, the one that came first.
TEST_F(StoreTest, CommandsOfAnEarlierSchemaAreKept) {
  ASSERT_TRUE(make_directories(directory()));
  {
    Raw old(path());
    for (const char* name : {"001_initial", "002_image_use", "003_jobs", "004_commands"}) {
      old.execute(value(read_file(kSql + "migrations/" + name + ".sql")));
    }
    old.execute("PRAGMA user_version = 4; PRAGMA application_id = 0x57687279");
    old.execute(
        "INSERT INTO commands VALUES (3, 'groups/a', 'r', 7, 't', x'00', 'one', 0), "
        "(4, 'groups/b', 'r', 8, '', x'', 'two', 0), (5, 'groups/b', 's', 9, '', x'', '', 1)");
  }
  auto store = open();
  const auto first = value(store->find_command("r"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->number, 3);
  EXPECT_EQ(first->source, "groups/a");
  EXPECT_EQ(first->asked_on, "groups/a");
  EXPECT_EQ(first->answer, "one");
  EXPECT_EQ(first->correlation, std::string(1, '\0'));
  EXPECT_EQ(value(store->find_command("s"))->number, 5);
  EXPECT_GT(value(store->take_command({0, "devices/d", "t", {}, "", "", "", "", false})), 5);
}

TEST_F(StoreTest, ADatabaseOfANewerVersionIsRefusedNotReplaced) {
  ASSERT_OK(open()->save_document(document(1), {}));
  Raw(path()).execute("PRAGMA user_version = 999");
  const auto refused = Store::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::FailedPrecondition);
  EXPECT_THAT(refused.error().full(), HasSubstr("newer version"));
  Raw(path()).execute("PRAGMA user_version = " + std::to_string(kReleased.size()));
  EXPECT_EQ(value(open()->documents()).size(), 1u) << "nothing was changed";
}

TEST_F(StoreTest, ADatabaseOfAnotherProgramIsRefusedNotReplaced) {
  ASSERT_TRUE(make_directories(directory()));
  Raw(path()).execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  const auto refused = Store::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::FailedPrecondition);
  EXPECT_THAT(refused.error().full(), HasSubstr("another program"));
  EXPECT_EQ(Raw(path()).column("SELECT x FROM theirs").size(), 1u);
}

TEST_F(StoreTest, AHalfMadeDatabaseIsCompleted) {
  ASSERT_TRUE(make_directories(directory()));
  ASSERT_TRUE(write_file_atomic(path(), ""));  // a crash right after it was created
  ASSERT_OK(open()->save_document(document(1), {}));
  EXPECT_EQ(value(open()->documents()).size(), 1u);
}

TEST_F(StoreTest, ConnectionIsSetUpAsDecided) {
  auto store = open();
  ASSERT_OK(store->save_document(document(1), {}));
  EXPECT_TRUE(std::filesystem::exists(path() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(path() + "-shm")) << "held exclusively: no shared memory";
  store.reset();
  EXPECT_FALSE(std::filesystem::exists(path() + "-wal")) << "a clean end leaves one file";
  EXPECT_THAT(Raw(path()).column("PRAGMA journal_mode"), ::testing::ElementsAre("wal"));
}

}  // namespace
}  // namespace wherry

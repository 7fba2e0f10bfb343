// Commands and orders: synced before they count, capped, and still there afterwards.

#include <gmock/gmock.h>

#include "base/failpoint.h"
#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

CommandRecord command(const std::string& request, const std::string& source = "devices/d") {
  CommandRecord record;
  record.source = source;
  record.request = request;
  record.received_at = WallTime(std::chrono::seconds(1'790'000'000));
  record.response_topic = "answers/x";
  record.correlation = std::string("\0\xff", 2);
  return record;
}

std::vector<std::string> requests(const std::vector<CommandRecord>& commands) {
  std::vector<std::string> names;
  for (const CommandRecord& each : commands) names.push_back(each.request);
  return names;
}

TEST_F(StoreTest, CommandsComeBackAsTheyWereTaken) {
  CommandRecord taken = command("r");
  taken.number = value(open()->take_command(taken));
  taken.asked_on = taken.source;
  auto store = open();
  EXPECT_EQ(value(store->find_command("r")), taken);
  EXPECT_FALSE(value(store->find_command("s")));
  for (const char* source : {"devices/d", "groups/g"}) {
    const auto twice = store->take_command(command("r", source));
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code(), Code::AlreadyExists);
  }
  EXPECT_GT(value(store->take_command(command("s"))), taken.number);
  ASSERT_OK(store->answer_command(taken.number, "answer"));
  taken.answer = "answer";
  taken.asked_on = "groups/g";
  taken.response_topic = "";
  taken.correlation = "c";
  ASSERT_OK(store->readdress_command(taken));
  store = nullptr;
  store = open();
  EXPECT_EQ(value(store->find_command("r")), taken);
  ASSERT_OK(store->interrupt_commands("cut", 9));
  EXPECT_THAT(requests(value(store->open_commands(9))), ::testing::ElementsAre("r", "s"));
  EXPECT_EQ(value(store->find_command("r"))->answer, "answer");
  EXPECT_EQ(value(store->find_command("s"))->answer, "cut");
  ASSERT_OK(store->deliver_command(taken.number));
  EXPECT_THAT(requests(value(store->open_commands(9))), ::testing::ElementsAre("s"));
}

TEST_F(StoreTest, OlderAnswersThanAreSentAgainCountAsDelivered) {
  auto store = open();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(store->take_command(command(name)));
  EXPECT_THAT(requests(value(store->open_commands(2))), ::testing::ElementsAre("b", "c"));
  ASSERT_OK(store->interrupt_commands("cut", 2));
  EXPECT_EQ(value(store->find_command("a"))->answer, "cut");
  EXPECT_THAT(requests(value(store->open_commands(9))), ::testing::ElementsAre("b", "c"));
}

TEST_F(StoreTest, OnlyCommandsWithAnAnswerGoToKeepTheCap) {
  StoreOptions small = options();
  small.max_command_rows = 3;
  auto store = std::move(value(Store::open(small)).store);
  ASSERT_TRUE(store->take_command(command("open")));
  for (const char* name : {"a", "b", "c", "d"}) {
    ASSERT_OK(store->answer_command(value(store->take_command(command(name))), "x"));
  }
  EXPECT_THAT(requests(value(store->open_commands(9))), ::testing::ElementsAre("open", "c", "d"));
}

TEST_F(StoreTest, ACommandIsTakenWholeOrNotAtAll) {
  auto store = open();
  failpoints_arm("store.take_command.commit=error");
  EXPECT_FALSE(store->take_command(command("r")));
  failpoints_arm("");
  EXPECT_FALSE(value(store->find_command("r")));
}

TEST_F(StoreTest, OneOrderAWorkloadIsKept) {
  auto store = open();
  const OrderRecord stop{"web", "stop", "by hand", WallTime(std::chrono::seconds(1))};
  const OrderRecord restart{"web", "restart", "over MQTT", WallTime(std::chrono::seconds(2))};
  ASSERT_OK(store->save_order(stop));
  ASSERT_OK(store->save_order(restart));
  store = nullptr;
  store = open();
  EXPECT_THAT(value(store->orders()), ::testing::ElementsAre(restart));
  ASSERT_OK(store->remove_order("web"));
  EXPECT_TRUE(value(store->orders()).empty());
}

}  // namespace
}  // namespace wherry

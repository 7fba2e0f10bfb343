// configs/asyncapi.yaml, docs/topics.md and the code name the same topics.

#include "tests/support/asyncapi.h"

#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "agent/fleet/payloads.h"
#include "agent/fleet/topics.h"
#include "base/files.h"

namespace wherry {
namespace {

using test::AsyncApi;

// Its address below {root}, direction and whether it is retained, in one line.
std::string line_of(const std::string& topic, bool from_device, bool retained) {
  return topic + (from_device ? " from" : " to") + (retained ? " retained" : "");
}

TEST(AsyncApiDocument, HasTheTopicsOfTheDocumentation) {
  std::set<std::string> in_document, in_docs;
  const AsyncApi document;
  for (const AsyncApi::Channel& channel : document.channels()) {
    std::string topic = channel.address.substr(std::string("{root}/").size());
    topic = std::regex_replace(topic, std::regex("\\{([a-z]+)\\}"), "<$1>");
    in_document.insert(line_of(topic, channel.from_device, channel.retained));
    EXPECT_EQ(channel.qos, 1) << channel.name;
  }
  const auto text = read_file(std::string(WHERRY_SOURCE_DIR) + "/docs/topics.md");
  ASSERT_TRUE(text);
  std::istringstream lines(*text);
  const std::regex row(R"(^\| `([^`]+)` \| (to|from)[^|]* \| (yes|no)[^|]* \| .*$)");
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_match(line, found, row)) continue;
    in_docs.insert(line_of(found[1], found[2] == "from", found[3] == "yes"));
  }
  EXPECT_EQ(in_document, in_docs);
  EXPECT_GE(in_docs.size(), 11U);
}

TEST(AsyncApiDocument, HasTheTopicsOfTheCode) {
  const AsyncApi document;
  const Topics topics("a/b", "pump-7", {"hall"});
  std::set<std::string> seen;
  const auto name = [&](const std::string& topic) {
    const AsyncApi::Channel* channel = document.channel_of(topic, "a/b");
    seen.insert(channel == nullptr ? "none" : channel->name);
    return channel == nullptr ? std::string() : channel->name;
  };
  EXPECT_EQ(name(topics.presence()), "presence");
  EXPECT_EQ(name(topics.reported()), "reported");
  EXPECT_EQ(name(topics.response("r-1")), "responses");
  EXPECT_EQ(name(topics.below("events")), "events");
  EXPECT_EQ(name(topics.below("telemetry")), "telemetry");
  EXPECT_EQ(name(topics.below("logs/web/nginx")), "logs");
  EXPECT_EQ(name(topics.below("data/web/temps")), "data");
  for (std::string filter : topics.subscriptions()) {
    const size_t plus = filter.find('+');
    if (plus != std::string::npos) filter.replace(plus, 1, "r-1");
    EXPECT_NE(name(filter), "") << filter;
    ASSERT_TRUE(topics.parse(filter)) << filter;
  }
  EXPECT_EQ(seen.size(), document.channels().size());
  EXPECT_EQ(document.channel_of("a/b/devices/pump-7/logs/web", "a/b"), nullptr);
  EXPECT_EQ(document.channel_of("a/b/c/devices/pump-7/events", "a/b"), nullptr);
}

TEST(AsyncApiDocument, PresenceIsAsItsSchemaSays) {
  const std::string schema = "presence.schema.json";
  const WallTime now(std::chrono::seconds(1'790'000'000));
  const auto verdicts = test::judge_by_schema({{schema, presence_payload(true, now, "b")},
                                               {schema, presence_payload(false, now, "b")},
                                               {schema, R"({"state":"away","at":"x","boot":"b"})"},
                                               {schema, R"({"state":"online","boot":"b"})"}});
  EXPECT_EQ(verdicts[0], "");
  EXPECT_EQ(verdicts[1], "");
  EXPECT_NE(verdicts[2], "");
  EXPECT_NE(verdicts[3], "");
}

}  // namespace
}  // namespace wherry

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/spec/oci_spec.h"

namespace wherry::runtime {
namespace {

using testing::ElementsAre;

TEST(ImageConfigTest, ReadsWhatAContainerTakesOver) {
  const auto config = parse_image_config(
      R"({"os":"linux","config":{"Entrypoint":["/ep"],"Cmd":["a","b"],"Env":["A=1"],
          "User":"app","WorkingDir":"/srv","StopSignal":"SIGQUIT","Labels":{"x":"y"}}})");
  ASSERT_TRUE(config);
  EXPECT_THAT(config->entrypoint, ElementsAre("/ep"));
  EXPECT_THAT(config->cmd, ElementsAre("a", "b"));
  EXPECT_THAT(config->env, ElementsAre("A=1"));
  EXPECT_EQ(config->user, "app");
  EXPECT_EQ(config->working_dir, "/srv");
  EXPECT_EQ(config->stop_signal, "SIGQUIT");
}

TEST(ImageConfigTest, MissingAndNullMembersAreEmpty) {
  for (const char* text : {R"({})", R"({"config":null})", R"({"config":{}})",
                           R"({"config":{"Entrypoint":null,"Env":null,"User":null}})"}) {
    const auto config = parse_image_config(text);
    ASSERT_TRUE(config) << text;
    EXPECT_TRUE(config->entrypoint.empty() && config->env.empty() && config->user.empty());
  }
}

TEST(ImageConfigTest, RefusesWhatIsNoConfig) {
  for (const char* text : {"", "[]", "{", "42", R"({"config":[]})", R"({"config":{"Cmd":"sh"}})",
                           R"({"config":{"Env":[1]}})", R"({"config":{"User":7}})"}) {
    const auto config = parse_image_config(text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code(), Code::InvalidArgument);
  }
}

TEST(HostFactsTest, DescribesThisMachine) {
  const HostFacts facts = detect_host();
  EXPECT_FALSE(facts.hostname.empty());
  EXPECT_EQ(facts.can_raise_rlimits, (facts.capabilities >> 24 & 1) != 0);
}

}  // namespace
}  // namespace wherry::runtime

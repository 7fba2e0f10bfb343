// What is known to be secret is struck out, in every form it may stand in.

#include "agent/manifest/scrubber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "tests/support/temp_dir.h"

namespace wherry {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Scrubber, StrikesOutASecretAsItStandsInJsonAndInBase64) {
  Scrubber scrubber;
  const std::string secret = "p\"a\\ss\tw0rd";
  scrubber.add(secret + "\n");
  const std::string text = "plain " + secret + " json " + nlohmann::json(secret).dump() +
                           " base64 " + base64_encode(secret) + " and " +
                           base64_encode(secret + "\n") + " end";
  const std::string scrubbed = scrubber.scrub(text);
  EXPECT_EQ(scrubbed, "plain (left out) json \"(left out)\" base64 (left out) and (left out) end");
}

TEST(Scrubber, LeavesWordsThatAreTooShortAlone) {
  Scrubber scrubber;
  scrubber.add("true");
  scrubber.add("");
  EXPECT_EQ(scrubber.scrub("it is true"), "it is true");
}

TEST(Scrubber, EachLineOfALongOneCounts) {
  Scrubber scrubber;
  scrubber.add("-----BEGIN KEY-----\nQUJDREVGR0hJSktMTU5P\nWFlaWFlaWFlaWFla\n-----END KEY-----\n");
  EXPECT_EQ(scrubber.scrub("x QUJDREVGR0hJSktMTU5P y WFlaWFlaWFlaWFla"),
            "x (left out) y (left out)");
}

TEST(Scrubber, ALongerSecretGoesBeforeAShorterOneInIt) {
  Scrubber scrubber;
  scrubber.add("secret");
  scrubber.add("secret-and-more");
  EXPECT_EQ(scrubber.scrub("secret-and-more secret"), "(left out) (left out)");
}

TEST(Scrubber, KnowsWhatGrantsInDockersConfiguration) {
  test::TempDir dir;
  const std::string auth = base64_encode("robot:t0p-s3cret");
  test::write_text(dir / "config.json", R"({"auths":{"registry.local":{"auth":")" + auth +
                                            R"(","identitytoken":"id-token-1"}}})");
  Scrubber scrubber;
  scrubber.add_file(dir / "config.json");
  scrubber.add_file(dir / "missing");
  const std::string text =
      scrubber.scrub("registry.local " + auth + " t0p-s3cret id-token-1 robot:t0p-s3cret");
  EXPECT_THAT(text, HasSubstr("registry.local"));
  for (const std::string& secret : {auth, std::string("t0p-s3cret"), std::string("id-token-1")}) {
    EXPECT_THAT(text, Not(HasSubstr(secret)));
  }
}

}  // namespace
}  // namespace wherry

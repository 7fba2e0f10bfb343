#include "agent/manifest/without_secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(SecretValues, AreDecodedHoweverTheirBase64IsFolded) {
  EXPECT_THAT(secret_values("kind: Secret\nmetadata: {name: s}\n"
                            "stringData: {a: plain}\n"
                            "data: {b: \"aHVu\\tdGVy\\r\\n Mg==\", c: aHVudGVyMw}\n"),
              ElementsAre("aHVu\tdGVy\r\n Mg==", "hunter2", "aHVudGVyMw", "hunter3", "plain"));
}

TEST(SecretValues, AreFoundInDocumentsAndAreInNoneThatIsShown) {
  const std::string document = R"({"revision": 1, "workloads": [], "configs": [
      {"kind": "Secret", "metadata": {"name": "s", "annotations": {"a": "seen"}},
       "stringData": {"key": "hidden"}}, {"kind": "ConfigMap", "data": {"key": "shown"}}]})";
  EXPECT_THAT(secret_values(document), ElementsAre("hidden"));
  const std::string shown = without_secrets(document);
  EXPECT_THAT(shown, HasSubstr("\"key\":\"(left out)\""));
  EXPECT_THAT(shown, HasSubstr("shown"));
  EXPECT_THAT(shown, Not(HasSubstr("hidden")));
}

TEST(SecretValues, OfWhatIsNoDocumentThereAreNone) {
  EXPECT_THAT(secret_values("{"), ElementsAre());
  EXPECT_EQ(without_secrets("{"), "");
}

}  // namespace
}  // namespace wherry

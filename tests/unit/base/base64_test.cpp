#include "base/base64.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

TEST(Base64, GoesThereAndBack) {
  for (const std::string text : {"", "a", "ab", "abc", "user:pass\xff"}) {
    EXPECT_EQ(base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_decode("dTpw"), "u:p");
  EXPECT_EQ(base64_decode("dQ"), "u") << "padding may be missing";
  for (const char* text : {"d", "d*pw", "dT=pw", "dTpwd===QUJD", "dTpw-", "dTpw----", "dT\npw"}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

}  // namespace
}  // namespace wherry

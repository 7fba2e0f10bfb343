#include "base/openssl.h"

#include <new>
#include <string_view>

#include <gtest/gtest.h>

namespace wherry {
namespace {

// Short enough to stay inside the string object.
TEST(SecretText, LeavesNothingBehind) {
  constexpr std::string_view kPin = "48291384";
  alignas(SecretText) char place[sizeof(SecretText)] = {};
  // A string that is emptied loses no more than its first byte.
  const auto holds_pin = [&kPin](const void* where, size_t size) {
    return std::string_view(static_cast<const char*>(where), size).find(kPin.substr(1)) !=
           std::string_view::npos;
  };
  std::string pin(kPin);
  auto* const secret = new (place) SecretText(std::move(pin));
  EXPECT_EQ(secret->text(), kPin);
  EXPECT_FALSE(holds_pin(&pin, sizeof pin)) << "where it was moved from";
  {
    const SecretText moved(std::move(*secret));
    EXPECT_EQ(moved.text(), kPin);
    EXPECT_FALSE(holds_pin(place, sizeof place));
  }
  secret->~SecretText();

  auto* const other = new (place) SecretText(std::string(kPin));
  EXPECT_TRUE(holds_pin(place, sizeof place));
  other->~SecretText();
  EXPECT_FALSE(holds_pin(place, sizeof place));
}

}  // namespace
}  // namespace wherry

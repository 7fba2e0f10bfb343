#include "base/digest.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

// NIST FIPS 180-4 example vectors.
constexpr std::string_view kOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, MatchesTheStandardsVectors) {
  EXPECT_EQ(sha256_hex(""), kOfNothing);
  EXPECT_EQ(sha256_hex("abc"), kOfAbc);
  EXPECT_EQ(sha256_digest("abc"), "sha256:" + std::string(kOfAbc));
}

TEST(Sha256, IsTheSameInPieces) {
  Sha256 hash;
  hash.update("a");
  hash.update("");
  Sha256 moved = std::move(hash);
  moved.update("bc");
  EXPECT_EQ(moved.finish_hex(), kOfAbc);
}

TEST(Sha256, DigestNotationIsStrict) {
  const std::string good = sha256_digest("abc");
  EXPECT_TRUE(is_sha256_digest(good));
  std::string upper = good;
  upper[10] = 'A';
  EXPECT_FALSE(is_sha256_digest(upper));
  EXPECT_FALSE(is_sha256_digest(good + "0"));
  EXPECT_FALSE(is_sha256_digest(good.substr(0, 70)));
  EXPECT_FALSE(is_sha256_digest("sha512:" + good.substr(7)));
  EXPECT_FALSE(is_sha256_digest(""));
}

}  // namespace
}  // namespace wherry

#include "base/text.h"

#include <array>
#include <set>

#include <gtest/gtest.h>

namespace wherry {
namespace {

using Words = std::vector<std::string>;

TEST(Split, KeepsEmptyPartsButNotOfNothing) {
  EXPECT_EQ(split("", ','), Words{});
  EXPECT_EQ(split("a", ','), Words{"a"});
  EXPECT_EQ(split("a,,b,", ','), (Words{"a", "", "b", ""}));
  EXPECT_EQ(split(",", ','), (Words{"", ""}));
}

TEST(Join, IsTheReverse) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "", "b"}, ","), "a,,b");
}

TEST(Printable, MakesAnythingFitForAMessage) {
  EXPECT_EQ(printable("as it is: ä"), "as it is: ä");
  EXPECT_EQ(printable("a\nb\x1b[2J\x7f"), "a?b?[2J?");
  EXPECT_EQ(printable("a\xff\xc3"), "a??");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("aää", 4), "aä…") << "never in the middle of a character";
  EXPECT_EQ(printable(std::string(300, 'x')).size(), 200 + std::string("…").size());
  EXPECT_EQ(printable(""), "");
}

TEST(Trim, TakesWhiteSpaceFromBothEndsOnly) {
  EXPECT_EQ(trim("  a b\t\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Nearest, FindsTyposOfAnyKind) {
  constexpr std::array<std::string_view, 6> kKnown{"image", "imagePullPolicy", "ports",
                                                   "id",    "topic_prefix",    "keepalive"};
  EXPECT_EQ(nearest("imgae", kKnown), "image");
  EXPECT_EQ(nearest("iamge", kKnown), "image");
  EXPECT_EQ(nearest("port", kKnown), "ports");
  EXPECT_EQ(nearest("IMAGE", kKnown), "image");
  EXPECT_EQ(nearest("imagepullpolcy", kKnown), "imagePullPolicy");
  EXPECT_EQ(nearest("topicPrefix", kKnown), "topic_prefix");
  EXPECT_EQ(nearest("keep_alive", kKnown), "keepalive");
  EXPECT_EQ(nearest("ids", kKnown), "id");
  EXPECT_EQ(nearest("ip", kKnown), "id");
}

TEST(Nearest, SuggestsNothingThatIsFarOff) {
  constexpr std::array<std::string_view, 2> kKnown{"id", "image"};
  EXPECT_EQ(nearest("zz", kKnown), "") << "every letter would have to change";
  EXPECT_EQ(nearest("x", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest("replicas", kKnown), "");
  EXPECT_EQ(nearest(std::string(10'000, 'i'), kKnown), "");
  EXPECT_EQ(nearest("id", {}), "");
}

TEST(Utf8, AcceptsWellFormedText) {
  for (const std::string_view text : {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2",
                                      "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
}

TEST(Utf8, RefusesOverlongSurrogatesAndCutSequences) {
  for (const std::string_view text :
       {"\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\xaf", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\xaf", "\xf0\x9f\x9a", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
}

TEST(RandomHex, HasTheLengthAskedForAndDiffers) {
  EXPECT_EQ(random_hex(0), "");
  EXPECT_EQ(random_hex(7).size(), 7u);
  EXPECT_EQ(random_hex(600).size(), 600u);
  EXPECT_EQ(random_hex(64).find_first_not_of("0123456789abcdef"), std::string::npos);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_hex(16));
  EXPECT_EQ(seen.size(), 100u);
}

TEST(RandomUuid, IsVersionFour) {
  std::set<char> variants;
  for (int i = 0; i < 500; ++i) {
    const std::string uuid = random_uuid();
    ASSERT_EQ(uuid.size(), 36u);
    EXPECT_EQ(uuid[8], '-');
    EXPECT_EQ(uuid[13], '-');
    EXPECT_EQ(uuid[14], '4');
    EXPECT_EQ(uuid[18], '-');
    EXPECT_EQ(uuid[23], '-');
    variants.insert(uuid[19]);
  }
  EXPECT_EQ(variants, (std::set<char>{'8', '9', 'a', 'b'}));
}

TEST(UrlWithoutSecrets, HasNeitherUserNorQuery) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"host", "host"},
      {"http://host:1/path", "http://host:1/path"},
      {"http://u:p@host/path", "http://...@host/path"},
      {"u:p@host", "...@host"},
      {"http://u:p@q/r@host/path?s#t", "http://...@host/path?..."},
      {"http://host?q", "http://host?..."},
      {"http://host#f", "http://host?..."},
      // Nobody can tell where the password ends.
      {"http://u:p?q@host", "http://?..."},
      {"u:p://q@host", "...@host"}};
  for (const auto& [text, shown] : cases) EXPECT_EQ(url_without_secrets(text), shown) << text;
}

TEST(ReplaceAll, EveryPartAndNothingOfWhatWasPutIn) {
  std::string text = "a-b-a";
  replace_all(text, "a", "aa");
  EXPECT_EQ(text, "aa-b-aa");
  replace_all(text, "no", "x");
  EXPECT_EQ(text, "aa-b-aa");
}

}  // namespace
}  // namespace wherry

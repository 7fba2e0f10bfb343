#include "base/quantity.h"

#include <filesystem>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/fuzz/quantity_invariants.h"

namespace wherry {
namespace {

struct QuantityCase {
  std::string_view text;
  int64_t value;
};

TEST(Quantity, ReadsWholeUnits) {
  constexpr QuantityCase kCases[] = {{"0", 0},
                                     {"2", 2},
                                     {"+2", 2},
                                     {"64Mi", 67'108'864},
                                     {"1.5G", 1'500'000'000},
                                     {"1k", 1000},
                                     {"1Ki", 1024},
                                     {"2e3", 2000},
                                     {"2E3", 2000},
                                     {"1E", 1'000'000'000'000'000'000},
                                     {"7Ei", 8'070'450'532'247'928'832},
                                     {"1.", 1},
                                     {".5Ki", 512},
                                     {"2000m", 2},
                                     {"1m", 1},
                                     {"1n", 1},
                                     {"1500m", 2},
                                     {"1e-18", 1},
                                     {"0.000000000000000001", 1},
                                     {"000000000000000000000000000000064Mi", 67'108'864},
                                     {"9223372036854775807", std::numeric_limits<int64_t>::max()}};
  for (const QuantityCase& one : kCases) {
    const Result<int64_t> parsed = parse_quantity(one.text);
    ASSERT_TRUE(parsed) << one.text << ": " << parsed.error().full();
    EXPECT_EQ(*parsed, one.value) << one.text;
  }
}

TEST(Quantity, ReadsThousandthsRoundedUp) {
  constexpr QuantityCase kCases[] = {{"500m", 500}, {"0.5", 500},     {"2", 2000},
                                     {"1u", 1},     {"1.0001", 1001}, {"0.1", 100}};
  for (const QuantityCase& one : kCases) {
    ASSERT_TRUE(parse_quantity_milli(one.text)) << one.text;
    EXPECT_EQ(*parse_quantity_milli(one.text), one.value) << one.text;
  }
}

TEST(Quantity, AnyTextKeepsTheInvariants) {
  static constexpr std::string_view kLetters = "0123456789.+-eEnumkKMGTPi \n\xc3\xa9";
  std::mt19937 random(20261127);
  size_t seeds = 0, good = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(WHERRY_SOURCE_DIR "/tests/fuzz/quantity_corpus")) {
    const std::string text = read_file(entry.path()).value();
    ++seeds;
    EXPECT_EQ(broken_quantity(text), "") << entry.path();
    for (int round = 0; round < 500; ++round) {
      std::string changed = text;
      for (int i = 0; i < 1 + round % 3; ++i) {
        changed.insert(random() % (changed.size() + 1), 1, kLetters[random() % kLetters.size()]);
        if (random() % 2 == 0) changed.erase(random() % changed.size(), 1);
      }
      ASSERT_EQ(broken_quantity(changed), "") << changed;
      good += parse_quantity(changed) ? 1 : 0;
    }
  }
  EXPECT_GE(seeds, 15U);
  EXPECT_GE(good, 500U) << "the changes are too wild";
  const std::string wide = std::string(63, '1') + "\xc3\xa9";
  EXPECT_EQ(broken_quantity(wide), "") << "cut in the middle of a character";
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const std::string_view text : {"",
                                      "-1",
                                      "abc",
                                      "Mi",
                                      ".",
                                      "1.2.3",
                                      "1 Mi",
                                      " 1",
                                      "1mi",
                                      "1MI",
                                      "1K",
                                      "1e",
                                      "1e-",
                                      "1e19",
                                      "1e100",
                                      "1ee",
                                      "1KiB",
                                      "1Xi",
                                      "0x10",
                                      "9223372036854775808",
                                      "8Ei",
                                      "10E",
                                      "99999999999999999999999999999999999999999"}) {
    EXPECT_FALSE(parse_quantity(text)) << text;
  }
  EXPECT_FALSE(parse_quantity_milli("9223372036854775807"));
}

TEST(Quantity, ManyFractionDigitsAreRefusedNotWrapped) {
  for (const size_t zeros : {18, 37, 38, 39, 64, 128, 100'000}) {
    const Result<int64_t> parsed = parse_quantity("0." + std::string(zeros, '0') + "1");
    ASSERT_FALSE(parsed) << zeros;
    EXPECT_LT(parsed.error().message().size(), 200u);
  }
}

TEST(FormatBytes, ExactFormIsReadBack) {
  EXPECT_EQ(format_bytes_exact(67'108'864), "64Mi");
  EXPECT_EQ(format_bytes_exact(1000), "1000");
  EXPECT_EQ(format_bytes_exact(0), "0");
  for (const int64_t value : {int64_t{1}, int64_t{1} << 40, int64_t{1} << 62}) {
    EXPECT_EQ(*parse_quantity(format_bytes_exact(value)), value);
  }
}

TEST(FormatBytes, IsShortForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(67'000'000), "63.9 MiB");
  EXPECT_EQ(format_bytes(int64_t{5} << 40), "5.0 TiB");
}

}  // namespace
}  // namespace wherry

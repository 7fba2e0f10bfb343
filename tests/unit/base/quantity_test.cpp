#include "base/quantity.h"

#include <limits>

#include <gtest/gtest.h>

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

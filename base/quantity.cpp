#include "base/quantity.h"

#include <array>
#include <cstdio>

#include "base/text.h"

namespace wherry {
namespace {

__extension__ using Wide = unsigned __int128;

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(Code::InvalidArgument,
              "\"" + printable(text, 64) + "\" is not a quantity: " + std::string(why));
}

struct Scale {
  Wide multiply = 1;
  Wide divide = 1;
};

constexpr Wide power(Wide base, int exponent) {
  Wide value = 1;
  for (int i = 0; i < exponent; ++i) value *= base;
  return value;
}

// The suffix as a fraction; false where it is none of Kubernetes' suffixes.
bool scale_of(std::string_view suffix, Scale& scale) {
  constexpr std::string_view kDecimal = "kMGTPE";
  constexpr std::string_view kBinary = "KMGTPE";
  if (suffix.empty()) return true;
  if (suffix == "n") return scale.divide = power(10, 9), true;
  if (suffix == "u") return scale.divide = power(10, 6), true;
  if (suffix == "m") return scale.divide = power(10, 3), true;
  if (suffix.size() == 2 && suffix[1] == 'i') {
    const size_t index = kBinary.find(suffix[0]);
    if (index == std::string_view::npos) return false;
    return scale.multiply = power(1024, static_cast<int>(index) + 1), true;
  }
  if (suffix.size() == 1) {
    const size_t index = kDecimal.find(suffix[0]);
    if (index == std::string_view::npos) return false;
    return scale.multiply = power(1000, static_cast<int>(index) + 1), true;
  }
  if ((suffix[0] != 'e' && suffix[0] != 'E') || suffix.size() > 4) return false;
  const bool negative = suffix[1] == '-';
  const size_t start = negative || suffix[1] == '+' ? 2 : 1;
  int exponent = 0;
  if (start >= suffix.size()) return false;
  for (size_t i = start; i < suffix.size(); ++i) {
    if (suffix[i] < '0' || suffix[i] > '9') return false;
    exponent = exponent * 10 + (suffix[i] - '0');
  }
  if (exponent > 18) return false;
  (negative ? scale.divide : scale.multiply) = power(10, exponent);
  return true;
}

Result<int64_t> parse_scaled(std::string_view text, int64_t unit) {
  if (text.empty()) return bad(text, "it is empty");
  if (text[0] == '-') return bad(text, "it must not be negative");
  size_t at = text[0] == '+' ? 1 : 0;
  Wide mantissa = 0;
  int fraction_digits = 0;
  bool any = false;
  bool fraction = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    any = true;
    if (mantissa > power(10, 18)) return bad(text, "it has too many digits");
    mantissa = mantissa * 10 + static_cast<Wide>(c - '0');
    if (fraction && ++fraction_digits > 18) return bad(text, "it has too many digits");
  }
  if (!any) return bad(text, "it has no number; write for example 500m, 64Mi or 2");
  Scale scale;
  if (!scale_of(text.substr(at), scale)) {
    return bad(text, "its suffix is none of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent");
  }
  Wide divide = scale.divide;
  for (int i = 0; i < fraction_digits; ++i) divide *= 10;
  const Wide limit = power(2, 63) - 1;
  Wide value = mantissa * static_cast<Wide>(unit);
  if (value != 0 && scale.multiply > (~static_cast<Wide>(0)) / value)
    return bad(text, "it is too large");
  value = value * scale.multiply;
  value = value / divide + (value % divide == 0 ? 0 : 1);
  if (value > limit) return bad(text, "it is too large");
  return static_cast<int64_t>(value);
}

}  // namespace

Result<int64_t> parse_quantity_milli(std::string_view text) { return parse_scaled(text, 1000); }
Result<int64_t> parse_quantity(std::string_view text) { return parse_scaled(text, 1); }

std::string format_bytes_exact(int64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"", "Ki", "Mi", "Gi", "Ti"};
  size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) bytes /= 1024, ++unit;
  return std::to_string(bytes) + std::string(kUnits[unit]);
}

std::string format_bytes(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

}  // namespace wherry

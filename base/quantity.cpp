#include "base/quantity.h"

#include <array>
#include <cstdio>
#include <limits>

#include "base/text.h"

namespace wherry {
namespace {

constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int kMostDigits = 18;  // after the point, and of a power of ten that is counted in

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(Code::InvalidArgument,
              "\"" + printable(text, 64) + "\" is not a quantity: " + std::string(why));
}

// Times 10^tens times 2^doublings; not both, and only tens are negative.
struct Scale {
  int tens = 0;
  int doublings = 0;
};

// whole + rest / parts, in 64 bits: 32-bit machines have no wider numbers.
class Fraction {
 public:
  // number / 10^places
  Fraction(uint64_t number, int places) : whole_(number) {
    for (; places > kMostDigits; --places) {
      crumbs_ = crumbs_ || whole_ % 10 != 0;
      whole_ /= 10;
    }
    for (; places > 0; --places) parts_ *= 10;
    rest_ = whole_ % parts_;
    whole_ /= parts_;
  }

  // By factor (at most 10), count times. False where that passes kMost.
  bool multiply(uint64_t factor, int count) {
    for (; count > 0; --count) {
      rest_ *= factor;
      if (whole_ > (kMost - rest_ / parts_) / factor) return false;
      whole_ = whole_ * factor + rest_ / parts_;
      rest_ %= parts_;
    }
    return true;
  }

  [[nodiscard]] uint64_t rounded_up() const { return whole_ + (rest_ != 0 || crumbs_ ? 1 : 0); }

 private:
  uint64_t whole_;
  uint64_t rest_ = 0;
  uint64_t parts_ = 1;
  bool crumbs_ = false;  // less than a part
};

// The suffix; false where it is none of Kubernetes' suffixes.
bool scale_of(std::string_view suffix, Scale& scale) {
  constexpr std::string_view kDecimal = "kMGTPE";
  constexpr std::string_view kBinary = "KMGTPE";
  if (suffix.empty()) return true;
  if (suffix == "n") return scale.tens = -9, true;
  if (suffix == "u") return scale.tens = -6, true;
  if (suffix == "m") return scale.tens = -3, true;
  if (suffix.size() == 2 && suffix[1] == 'i') {
    const size_t index = kBinary.find(suffix[0]);
    if (index == std::string_view::npos) return false;
    return scale.doublings = 10 * (static_cast<int>(index) + 1), true;
  }
  if (suffix.size() == 1) {
    const size_t index = kDecimal.find(suffix[0]);
    if (index == std::string_view::npos) return false;
    return scale.tens = 3 * (static_cast<int>(index) + 1), true;
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
  scale.tens = negative ? -exponent : exponent;
  return true;
}

// In units of 10^-places.
Result<int64_t> parse_scaled(std::string_view text, int places) {
  if (text.empty()) return bad(text, "it is empty");
  if (text[0] == '-') return bad(text, "it must not be negative");
  size_t at = text[0] == '+' ? 1 : 0;
  uint64_t mantissa = 0;
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
    if (mantissa > 1'000'000'000'000'000'000) return bad(text, "it has too many digits");
    mantissa = mantissa * 10 + static_cast<uint64_t>(c - '0');
    if (fraction && ++fraction_digits > kMostDigits) return bad(text, "it has too many digits");
  }
  if (!any) return bad(text, "it has no number; write for example 500m, 64Mi or 2");
  Scale scale;
  if (!scale_of(text.substr(at), scale)) {
    return bad(text, "its suffix is none of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent");
  }
  const int tens = scale.tens + places - fraction_digits;
  Fraction value(mantissa, -tens);
  if (!value.multiply(2, scale.doublings) || !value.multiply(10, tens) ||
      value.rounded_up() > kMost) {
    return bad(text, "it is too large");
  }
  return static_cast<int64_t>(value.rounded_up());
}

}  // namespace

Result<int64_t> parse_quantity_milli(std::string_view text) { return parse_scaled(text, 3); }
Result<int64_t> parse_quantity(std::string_view text) { return parse_scaled(text, 0); }

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

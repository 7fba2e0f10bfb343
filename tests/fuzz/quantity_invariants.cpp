#include "tests/fuzz/quantity_invariants.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "base/quantity.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr size_t kLongestMessage = 400;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

// Roughly what it is, by the C library and a table of our own.
long double about(const std::string& text) {
  static const std::map<std::string, long double> kSuffixes = {
      {"n", 1e-9L},    {"u", 1e-6L},    {"m", 1e-3L},    {"", 1},
      {"k", 1e3L},     {"M", 1e6L},     {"G", 1e9L},     {"T", 1e12L},
      {"P", 1e15L},    {"E", 1e18L},    {"Ki", 0x1p10L}, {"Mi", 0x1p20L},
      {"Gi", 0x1p30L}, {"Ti", 0x1p40L}, {"Pi", 0x1p50L}, {"Ei", 0x1p60L}};
  const size_t end = std::min(text.find_first_not_of("+.0123456789"), text.size());
  const long double number = std::strtold(text.substr(0, end).c_str(), nullptr);
  const auto suffix = kSuffixes.find(text.substr(end));
  if (suffix != kSuffixes.end()) return number * suffix->second;
  return std::strtold(text.c_str(), nullptr);  // with an exponent
}

bool is_near(int64_t value, long double wanted) {
  return std::fabs(static_cast<long double>(value) - wanted) <= 1 + wanted * 1e-9L;
}

std::string broken_error(const Error& error) {
  const std::string& message = error.message();
  if (error.code() != Code::InvalidArgument) return "an error of another sort: " + message;
  if (message.empty() || message.size() > kLongestMessage) return "no short message: " + message;
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
  const bool one_line = std::none_of(message.begin(), message.end(), control);
  return one_line && is_valid_utf8(message) ? "" : "no line of UTF-8: " + message;
}

}  // namespace

std::string broken_quantity(std::string_view text) {
  const Result<int64_t> whole = parse_quantity(text);
  const Result<int64_t> milli = parse_quantity_milli(text);
  if (!whole) {
    if (milli) return "thousandths of what is no quantity";
    return broken_error(whole.error());
  }
  if (*whole < 0) return "less than nothing";
  const std::string copy(text);
  if (!is_near(*whole, about(copy))) {
    return copy + " is not about " + std::to_string(*whole);
  }
  const Result<int64_t> again = parse_quantity(format_bytes_exact(*whole));
  if (!again || *again != *whole) return "another number when written: " + std::to_string(*whole);
  if (!milli) {
    const std::string broken = broken_error(milli.error());
    if (!broken.empty()) return broken;
    return *whole > kMost / 1000 ? "" : "too large in thousandths: " + std::to_string(*whole);
  }
  if (!is_near(*milli, about(copy) * 1000)) return "thousandths: " + std::to_string(*milli);
  const int64_t rounded = *milli / 1000 + (*milli % 1000 == 0 ? 0 : 1);
  return rounded == *whole ? "" : "thousandths say " + std::to_string(rounded);
}

}  // namespace wherry

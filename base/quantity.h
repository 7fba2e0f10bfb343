#pragma once
// Kubernetes resource quantities: "500m", "64Mi", "1.5G", "2e3". (Kubernetes API,
// resource.Quantity)

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry {

// Exact value in thousandths, rounded up; refuses negatives, bad syntax and what exceeds 2^63-1.
Result<int64_t> parse_quantity_milli(std::string_view text);
// Exact value in whole units, rounded up.
Result<int64_t> parse_quantity(std::string_view text);
// A whole number in the largest exact binary unit: 67108864 -> "64Mi", 1000 -> "1000".
std::string format_bytes_exact(int64_t bytes);
// For people: "63.9 MiB".
std::string format_bytes(int64_t bytes);

}  // namespace wherry

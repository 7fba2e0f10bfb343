#pragma once
// The one place where a test may let time pass: until something is so, or a deadline.

#include <chrono>
#include <functional>

namespace wherry::test {

using Millis = std::chrono::milliseconds;

// Generous on purpose: a deadline only decides how long a broken test takes to fail.
inline constexpr Millis kPatience{60'000};

// Asks again and again, at first every millisecond, later every 20. True as soon as `condition` is.
[[nodiscard]] bool wait_until(const std::function<bool()>& condition, Millis timeout = kPatience);

}  // namespace wherry::test

#include "tests/support/wait.h"

#include <algorithm>
#include <thread>

namespace wherry::test {

bool wait_until(const std::function<bool()>& condition, Millis timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  Millis pause{1};
  while (true) {
    if (condition()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, Millis{20});
  }
}

}  // namespace wherry::test

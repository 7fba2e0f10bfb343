#pragma once
// Named places where a test can make the process die, stop or fail. Unarmed (always, outside tests)
// a failpoint costs one relaxed load.
//
// Armed through WHERRY_FAILPOINTS, read once by failpoints_from_environment():
//   name=kill          SIGKILL this process the first time the point is reached
//   name=kill@3        … the third time
//   name=error         the step fails with Code::Internal, every time; error@2: the second time
//   name=pause         the step waits until the file in WHERRY_FAILPOINT_RESUME exists
// Several are separated by commas. Every name that is ever reached is appended, once, to the file
// in WHERRY_FAILPOINT_LOG, so that a test can learn all steps before it breaks each.

#include <string_view>

#include "base/result.h"

namespace wherry {

void failpoints_from_environment();
// For tests in the same process: the same syntax as the environment; "" disarms all.
void failpoints_arm(std::string_view spec);

Status failpoint(std::string_view name);

}  // namespace wherry

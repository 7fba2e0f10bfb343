#pragma once
// Pulling a 200 MB image of 8 layers: beside ctr, over a link that breaks, and under a limit.

namespace wherry::bench {

void image_pulls();

}  // namespace wherry::bench

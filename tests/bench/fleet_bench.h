#pragma once
// A fleet of simulated devices on one broker.

namespace wherry::bench {

void fleet();

}  // namespace wherry::bench

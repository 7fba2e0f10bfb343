#pragma once
// The dashboard: how much it is, and how soon it shows the device.

namespace wherry::bench {

void dashboard();

}  // namespace wherry::bench

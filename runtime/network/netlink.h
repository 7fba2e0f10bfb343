#pragma once
// Questions to the kernel by netlink(7), and its answers.

#include <functional>
#include <string_view>

#include "base/fd.h"

struct nlmsghdr;

namespace wherry::runtime {

// One message, with its header. Returns 0 or an errno, as does netlink_receive().
int netlink_send(const Fd& netlink, std::string_view message);
// Reads answers until the last one and calls `each` for every other: of a dump until its end, of a
// request with NLM_F_ACK until the kernel's own errno.
int netlink_receive(const Fd& netlink, const std::function<void(const nlmsghdr*)>& each);

}  // namespace wherry::runtime

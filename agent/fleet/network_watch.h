#pragma once
// Tells when the device may have found a way out: a link has got its carrier, or a default route
// has come. From rtnetlink(7).

#include <map>

#include "base/fd.h"

namespace wherry {

// Not thread-safe. Where the kernel gives no socket for it, it never tells anything.
class NetworkWatch {
 public:
  NetworkWatch();

  int fd() const { return socket_.get(); }  // to be polled for input; -1: none
  // Takes in what has come; never waits. The ends and bridges of containers' networks do not count.
  bool changed();

 private:
  Fd socket_;
  std::map<int, bool> running_;  // links, by index
};

}  // namespace wherry

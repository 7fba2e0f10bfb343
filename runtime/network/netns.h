#pragma once
// Network namespaces that live as long as a bind mount of theirs (network_namespaces(7)).
// The mount is made in the agent's mount namespace, which must be containerd's.

#include <string>

#include "base/result.h"

namespace wherry::runtime {

// A new namespace with its loopback up, mounted on the file `path`, which is made. Whatever of an
// earlier attempt is there must have been removed before. It outlives this process.
Status create_netns(const std::string& path);
// Unmounts and deletes. Processes inside keep the namespace alive. Missing: success.
Status remove_netns(const std::string& path);
// True when a namespace is mounted there; after a reboot only an empty file may be left.
bool is_netns(const std::string& path);

}  // namespace wherry::runtime

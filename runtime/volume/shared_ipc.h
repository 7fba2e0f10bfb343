#pragma once
// What the containers of a Pod share to talk through memory: an IPC namespace (ipc_namespaces(7))
// and one /dev/shm. Both are mounts in a directory of the Pod, so nothing has to run for them.

#include <string>

#include "base/result.h"

namespace wherry::runtime {

inline constexpr const char* kIpcName = ".ipc";  // no volume has such a name
inline constexpr const char* kShmName = ".shm";

// In `directory`, which exists. What is there already stays.
Status make_shared_ipc(const std::string& directory);

}  // namespace wherry::runtime

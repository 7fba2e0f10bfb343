#include "base/memory.h"

#include <cinttypes>
#include <cstdio>
#include <malloc.h>
#include <sys/mman.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry {

void release_unused_memory() {
  malloc_trim(0);
  const auto maps = read_file("/proc/self/maps");
  if (!maps) return;
  for (const std::string& line : split(*maps, '\n')) {
    // address-address permissions offset device inode path: proc(5)
    uintptr_t begin = 0, end = 0;
    char permissions[5] = "";
    uint64_t inode = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %" SCNu64, &begin, &end,
                    permissions, &inode) != 4) {
      continue;
    }
    // Only what can be read from the file again: nobody has written to private code.
    if (inode == 0 || std::string_view(permissions) != "r-xp") continue;
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace wherry

#pragma once
// What a process costs, as the kernel counts it.

#include <cstdint>
#include <sys/types.h>

namespace wherry::bench {

struct Footprint {
  int64_t pss = 0;            // bytes
  int64_t private_dirty = 0;  // bytes
};
Footprint footprint(pid_t pid);              // /proc/PID/smaps_rollup
int64_t cpu_nanoseconds(pid_t pid);          // of all threads, /proc/PID/task/*/schedstat
int64_t process_cpu_nanoseconds(pid_t pid);  // also of threads that ended; grain: 10 ms
// Resets the high-water mark of resident memory; what has been resident at most since.
void reset_peak(pid_t pid);
int64_t peak_resident(pid_t pid);
int64_t resident(pid_t pid);
int64_t written_bytes(pid_t pid);  // sent to disk, /proc/PID/io
int thread_count(pid_t pid);

}  // namespace wherry::bench

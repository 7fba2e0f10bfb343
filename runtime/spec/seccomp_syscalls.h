#pragma once
// What a container may ask of the kernel under seccompProfile RuntimeDefault: names as the kernel's
// tables have them, those of other architectures too, as the runtime skips what it does not know.
// Left out are calls that reach past the container (modules, mounts, other clocks, raw I/O, kexec,
// swap, keys of other users) or that are old and unneeded; a capability that is about such a call
// brings it back.

#include <string_view>

namespace wherry::runtime {

inline constexpr std::string_view kAnyContainer =
    // files
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "faccessat faccessat2 fadvise64 fadvise64_64 arm_fadvise64_64 fallocate fchdir fchmod fchmodat "
    "fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock "
    "fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 "
    "futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch fanotify_mark ioctl lchown lchown32 lgetxattr link linkat "
    "listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir "
    "mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 "
    "pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv removexattr "
    "removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice "
    "stat stat64 statfs statfs64 statx symlink symlinkat sync syncfs sync_file_range "
    "sync_file_range2 arm_sync_file_range tee truncate truncate64 umask unlink unlinkat utime "
    "utimensat utimensat_time64 utimes vmsplice write writev statmount listmount "
    // processes and threads
    "arch_prctl breakpoint cacheflush capget capset execve execveat exit exit_group fork vfork "
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list "
    "set_robust_list get_thread_area set_thread_area set_tid_address set_tls getcpu getpgid "
    "getpgrp "
    "getpid getppid getpriority setpriority getrlimit ugetrlimit setrlimit prlimit64 getrusage "
    "getsid setsid setpgid gettid kill tkill tgkill modify_ldt membarrier pause pidfd_open "
    "pidfd_send_signal prctl ptrace restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    "rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max "
    "sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp "
    "sigaltstack signal sigaction sigpending sigprocmask sigreturn sigsuspend signalfd signalfd4 "
    "wait4 waitid waitpid map_shadow_stack lsm_get_self_attr lsm_set_self_attr lsm_list_modules "
    "landlock_add_rule landlock_create_ruleset landlock_restrict_self uretprobe riscv_hwprobe "
    // users
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid "
    "getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 "
    "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid "
    "setresuid32 setreuid setreuid32 setuid setuid32 "
    // memory
    "brk cachestat madvise memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 "
    "mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "process_mrelease remap_file_pages "
    // waiting and time
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getitimer "
    "setitimer gettimeofday nanosleep _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 "
    "select time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 "
    "timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
    "timerfd_settime timerfd_settime64 times "
    // talking to others
    "accept accept4 bind connect getpeername getsockname getsockopt listen pipe pipe2 recv "
    "recvfrom "
    "recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall "
    "socketpair ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
    "mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop "
    "semtimedop semtimedop_time64 shmat shmctl shmdt shmget io_cancel io_destroy io_getevents "
    "io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set "
    // about the machine
    "getrandom sysinfo uname";

struct SyscallsOfCapability {
  std::string_view capability;  // without CAP_
  std::string_view names;
};
inline constexpr SyscallsOfCapability kWithCapability[] = {
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
     "mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
     "sethostname setns syslog umount umount2 unshare"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module finit_module init_module"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev"},
    {"SYS_RAWIO", "ioperm iopl"},
    {"SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"SYS_TTY_CONFIG", "vhangup"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYSLOG", "syslog"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
};

}  // namespace wherry::runtime

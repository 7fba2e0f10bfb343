// wherry-pause NETNS: the first process of a PID namespace (pid_namespaces(7)) that the containers
// of a Pod share. When the first process ends, the kernel kills all others and lets none be born,
// so it must be one that no container's end touches.
//
// Started by the agent, it makes the namespace and a process in it, prints that one's pid and ends.
// The process waits for a byte on descriptor 3: where none comes, because the agent was killed
// before it had noted the pid, it ends too.
//
// Every container of the Pod can see that process, and one with SYS_PTRACE can take it over. So
// nothing is to be had from it: no user, no capability, an empty root, the Pod's own network, and
// of all system calls only read(2) from descriptors it has.

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <initializer_list>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr unsigned kNobody = 65534;
constexpr int kFailed = 1;
constexpr int kGo = 3;

int complain(const char* what) {
  dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
  return kFailed;
}

bool read_byte(int fd) {
  char byte = 0;
  ssize_t got = 0;
  do {
    got = read(fd, &byte, 1);
  } while (got < 0 && errno == EINTR);
  return got == 1;
}

// Into the network namespace `path`, or into an empty one where the Pod is on the host's.
bool leave_network(const char* path) {
  if (*path == '\0') return unshare(CLONE_NEWNET) == 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
}

// /proc is there on every system and serves only as a place; nobody else sees this mount.
bool leave_files() {
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
               "size=4k,mode=555") == 0 &&
         chdir("/proc") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
         umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

bool drop_rights() {
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setgroups(0, nullptr) == 0 &&
         setresgid(kNobody, kNobody, kNobody) == 0 && setresuid(kNobody, kNobody, kNobody) == 0 &&
         prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

// Where the kernel can. A filter rather than seccomp's strict mode, which the kernel refuses to a
// process that has filters already, as every child of a service of systemd may have.
void only_read() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog program{sizeof rules / sizeof rules[0], rules};
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int hold(const char* netns, int ready) {
  // Orphans of the containers become ours: the kernel buries them.
  signal(SIGCHLD, SIG_IGN);
  setsid();
  prctl(PR_SET_NAME, "pause", 0, 0, 0);
  int never[2];
  if (!leave_network(netns)) return complain("leave the host's network");
  if (!leave_files()) return complain("leave the host's files");
  if (pipe(never) != 0) return complain("make a pipe");
  if (!drop_rights()) return complain("drop rights");
  char byte = 0;
  if (write(ready, &byte, 1) != 1) return kFailed;
  for (const int fd : {ready, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(fd);
  if (!read_byte(kGo)) return kFailed;
  close(kGo);
  only_read();
  // Both ends are ours, so this never ends.
  while (true) static_cast<void>(!read(never[0], &byte, 1));
}

}  // namespace

int main(int argc, char** argv) {
  int ready[2];
  if (argc != 2) {
    dprintf(STDERR_FILENO, "usage: wherry-pause NETNS\n");
    return 2;
  }
  close_range(kGo + 1, ~0U, 0);
  if (pipe(ready) != 0) return complain("make a pipe");
  if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
    return complain("make namespaces");
  }
  const pid_t child = fork();
  if (child < 0) return complain("fork");
  if (child == 0) {
    close(ready[0]);
    return hold(argv[1], ready[1]);
  }
  close(ready[1]);
  // It has said why, where it ends before that.
  if (!read_byte(ready[0])) return kFailed;
  return dprintf(STDOUT_FILENO, "%d\n", child) > 0 ? 0 : kFailed;
}

// Removes what a private containerd leaves behind: shims, container processes, their cgroups and
// mounts. Waits on stdin first: end of file means that the test is done with it, or was killed.
//   wherry_test_janitor DIRECTORY CONTAINERD_SOCKET

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string slurp(const std::string& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      pids.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return pids;
}

std::string proc(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

// A shim of this instance names the daemon's socket in an argument of its own.
bool is_shim(pid_t pid, const std::string& socket) {
  const std::string line = slurp(proc(pid, "cmdline"));
  return line.find("containerd-shim") != std::string::npos &&
         line.find('\0' + socket + '\0') != std::string::npos;
}

// A container's root file system lies below the directory, and it has a mount namespace of its own.
bool is_container(pid_t pid, const std::string& directory) {
  std::error_code error;
  if (fs::read_symlink(proc(pid, "ns/mnt"), error) == fs::read_symlink("/proc/self/ns/mnt", error))
    return false;
  std::istringstream mounts(slurp(proc(pid, "mountinfo")));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    fields >> id >> parent >> device >> root >> point;
    if (point == "/" && line.find(directory + "/") != std::string::npos) return true;
  }
  return false;
}

std::set<std::string> cgroups_of(pid_t pid) {
  std::set<std::string> found;
  std::istringstream lines(slurp(proc(pid, "cgroup")));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos || line.size() < second + 3) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers.rfind("name=", 0) == 0) controllers = controllers.substr(5);
    // Version 2 names no controllers; beside version 1 it is mounted here.
    if (controllers.empty() && access("/sys/fs/cgroup/unified", F_OK) == 0) controllers = "unified";
    found.insert("/sys/fs/cgroup/" + controllers + line.substr(second + 1));
  }
  return found;
}

// True when something was still there to kill.
bool kill_round(const std::string& directory, const std::string& socket,
                std::set<std::string>& cgroups) {
  bool any = false;
  for (const pid_t pid : all_pids()) {
    if (pid <= 1 || pid == getpid()) continue;
    const bool container = is_container(pid, directory);
    if (!container && !is_shim(pid, socket)) continue;
    if (slurp(proc(pid, "stat")).find(") Z ") != std::string::npos) continue;
    if (container)
      cgroups.merge([&] {
        const auto list = cgroups_of(pid);
        return std::set<std::string>(list.begin(), list.end());
      }());
    any = kill(pid, SIGKILL) == 0 || any;
  }
  return any;
}

void unmount_below(const std::string& directory) {
  std::vector<std::string> points;
  std::istringstream mounts(slurp("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    fields >> id >> parent >> device >> root >> point;
    if (point.rfind(directory + "/", 0) == 0) points.push_back(point);
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point)
    umount2(point->c_str(), MNT_DETACH);
}

// runc's shim keeps its socket outside the state directory and names it in a file inside.
void remove_shim_sockets(const std::string& directory) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() == "rootfs") it.disable_recursion_pending();
    if (it->path().filename() != "address") continue;
    const std::string address = slurp(it->path());
    if (address.rfind("unix:///run/containerd/s/", 0) == 0) unlink(address.c_str() + 7);
  }
}

// runc keeps its state by namespace and id outside of the state directory, too, so that the
// leftovers of one test would be "already exists" for the next.
void remove_runc_states(const std::string& directory) {
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::recursive_directory_iterator it("/run/containerd/runc", error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() == 2 && it->path().filename() == "state.json" &&
        slurp(it->path()).find("bundle=" + directory + "/") != std::string::npos)
      found.push_back(it->path().parent_path());
  }
  for (const fs::path& path : found) {
    fs::remove_all(path, error);
    rmdir(path.parent_path().c_str());  // the namespace's directory, when this was the last
  }
}

// The container's own and those above it: its Pod's and its agent's. The kernel refuses where
// something is left inside, and the controllers' own directories in any case.
void remove_cgroups(const std::set<std::string>& cgroups) {
  for (const std::string& cgroup : cgroups) {
    fs::path path = cgroup;
    // A process that was killed is in it until it is gone.
    for (int round = 0; round < 500 && rmdir(path.c_str()) != 0 && errno == EBUSY; ++round) {
      usleep(2000);
    }
    do path = path.parent_path();
    while (rmdir(path.c_str()) == 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::strlen(argv[1]) < 6) {
    std::fputs("usage: wherry_test_janitor DIRECTORY CONTAINERD_SOCKET\n", stderr);
    return 2;
  }
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(number, SIG_IGN);
  char byte = 0;
  while (read(0, &byte, 1) > 0) {
  }
  const std::string directory = argv[1];
  std::set<std::string> cgroups;
  for (int round = 0; round < 500 && kill_round(directory, argv[2], cgroups); ++round) usleep(2000);
  unmount_below(directory);
  remove_shim_sockets(directory);
  remove_runc_states(directory);
  remove_cgroups(cgroups);
  std::error_code error;
  if (std::getenv("WHERRY_TEST_KEEP") == nullptr) fs::remove_all(directory, error);
  return 0;
}

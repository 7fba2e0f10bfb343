#include "tests/support/containerd_daemon.h"

#include <cstdlib>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/net.h"

namespace wherry::test {
namespace {

std::string config_for(const std::string& directory, const std::string& socket) {
  return "version = 2\n"
         "root = \"" +
         directory +
         "/root\"\n"
         "state = \"" +
         directory +
         "/state\"\n"
         // What the agent does not use, and what writes outside of the directory.
         "disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\",\n"
         "  \"io.containerd.internal.v1.tracing\", \"io.containerd.tracing.processor.v1.otlp\",\n"
         "  \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\",\n"
         "  \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\",\n"
         "  \"io.containerd.nri.v1.nri\", \"io.containerd.internal.v1.restart\"]\n"
         "[grpc]\n"
         "  address = \"" +
         socket +
         "\"\n"
         "[debug]\n"
         "  level = \"info\"\n";
}

}  // namespace

ContainerdDaemon::ContainerdDaemon(ContainerdOptions options) : options_(std::move(options)) {
  if (options_.binary.empty()) {
    const char* named = std::getenv("WHERRY_TEST_CONTAINERD");
    options_.binary = named == nullptr ? "containerd" : named;
  }
  write_text(dir_ / "config.toml", config_for(dir_.path(), socket()) + options_.extra_config);
  start_janitor();
  if (options_.disk_bytes > 0) mount_disk();
  start();
}

void ContainerdDaemon::mount_disk() {
  const std::string root = dir_ / "root";
  if (options_.ext4) {
    disk_ = dir_ / "disk";
    mkdir(root.c_str(), 0711);
    run_ok({"truncate", "--size", std::to_string(options_.disk_bytes), disk_});
    run_ok({"mkfs.ext4", "-q", "-F", disk_});
    return mount_image();
  }
  const std::string size = "size=" + std::to_string(options_.disk_bytes) + ",mode=711";
  if (mkdir(root.c_str(), 0711) != 0 || mount("tmpfs", root.c_str(), "tmpfs", 0, size.c_str()) != 0)
    throw std::runtime_error("mount a small filesystem on " + root);
}

void ContainerdDaemon::mount_image() { run_ok({"mount", "-o", "loop", disk_, root()}); }

// What the filesystem has not written yet is in memory, not in the file.
void ContainerdDaemon::cut_power(const std::function<void()>& clients_end) {
  const std::string copy = disk_ + "-copy";
  run_ok({"cp", "--sparse=always", disk_, copy});
  kill();
  clients_end();
  if (umount2(root().c_str(), MNT_DETACH) != 0) throw std::runtime_error("unmount " + root());
  unlink(disk_.c_str());
  disk_ = copy;
  mount_image();
  start();
}

ContainerdDaemon::~ContainerdDaemon() {
  if (process_) process_->terminate();
  process_.reset();
  close(janitor_pipe_);
  waitpid(janitor_, nullptr, 0);
}

void ContainerdDaemon::start_janitor() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const std::string program = WHERRY_TEST_DIR "/wherry_test_janitor";
  const std::string directory = dir_.path();
  const std::string address = socket();
  janitor_ = fork();
  if (janitor_ == 0) {
    setsid();  // a Ctrl-C for the test is not meant for the one who cleans up after it
    dup2(ends[0], 0);
    execl(program.c_str(), program.c_str(), directory.c_str(), address.c_str(), nullptr);
    _exit(127);
  }
  close(ends[0]);
  janitor_pipe_ = ends[1];
}

void ContainerdDaemon::start() {
  ProcessOptions options;
  options.argv = {options_.binary, "--config", dir_ / "config.toml"};
  options.output_path = dir_ / "containerd.log";
  process_ = std::make_unique<Process>(std::move(options));
  const bool serves = wait_until([this] { return accepts_unix(socket()) || !process_->running(); });
  if (!serves || !process_->running())
    throw std::runtime_error("containerd did not start: " + tail(log()));
}

void ContainerdDaemon::stop() {
  if (process_) process_->terminate();
  process_.reset();
}

void ContainerdDaemon::kill() {
  if (process_) process_->kill();
  process_.reset();
}

CommandResult ContainerdDaemon::ctr(const std::string& ns, std::vector<std::string> arguments) {
  std::vector<std::string> argv{options_.ctr, "--address", socket(), "--namespace", ns};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_command(std::move(argv));
}

}  // namespace wherry::test

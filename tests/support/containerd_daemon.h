#pragma once
// A containerd of the test's own.

#include <functional>
#include <memory>
#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {

struct ContainerdOptions {
  // Another version's, or a script that enters its root. Empty: what WHERRY_TEST_CONTAINERD names,
  // else containerd.
  std::string binary;
  std::string ctr = "ctr";
  std::string extra_config;  // appended to the TOML (version 2)
  int64_t disk_bytes = 0;    // size of a filesystem of its own for content and snapshots; 0: none
  bool ext4 = false;         // that one is ext4 on a loop device: see cut_power()
};

// Root, state and socket are private. The destructor stops the daemon, kills this instance's shims
// and containers and unmounts what is below its directory; so does a helper process when the test
// itself is killed. Make it on the main thread. Methods that start throw with the log's tail.
class ContainerdDaemon {
 public:
  explicit ContainerdDaemon(ContainerdOptions options = {});
  ~ContainerdDaemon();
  ContainerdDaemon(const ContainerdDaemon&) = delete;
  ContainerdDaemon& operator=(const ContainerdDaemon&) = delete;

  std::string socket() const { return dir_ / "c.sock"; }
  std::string directory() const { return dir_.path(); }
  std::string root() const { return dir_ / "root"; }  // content and snapshots
  std::string log() const { return read_text(dir_ / "containerd.log"); }
  pid_t pid() const { return process_ ? process_->pid() : -1; }

  void start();  // returns when it serves; containers that ran still do
  void stop();   // SIGTERM; containers keep running
  void kill();   // SIGKILL; likewise
  void restart() { stop(), start(); }
  // Goes on with what was on the disk at this moment; what was written but not synced is lost. Only
  // with ext4, and without containers. Whoever talks to the daemon must have ended when
  // `clients_end` returns: the power is away for them, too.
  void cut_power(const std::function<void()>& clients_end);

  // `ctr --namespace NAMESPACE ARGUMENTS…`
  CommandResult ctr(const std::string& ns, std::vector<std::string> arguments);

 private:
  void start_janitor();
  void mount_disk();
  void mount_image();

  ContainerdOptions options_;
  TempDir dir_;
  std::string disk_;  // the file that is the disk
  int janitor_pipe_ = -1;
  pid_t janitor_ = -1;
  std::unique_ptr<Process> process_;
};

}  // namespace wherry::test

#pragma once
// A device in QEMU, by software emulation, on the disk that scripts/device-image.sh made.

#include <cstdint>
#include <memory>
#include <string>

#include "tests/device/line_socket.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry::test {

struct MachineOptions {
  std::string architecture;  // as Debian names it: amd64 or arm64
  std::string image_dir;     // what scripts/device-image.sh made; it is not written to
  std::string scratch_dir;   // for this machine's disk and for what it says on its console
  std::string payload;       // a tar archive, which the machine finds as /dev/vdb
  int cpus = 2;
};

struct GuestResult {
  int exit_code = -1;
  std::string output;  // stdout and stderr, without the last line's end
};

// Make it on the main thread. The host is 10.0.2.2 to the machine, and no other address can be
// reached where this runs in a network namespace of its own (scripts/isolate.sh).
class Machine {
 public:
  // Emulation is slow, and so may be the machine below it.
  static constexpr Millis kGuestPatience{1'800'000};
  enum class Cable { In, Out };
  // What becomes of the guest's flushes. Ignored: fast, until it is shut down; a cut breaks the
  // disk.
  enum class Flushes { Honoured, Ignored };

  // With a disk of its own, off. Throws std::runtime_error, like everything here.
  explicit Machine(MachineOptions options);

  // Until commands are carried out; with the network's cable in its socket or not.
  void boot(Cable cable, Flushes flushes = Flushes::Honoured);
  void plug_in();
  // From one moment to the next. What the guest has written and not flushed may be lost.
  void cut_power();
  void shut_down();  // as an administrator does
  bool on() { return process_ && process_->running(); }

  // As root, by bash. A command that has not ended by then is given up: throws.
  GuestResult run(const std::string& command, Millis timeout = kGuestPatience);
  // Its output; throws unless it exits with 0.
  std::string check(const std::string& command, Millis timeout = kGuestPatience);
  // Again and again until it exits with 0; throws with `what` at the deadline.
  void wait(const std::string& command, const std::string& what, Millis timeout = kGuestPatience);

  // Of 127.0.0.1; leads to port 7000 of the machine.
  int data_port() const { return data_port_; }
  // What was said on the console since it was last switched on.
  std::string console() const { return read_text(console_path()); }

 private:
  std::string console_path() const { return options_.scratch_dir + "/console.log"; }
  std::vector<std::string> arguments(Flushes flushes) const;
  void monitor(const std::string& request);

  MachineOptions options_;
  TempDir sockets_;
  const int data_port_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<LineSocket> monitor_, shell_;
  uint64_t commands_ = 0;
};

}  // namespace wherry::test

#include "tests/device/machine.h"

#include <stdexcept>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr Millis kMonitorPatience{60'000};

bool is_arm(const MachineOptions& options) { return options.architecture == "arm64"; }

}  // namespace

Machine::Machine(MachineOptions options) : options_(std::move(options)), data_port_(free_port()) {
  run_ok({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
          options_.image_dir + "/disk.img", options_.scratch_dir + "/disk.qcow2"});
}

std::vector<std::string> Machine::arguments(Flushes flushes) const {
  const bool arm = is_arm(options_);
  std::vector<std::string> all = {arm ? "qemu-system-aarch64" : "qemu-system-x86_64"};
  const auto add = [&all](const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  add({"-machine", arm ? "virt" : "q35", "-cpu", arm ? "max,pauth-impdef=on" : "max"});
  add({"-accel", "tcg,thread=multi", "-smp", std::to_string(options_.cpus), "-m", "1024"});
  add({"-nodefaults", "-display", "none", "-no-reboot", "-S"});
  add({"-kernel", options_.image_dir + "/vmlinuz", "-initrd", options_.image_dir + "/initrd.img"});
  add({"-append",
       std::string("root=/dev/vda rw mitigations=off console=") + (arm ? "ttyAMA0" : "ttyS0")});
  add({"-serial", "file:" + console_path()});
  // cache=none is a disk with a cache that forgets: what the guest flushes is on the host's disk,
  // and what it does not may be lost with QEMU, which keeps qcow2's tables in memory until then.
  // cache=writethrough would hide a flush that is missing.
  const std::string cache = flushes == Flushes::Honoured ? "none" : "unsafe";
  add({"-drive", "if=none,id=disk,format=qcow2,cache=" + cache + ",file=" + options_.scratch_dir +
                     "/disk.qcow2"});
  add({"-device", "virtio-blk-pci,drive=disk"});
  add({"-drive", "if=none,id=payload,format=raw,readonly=on,file=" + options_.payload});
  add({"-device", "virtio-blk-pci,drive=payload"});
  add({"-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:" + std::to_string(data_port_) + "-:7000"});
  add({"-device", "virtio-net-pci,netdev=net,id=nic,romfile="});
  add({"-device", "virtio-rng-pci", "-device", "virtio-serial-pci"});
  add({"-chardev", "socket,id=shell,server=on,wait=off,path=" + (sockets_ / "shell")});
  add({"-device", "virtserialport,chardev=shell,name=test-shell"});
  add({"-qmp", "unix:" + (sockets_ / "monitor") + ",server=on,wait=off"});
  return all;
}

// QEMU's machine protocol (QMP): a greeting, then one JSON object a line, with events in between.
void Machine::monitor(const std::string& request) {
  monitor_->send(request);
  while (const auto line = monitor_->receive(kMonitorPatience)) {
    const json answer = json::parse(*line, nullptr, false);
    if (answer.contains("return")) return;
    if (answer.contains("error")) throw std::runtime_error("QEMU: " + *line);
  }
  throw std::runtime_error("QEMU does not answer " + request);
}

void Machine::boot(Cable cable, Flushes flushes) {
  write_text(console_path(), "");
  ProcessOptions options;
  options.argv = arguments(flushes);
  options.output_path = options_.scratch_dir + "/qemu.log";
  process_ = std::make_unique<Process>(std::move(options));
  monitor_ = std::make_unique<LineSocket>(sockets_ / "monitor");
  shell_ = std::make_unique<LineSocket>(sockets_ / "shell");
  monitor(R"({"execute":"qmp_capabilities"})");
  if (cable == Cable::Out) {
    monitor(R"({"execute":"set_link","arguments":{"name":"nic","up":false}})");
  }
  monitor(R"({"execute":"cont"})");
  check("true");
}

void Machine::plug_in() {
  monitor(R"({"execute":"set_link","arguments":{"name":"nic","up":true}})");
}

void Machine::cut_power() {
  process_->kill();
  monitor_.reset();
  shell_.reset();
}

void Machine::shut_down() {
  // With -no-reboot QEMU ends instead. The shell may be gone before it answers.
  shell_->send("0 " + base64_encode("systemctl reboot"));
  if (!process_->wait(kGuestPatience)) throw std::runtime_error("the machine does not shut down");
  monitor_.reset();
  shell_.reset();
}

GuestResult Machine::run(const std::string& command, Millis timeout) {
  if (!shell_) throw std::runtime_error("the machine is off: " + command);
  const std::string number = std::to_string(++commands_);
  shell_->send(number + " " + base64_encode(command));
  while (const auto line = shell_->receive(timeout)) {
    const std::vector<std::string> words = split(*line, ' ');
    if (words.size() < 2 || words[0] != number) continue;
    std::string output = words.size() > 2 ? base64_decode(words[2]).value_or("") : "";
    while (output.ends_with('\n')) output.pop_back();
    return {std::stoi(words[1]), std::move(output)};
  }
  throw std::runtime_error("no answer in time to: " + command + "\n" + tail(console()));
}

std::string Machine::check(const std::string& command, Millis timeout) {
  GuestResult result = run(command, timeout);
  if (result.exit_code != 0) {
    throw std::runtime_error(command + " exited with " + std::to_string(result.exit_code) + ": " +
                             result.output);
  }
  return std::move(result.output);
}

void Machine::wait(const std::string& command, const std::string& what, Millis timeout) {
  GuestResult last;
  const bool so = wait_until(
      [&] {
        last = run(command);
        return last.exit_code == 0;
      },
      timeout);
  if (!so) throw std::runtime_error("gave up waiting until " + what + ": " + last.output);
}

}  // namespace wherry::test

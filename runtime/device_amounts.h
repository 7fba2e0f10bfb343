#pragma once
// What stands in env, command, args and files of volumes where they ask for all that the device has
// of a resource. It is filled in when a container starts, so that a device whose memory changes by
// a page (another kernel, another firmware) does not replace its Pods.

#include <cstdint>
#include <string>

namespace wherry::runtime {

enum class DeviceResource { Cpu, Memory };

// All of it in multiples of `unit`, rounded up. `unit`: thousandths of a core, or bytes; > 0.
std::string device_amount_mark(DeviceResource resource, int64_t unit);
bool is_device_amount_mark(const std::string& text);
// Replaces the marks in `text`. `cpu_milli`: thousandths of a core; `memory`: bytes.
void fill_device_amounts(std::string& text, int64_t cpu_milli, int64_t memory);
// … by what this device has.
void fill_device_amounts(std::string& text);

}  // namespace wherry::runtime

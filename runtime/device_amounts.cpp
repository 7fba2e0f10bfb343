#include "runtime/device_amounts.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <sys/sysinfo.h>
#include <thread>

namespace wherry::runtime {
namespace {

// No text that a person writes has such a control character.
constexpr std::string_view kCpu =
    "\x01"
    "device-cpu:";
constexpr std::string_view kMemory =
    "\x01"
    "device-memory:";
constexpr char kEnd = '\x01';

void fill(std::string& text, std::string_view mark, int64_t amount) {
  size_t at = 0;
  while ((at = text.find(mark, at)) != std::string::npos) {
    const size_t start = at + mark.size(), end = text.find(kEnd, start);
    if (end == std::string::npos) return;
    int64_t unit = 0;
    std::from_chars(text.data() + start, text.data() + end, unit);
    unit = std::max<int64_t>(1, unit);
    const std::string value = std::to_string(amount / unit + (amount % unit != 0 ? 1 : 0));
    text.replace(at, end + 1 - at, value);
    at += value.size();
  }
}

}  // namespace

std::string device_amount_mark(DeviceResource resource, int64_t unit) {
  return std::string(resource == DeviceResource::Cpu ? kCpu : kMemory) + std::to_string(unit) +
         kEnd;
}

bool is_device_amount_mark(const std::string& text) {
  const bool begins = text.starts_with(kCpu) || text.starts_with(kMemory);
  return begins && text.find(kEnd, 1) == text.size() - 1;
}

void fill_device_amounts(std::string& text, int64_t cpu_milli, int64_t memory) {
  fill(text, kCpu, cpu_milli);
  fill(text, kMemory, memory);
}

void fill_device_amounts(std::string& text) {
  struct sysinfo info {};
  const bool known = sysinfo(&info) == 0;
  fill_device_amounts(text, int64_t{1000} * std::thread::hardware_concurrency(),
                      known ? static_cast<int64_t>(info.totalram) * info.mem_unit : 0);
}

}  // namespace wherry::runtime

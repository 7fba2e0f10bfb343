#pragma once
// The command line of wherry-simulate.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/simulate/virtual_device.h"
#include "base/log.h"
#include "base/result.h"

namespace wherry::simulate {

struct Options {
  size_t count = 0;
  std::string prefix = "sim";
  size_t threads = 2;
  double connects_per_second = 200;
  uint32_t seed = 1;
  double fail_pulls = 0, crash = 0;  // shares of the devices, 0 to 1
  FleetOptions fleet;                // of every device, but for its id
  DeviceView device;                 // likewise
  Behaviour behaviour;               // likewise, but for who fails
  LogLevel log_level = LogLevel::Error;
};

// Nothing to run (--help, --version, a mistake, which has been printed): the exit code.
struct Parsed {
  Options options;
  int exit_code = -1;  // -1: go on
};
Parsed parse_options(int argc, char** argv);

// What is to become of each device. "{id}" in user names and paths stands for the device's id.
// The same options give the same devices, boots aside.
std::vector<DeviceSetup> plan_fleet(const Options& options, MonoTime now);

}  // namespace wherry::simulate

// wherry-device-test ARCH IMAGE_DIR SCRATCH_DIR PACKAGE NEWER_PACKAGE CUTS SEED: see
// docs/device-test.md; scripts/device-test.sh makes what it takes. Exit code 0: everything held.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>

#include "tests/device/device_test.h"

namespace {

void step(const char* name, const std::function<void()>& what) {
  std::printf("== %s\n", name);
  std::fflush(stdout);
  const auto start = std::chrono::steady_clock::now();
  what();
  std::printf("== %s held, after %.0f s\n", name,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

int run(wherry::test::DeviceTestOptions options, int cuts) {
  wherry::test::DeviceTest test(std::move(options));
  try {
    step("a clean device", [&] { test.install(); });
    step("AppArmor", [&] { test.confinement(); });
    step("sizes", [&] { test.sizes(); });
    step("pressure", [&] { test.pressure(); });
    step("watchdog", [&] { test.watchdog(); });
    step("upgrade and downgrade", [&] { test.upgrade(); });
    step("a reboot without a network", [&] { test.reboot_without_network(); });
    if (cuts > 0) step("power cuts", [&] { test.power_cuts(cuts); });
    return 0;
  } catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    std::printf("%s\n", test.last_words().c_str());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr,
                 "usage: wherry-device-test ARCH IMAGE_DIR SCRATCH_DIR PACKAGE NEWER_PACKAGE CUTS "
                 "SEED\n");
    return 2;
  }
  try {
    return run({.architecture = argv[1],
                .image_dir = argv[2],
                .scratch_dir = argv[3],
                .package = argv[4],
                .newer_package = argv[5],
                .seed = static_cast<uint32_t>(std::strtoul(argv[7], nullptr, 10))},
               std::atoi(argv[6]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wherry-device-test: %s\n", error.what());
    return 1;
  }
}

// The libFuzzer side of every target: any bytes, and what must hold for them. WHERRY_FUZZ_CHECK is
// the function that tells (tests/fuzz/CMakeLists.txt).

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace wherry {
std::string WHERRY_FUZZ_CHECK(std::string_view text);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string broken = wherry::WHERRY_FUZZ_CHECK({reinterpret_cast<const char*>(data), size});
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}

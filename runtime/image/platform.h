#pragma once
// Which of an image's variants runs on this machine (image-spec, image-index.md#platform; the
// values are those of GOOS and GOARCH).

#include <optional>
#include <string>

namespace wherry::runtime {

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;  // normalized: "v8" for arm64 and "v7" for arm where nothing is written
  bool operator==(const Platform&) const = default;
};

// Other spellings (x86_64, aarch64, armhf …) become the specification's.
Platform normalize(Platform platform);
// "linux/arm/v7"; the variant is left out where it says nothing (arm64/v8, amd64).
std::string to_string(const Platform& platform);

Platform host_platform();

// How well `candidate` fits `host`: 0 is exact, greater is worse, nothing: it does not run there.
// An older variant fits (arm/v6 on arm/v7), and so does the 32-bit architecture of a 64-bit host.
std::optional<int> fitness(const Platform& host, const Platform& candidate);

}  // namespace wherry::runtime

#include "base/sqlite/log_check.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/fd.h"

namespace wherry::sqlite {
namespace {

constexpr size_t kHeader = 32;
constexpr size_t kFrameHeader = 24;
constexpr uint32_t kMagic = 0x377f0682;  // the last bit: checksums are of big-endian words

uint32_t word(const char* bytes, bool big = true) {
  std::array<unsigned char, 4> b{};
  std::memcpy(b.data(), bytes, b.size());
  if (!big) std::swap(b[0], b[3]), std::swap(b[1], b[2]);
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
}

// Runs on from the header through all frames.
struct Checksum {
  bool big = false;
  uint32_t first = 0, second = 0;

  void add(std::string_view bytes) {
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      first += word(bytes.data() + i, big) + second;
      second += word(bytes.data() + i + 4, big) + first;
    }
  }
  bool is(const char* stored) const { return word(stored) == first && word(stored + 4) == second; }
};

}  // namespace

bool log_is_broken(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen((path + "-wal").c_str(), "rbe"), fclose);
  if (!file) return false;
  std::array<char, kHeader> header{};
  const size_t got = fread(header.data(), 1, header.size(), file.get());
  if (got < header.size()) return got > 0;
  const uint32_t magic = word(header.data());
  const uint32_t page = word(header.data() + 8);
  Checksum sum{(magic & 1) != 0};
  sum.add({header.data(), kFrameHeader});
  const bool good = (magic & ~1U) == kMagic && page >= 512 && page <= 65536;
  if (!good || !sum.is(header.data() + kFrameHeader)) return true;
  const std::string_view salts(header.data() + 16, 8);
  std::vector<char> frame(kFrameHeader + page);
  bool fits = true;
  int commits_behind = 0;
  while (true) {
    const size_t read = fread(frame.data(), 1, frame.size(), file.get());
    // A kill ends the log behind a frame, or behind the header of one.
    if (read <= kFrameHeader) return false;
    const bool ours = std::string_view(frame.data() + 8, salts.size()) == salts;
    if (read < frame.size()) return ours;
    sum.add({frame.data(), 8});
    sum.add({frame.data() + kFrameHeader, page});
    fits = fits && ours && sum.is(frame.data() + 16);
    const bool commit = word(frame.data() + 4) != 0;
    if (!fits && ours && commit && ++commits_behind == 2) return true;
  }
}

void trim_log(const std::string& path) {
  const Fd log(open((path + "-wal").c_str(), O_RDWR | O_CLOEXEC));
  std::array<char, kHeader> header{};
  struct stat info {};
  if (!log.valid() || fstat(log.get(), &info) != 0) return;
  off_t whole = 0;
  if (pread(log.get(), header.data(), header.size(), 0) == static_cast<ssize_t>(header.size())) {
    const auto frame = static_cast<off_t>(kFrameHeader + word(header.data() + 8));
    const auto head = static_cast<off_t>(kHeader);
    whole = info.st_size - (info.st_size - head) % frame;
  }
  if (whole < info.st_size) static_cast<void>(!ftruncate(log.get(), whole));
}

}  // namespace wherry::sqlite

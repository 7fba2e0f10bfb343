#include "base/sqlite/log_check.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

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

Result<std::optional<LogEnd>> read_log(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen((path + "-wal").c_str(), "rbe"), fclose);
  if (!file) return std::nullopt;
  std::array<char, kHeader> header{};
  const size_t got = fread(header.data(), 1, header.size(), file.get());
  if (got == 0) return std::nullopt;
  const uint32_t magic = word(header.data());
  const uint32_t page = word(header.data() + 8);
  Checksum sum{(magic & 1) != 0};
  sum.add({header.data(), kFrameHeader});
  const bool good = got == header.size() && (magic & ~1U) == kMagic && page >= 512 && page <= 65536;
  if (!good || !sum.is(header.data() + kFrameHeader)) {
    return fail(Code::DataLoss, "the header of its log is damaged");
  }
  LogEnd end{{header.data() + kLogSaltsAt, kLogSalts}};
  std::vector<char> frame(kFrameHeader + page);
  for (uint64_t number = 1; fread(frame.data(), frame.size(), 1, file.get()) == 1; ++number) {
    sum.add({frame.data(), 8});
    sum.add({frame.data() + kFrameHeader, page});
    if (std::string_view(frame.data() + 8, kLogSalts) != end.salts || !sum.is(frame.data() + 16))
      break;
    if (word(frame.data() + 4) != 0) end.frames = number;  // a commit
  }
  return end;
}

}  // namespace wherry::sqlite

#pragma once
// How much of a log may go up, by the times of its lines rather than by when they are read: what
// was written in peace while nobody read goes up whole.

#include <cstdint>
#include <string>
#include <string_view>

namespace wherry {

class LineRate {
 public:
  // Bytes a second on average, and at once after a while of quiet.
  LineRate(int64_t rate, int64_t burst) : rate_(rate), burst_(burst), left_(burst) {}

  // Whether a line of `bytes` may go, written at `time` (RFC 3339 in UTC). Once one may not, none
  // may until a quarter of the burst is there again: few long gaps rather than many short ones.
  bool take(int64_t bytes, std::string_view time);

 private:
  void pass(std::string_view time);

  const int64_t rate_, burst_;
  int64_t left_;
  std::string second_;  // of the last line
  int64_t at_ = 0;      // the same, in seconds since 1970
  bool dry_ = false;
};

}  // namespace wherry

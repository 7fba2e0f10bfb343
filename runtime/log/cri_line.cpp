#include "runtime/log/cri_line.h"

namespace wherry::runtime {

bool parse_cri_line(std::string_view line, CriLine& out) {
  constexpr size_t kTime = 30;    // 2026-11-23T22:00:00.123456789Z
  constexpr size_t kHeader = 40;  // and " stdout F "
  if (line.size() < kHeader || line[4] != '-' || line[10] != 'T' || line[kTime - 1] != 'Z' ||
      line[kTime] != ' ') {
    return false;
  }
  const std::string_view stream = line.substr(kTime + 1, 6);
  const char tag = line[kHeader - 2];
  if ((stream != "stdout" && stream != "stderr") || (tag != 'F' && tag != 'P') ||
      line[kHeader - 3] != ' ' || line[kHeader - 1] != ' ') {
    return false;
  }
  out = {line.substr(0, kTime), stream == "stderr", tag == 'F', line.substr(kHeader)};
  return true;
}

}  // namespace wherry::runtime

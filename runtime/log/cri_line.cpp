#include "runtime/log/cri_line.h"

namespace wherry::runtime {

namespace {

constexpr std::string_view kForm = "0000-00-00T00:00:00.000000000Z";

bool is_time(std::string_view text) {
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return false;
  }
  return true;
}

}  // namespace

bool parse_cri_line(std::string_view line, CriLine& out) {
  constexpr size_t kTime = kForm.size();
  constexpr size_t kHeader = 40;  // and " stdout F "
  if (line.size() < kHeader || line[kTime] != ' ' || !is_time(line)) return false;
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

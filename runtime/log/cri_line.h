#pragma once
// One record of a container's log as wherry-logger writes it (the CRI log format):
//   2026-11-23T22:00:00.123456789Z stdout F text

#include <string_view>

#include "base/result.h"

namespace wherry::runtime {

struct CriLine {
  std::string_view time;  // RFC 3339 in UTC with nine digits of a second: sorts as text
  bool is_stderr = false;
  bool full = true;  // false: the line goes on in the next record of this stream
  std::string_view text;
};

// `line` without its newline; the views point into it. False for what is no record, such as the
// half record a power cut leaves.
bool parse_cri_line(std::string_view line, CriLine& out);

}  // namespace wherry::runtime

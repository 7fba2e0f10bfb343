#include "agent/forward/log_record.h"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace wherry {
namespace {

constexpr size_t kMostMessage = kMostLogRecord - 256;

// A character that is cut in two at the end of `text` is left out whole (RFC 3629 section 3).
std::string_view whole_characters(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

std::string quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string log_record(const runtime::LogLine& line) {
  bool cut = line.cut;
  std::string_view text = cut ? whole_characters(line.text) : line.text;
  std::string message = quoted(text);
  // Control characters take six bytes each.
  while (message.size() > kMostMessage) {
    cut = true;
    text = whole_characters(text.substr(0, text.size() * kMostMessage / message.size()));
    message = quoted(text);
  }
  std::string record = R"({"at":")";
  record += line.time;
  record +=
      line.is_stderr ? R"(","stream":"stderr","message":)" : R"(","stream":"stdout","message":)";
  record += message;
  if (cut) record += R"(,"cut":true)";
  if (!is_valid_utf8(text)) record += R"(,"invalidUtf8":true)";
  record += '}';
  return record;
}

}  // namespace wherry

#include "agent/cli/json_lines.h"

#include <nlohmann/json.hpp>

namespace wherry::cli {

void JsonLines::add(std::string_view bytes) {
  rest_ += bytes;
  for (size_t end = 0; (end = rest_.find('\n')) != std::string::npos;) {
    const std::string line = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    sink_(nlohmann::ordered_json::parse(line, nullptr, false), line);
  }
}

}  // namespace wherry::cli

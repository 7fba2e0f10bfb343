#include "agent/cli/table.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "agent/cli/text_width.h"

namespace wherry::cli {

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = cell.empty() ? "-" : printable(cell);
  rows_.push_back(std::move(row));
}

std::string Table::render(size_t width) const {
  constexpr size_t kGap = 2;
  constexpr size_t kLeastLast = 8;  // a narrower last column says nothing: let it wrap
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], text_width(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    size_t used = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i + 1 == row.size()) {
        const bool cut = width > used + kLeastLast;
        line += cut ? cut_to_width(row[i], width - used) : row[i];
        break;
      }
      line += row[i];
      line.append(widths[i] - text_width(row[i]) + kGap, ' ');
      used += widths[i] + kGap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string render_fields(const std::vector<std::pair<std::string, std::string>>& fields,
                          const std::string& indent) {
  size_t widest = 0;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) widest = std::max(widest, text_width(name));
  }
  std::string text;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    text += indent + name + ":";
    text.append(widest - text_width(name) + 2, ' ');
    text += printable(value) + "\n";
  }
  return text;
}

std::string human_duration(Duration duration) {
  int64_t seconds =
      std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  struct Unit {
    int64_t seconds;
    char letter;
  };
  constexpr std::array<Unit, 4> kUnits{{{86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}}};
  for (size_t i = 0; i + 1 < kUnits.size(); ++i) {
    const int64_t big = seconds / kUnits.at(i).seconds;
    if (big == 0) continue;
    const int64_t small = seconds % kUnits.at(i).seconds / kUnits.at(i + 1).seconds;
    std::string text = std::to_string(big) + kUnits.at(i).letter;
    if (small > 0 && big < 10) text += std::to_string(small) + kUnits.at(i + 1).letter;
    return text;
  }
  return std::to_string(seconds) + "s";
}

std::string human_age(const std::string& rfc3339, const Clock& clock) {
  const auto time = parse_rfc3339(rfc3339);
  return time ? human_duration(clock.wall() - *time) : "-";
}

}  // namespace wherry::cli

#include "telemetry/metrics/kernel_files.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>

#include "base/files.h"

namespace wherry::telemetry {

std::string text_of(const std::string& path) {
  auto text = read_file(path, 1 << 20);
  return text ? std::move(*text) : std::string();
}

std::optional<double> number_of(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<double> number_in(const std::string& path) { return number_of(text_of(path)); }

std::optional<double> number_after(std::string_view text, std::string_view key) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    return number_of(line);
  }
  return std::nullopt;
}

std::vector<std::string> names_in(const std::string& directory, std::string_view prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(directory, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return names;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    const size_t begin = line.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    at = std::min(line.find_first_of(" \t\n", begin), line.size());
    words.emplace_back(line.substr(begin, at - begin));
    if (at < line.size() && line[at] == '\n') break;
  }
  return words;
}

}  // namespace wherry::telemetry

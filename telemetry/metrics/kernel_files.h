#pragma once
// The forms that the kernel's small text files come in.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wherry::telemetry {

// Empty where it cannot be read; files of sensors may exist and fail.
std::string text_of(const std::string& path);
// The first number in a text, decimal; nothing where it does not begin with one.
std::optional<double> number_of(std::string_view text);
std::optional<double> number_in(const std::string& path);
// What follows `key` on the line that begins with it: "MemTotal:   2048 kB" gives 2048.
std::optional<double> number_after(std::string_view text, std::string_view key);
// Names in a directory that begin with `prefix`, sorted as people count: cpu2 before cpu10.
std::vector<std::string> names_in(const std::string& directory, std::string_view prefix = "");
std::vector<std::string> words_of(std::string_view line);

}  // namespace wherry::telemetry

#pragma once
// Small text helpers shared by every room.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wherry {

std::vector<std::string> split(std::string_view text, char separator);  // "" -> {}
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
// Every `part` (not empty) that stands in `text` becomes `with`; what was put in is not looked at.
void replace_all(std::string& text, std::string_view part, std::string_view with);

// The candidate nearest to `word` by edit distance, or empty where none is near enough to suggest.
std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

bool is_valid_utf8(std::string_view text);

// What somebody else wrote, fit for a message: at most `max` bytes, and an ellipsis where there
// were more, on one line, with '?' for control characters and, where it is no UTF-8, for whatever
// is not ASCII.
std::string printable(std::string_view text, size_t max = 200);

// A URL, or what was meant to be one, for messages: without its user, who comes with a password,
// and without its query, which may be a signature. It need not have a scheme.
std::string url_without_secrets(std::string_view text);

// So many random lower-case hexadecimal digits, from the kernel's generator.
std::string random_hex(size_t hex_digits);
// A random (version 4) UUID, RFC 9562 section 5.4.
std::string random_uuid();

}  // namespace wherry

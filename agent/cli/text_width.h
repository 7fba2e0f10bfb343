#pragma once
// Text on a terminal: how wide it is, and made harmless.

#include <string>
#include <string_view>

namespace wherry::cli {

// The first character of UTF-8 text that is not empty. Where it is none: one byte, not `valid`.
struct Character {
  char32_t value = 0xFFFD;
  size_t bytes = 1;
  bool valid = false;
};
Character decode(std::string_view text);
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // in the place of what is none
bool is_control(char32_t c);                                      // C0, DEL and C1
// Embeddings, overrides and isolates (Unicode Standard Annex 9): they turn round what follows.
bool turns_text(char32_t c);

// Columns that UTF-8 text takes: 0 for combining marks, 2 for wide East Asian characters and
// emoji (Unicode Standard Annex 11).
size_t text_width(std::string_view text);
// At most `width` columns, the last one "…" where something was cut.
std::string cut_to_width(std::string_view text, size_t width);
// Control characters become blanks, broken UTF-8 becomes "\uFFFD", and what turns text round goes,
// so that a message from an image cannot move the cursor or colour the screen.
std::string printable(std::string_view text);

}  // namespace wherry::cli

#pragma once
// Text on a terminal: how wide it is, and made harmless.

#include <string>
#include <string_view>

namespace wherry::cli {

// Columns that UTF-8 text takes: 0 for combining marks, 2 for wide East Asian characters and
// emoji (Unicode Standard Annex 11).
size_t text_width(std::string_view text);
// At most `width` columns, the last one "…" where something was cut.
std::string cut_to_width(std::string_view text, size_t width);
// Control characters become blanks and broken UTF-8 becomes "\uFFFD", so that a message from an
// image cannot move the cursor or colour the screen.
std::string printable(std::string_view text);

}  // namespace wherry::cli

#pragma once
// What containers print, made harmless for a terminal: a terminal takes orders in what it shows
// (ECMA-48; xterm's control sequences set the window's title and the clipboard).

#include <string>
#include <string_view>

namespace wherry::cli {

// Takes UTF-8 in parts that may end anywhere. Kept are newlines, tabs and colours (SGR, ECMA-48
// section 8.3.117), which end with their line. Other control characters become visible as "^[",
// C1 ones and what is no UTF-8 "\uFFFD"; a carriage return before a newline, and what turns the
// direction of text, go.
class TerminalText {
 public:
  // What can be shown of it now.
  std::string take(std::string_view bytes);
  // What was held back because it seemed to go on. Call once, at the end.
  std::string finish();

 private:
  std::string show_pending(bool at_end);
  // How many bytes at the beginning of `rest` are dealt with; 0 where more must come first.
  size_t step(std::string_view rest, bool at_end, std::string& shown);

  std::string pending_;
  bool coloured_ = false;
};

}  // namespace wherry::cli

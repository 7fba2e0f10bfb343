#include "agent/cli/terminal_text.h"

#include <algorithm>

#include "agent/cli/text_width.h"

namespace wherry::cli {
namespace {

constexpr std::string_view kPlain = "\x1b[0m";
constexpr size_t kLongestColour = 32;

enum class Is { Whole, Unfinished, Other };

// Whether text that begins with ESC begins with a colour, ESC [ 1;31 m, and how long that is.
Is colour(std::string_view text, size_t& bytes) {
  if (text.size() == 1) return Is::Unfinished;
  if (text[1] != '[') return Is::Other;
  const size_t end = text.find_first_not_of("0123456789;:", 2);
  if (end == std::string_view::npos) {
    return text.size() < kLongestColour ? Is::Unfinished : Is::Other;
  }
  bytes = end + 1;
  return text[end] == 'm' && bytes <= kLongestColour ? Is::Whole : Is::Other;
}

// The first bytes of a character whose others have not come.
bool is_cut(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0xC2 || lead > 0xF4) return false;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  return text.size() < length && std::all_of(text.begin() + 1, text.end(), [](char c) {
           return (static_cast<unsigned char>(c) & 0xC0U) == 0x80;
         });
}

void show(std::string_view text, const Character& character, std::string& shown) {
  if (!character.valid || (character.value >= 0x80 && is_control(character.value))) {
    shown += kReplacement;
  } else if (is_control(character.value)) {
    shown += {'^', static_cast<char>(character.value ^ 0x40U)};
  } else if (!turns_text(character.value)) {
    shown += text.substr(0, character.bytes);
  }
}

}  // namespace

size_t TerminalText::step(std::string_view rest, bool at_end, std::string& shown) {
  const Character character = decode(rest);
  if (character.value == '\n') {
    if (coloured_) shown += kPlain;
    coloured_ = false;
    shown += '\n';
    return 1;
  }
  if (character.value == '\t') {
    shown += '\t';
    return 1;
  }
  if (character.value == '\r') {
    if (rest.size() == 1 && !at_end) return 0;
    if (rest.size() > 1 && rest[1] == '\n') return 1;
  }
  if (character.value == 0x1B) {
    size_t bytes = 0;
    const Is kind = colour(rest, bytes);
    if (kind == Is::Unfinished && !at_end) return 0;
    if (kind == Is::Whole) {
      coloured_ = true;
      shown += rest.substr(0, bytes);
      return bytes;
    }
  }
  if (!at_end && is_cut(rest)) return 0;
  show(rest, character, shown);
  return character.bytes;
}

std::string TerminalText::show_pending(bool at_end) {
  std::string shown;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const size_t bytes = step(rest, at_end, shown);
    if (bytes == 0) break;
    rest.remove_prefix(bytes);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return shown;
}

std::string TerminalText::take(std::string_view bytes) {
  pending_ += bytes;
  return show_pending(false);
}

std::string TerminalText::finish() {
  std::string shown = show_pending(true);
  if (coloured_) shown += kPlain;
  coloured_ = false;
  return shown;
}

}  // namespace wherry::cli

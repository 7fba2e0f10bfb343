#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <sys/random.h>

namespace wherry {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  size_t start = 0;
  while (true) {
    const size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end == std::string_view::npos ? end : end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

void replace_all(std::string& text, std::string_view part, std::string_view with) {
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
    text.replace(at, part.size(), with);
    at += with.size();
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > 64) return {};
  std::string_view best;
  // A third of the word may differ (two letters, so that a transposition counts), but never all of
  // it.
  size_t best_distance = std::min(std::max<size_t>(2, word.size() / 3) + 1, word.size());
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  std::vector<size_t> row;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > 64) continue;
    row.resize(candidate.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 0; i < word.size(); ++i) {
      size_t diagonal = row[0]++;
      for (size_t j = 0; j < candidate.size(); ++j) {
        const size_t replaced = diagonal + (lower(word[i]) == lower(candidate[j]) ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return std::string(best);
}

bool is_valid_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  const auto* end = at + text.size();
  while (at < end) {
    if (*at < 0x80) {
      ++at;
      continue;
    }
    int more = 0;
    uint32_t point = 0;
    if ((*at & 0xe0) == 0xc0)
      more = 1, point = *at & 0x1f;
    else if ((*at & 0xf0) == 0xe0)
      more = 2, point = *at & 0x0f;
    else if ((*at & 0xf8) == 0xf0)
      more = 3, point = *at & 0x07;
    else
      return false;
    if (end - at <= more) return false;
    for (int i = 1; i <= more; ++i) {
      if ((at[i] & 0xc0) != 0x80) return false;
      point = point << 6 | (at[i] & 0x3f);
    }
    constexpr uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
    if (point < kSmallest[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    at += more + 1;
  }
  return true;
}

std::string printable(std::string_view text, size_t max) {
  size_t end = std::min(text.size(), max);
  // Never in the middle of a character.
  while (end < text.size() && end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  std::string out(text.substr(0, end));
  const bool utf8 = is_valid_utf8(out);
  for (char& c : out) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) c = '?';
  }
  return end < text.size() ? out + "…" : out;
}

std::string url_without_secrets(std::string_view text) {
  constexpr std::string_view kScheme =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
  const size_t scheme = text.find_first_not_of(kScheme);
  const bool has_scheme =
      scheme != std::string_view::npos && text.substr(scheme).starts_with("://");
  const size_t begin = has_scheme ? scheme + 3 : 0;
  std::string shown(text.substr(0, begin));
  // A password may hold any of these characters itself: what is doubtful is left out.
  const size_t at = text.rfind('@');
  const size_t query = text.find_first_of("?#", begin);
  if (at == std::string_view::npos || at < begin) {
    shown += text.substr(begin, query == std::string_view::npos ? query : query - begin);
  } else if (query == std::string_view::npos || query > at) {
    shown += "...";
    shown += text.substr(at, query == std::string_view::npos ? query : query - at);
  }
  return query == std::string_view::npos ? shown : shown + "?...";
}

std::string random_hex(size_t hex_digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::vector<uint8_t> bytes((hex_digits + 1) / 2);
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  text.resize(hex_digits);
  return text;
}

std::string random_uuid() {
  std::string hex = random_hex(32);
  constexpr std::string_view kVariant = "89ab";
  hex[12] = '4';
  hex[16] = kVariant[static_cast<size_t>(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a') % 4];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

}  // namespace wherry

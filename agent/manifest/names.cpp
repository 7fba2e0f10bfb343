#include "agent/manifest/names.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstdint>

namespace wherry::manifest {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_lower(c) || is_digit(c); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

// Alphanumeric at both ends, `inner` or alphanumeric between.
template <typename Alnum>
bool is_name(std::string_view text, size_t longest, std::string_view inner, Alnum alnum) {
  if (text.empty() || text.size() > longest || !alnum(text.front()) || !alnum(text.back())) {
    return false;
  }
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return alnum(c) || inner.find(c) != std::string_view::npos; });
}

bool is_dns_label(std::string_view text) { return is_name(text, 63, "-", is_lower_alnum); }

bool is_dns_subdomain(std::string_view text) {
  if (text.size() > 253) return false;
  while (true) {
    const size_t dot = text.find('.');
    // Kubernetes bounds only the whole, not each part.
    if (!is_name(text.substr(0, dot), 253, "-", is_lower_alnum)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool has_parent_step(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (path.substr(0, slash) == "..") return true;
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
  return false;
}

}  // namespace

std::string_view dns_label_problem(std::string_view name) {
  if (is_dns_label(name)) return {};
  return "must be a DNS label: 1 to 63 characters of a-z, 0-9 and -, with no - at either end";
}

std::string_view dns_subdomain_problem(std::string_view name) {
  if (is_dns_subdomain(name)) return {};
  return "must be a DNS name: at most 253 characters of a-z, 0-9, - and ., each part beginning and "
         "ending with a letter or digit";
}

std::string_view label_key_problem(std::string_view key) {
  const size_t slash = key.find('/');
  const bool prefixed = slash != std::string_view::npos;
  if (prefixed && !is_dns_subdomain(key.substr(0, slash))) {
    return "the part before / must be a DNS name";
  }
  if (is_name(prefixed ? key.substr(slash + 1) : key, 63, "-_.", is_alnum)) return {};
  return "a key must be 1 to 63 characters of letters, digits, -, _ and ., beginning and ending "
         "with a letter or digit, after an optional DNS name and /";
}

std::string_view label_value_problem(std::string_view value) {
  if (value.empty() || is_name(value, 63, "-_.", is_alnum)) return {};
  return "must be at most 63 characters of letters, digits, -, _ and ., beginning and ending with "
         "a letter or digit";
}

std::string_view port_name_problem(std::string_view name) {
  const bool letter = std::any_of(name.begin(), name.end(), is_lower);
  if (letter && is_name(name, 15, "-", is_lower_alnum) && name.find("--") == name.npos) return {};
  return "must be 1 to 15 characters of a-z, 0-9 and -, with at least one letter, no -- and no - "
         "at either end";
}

std::string_view config_key_problem(std::string_view key) {
  // Volumes keep names that begin with .. for themselves.
  const bool good = !key.empty() && key.size() <= 253 && key != "." && !key.starts_with("..") &&
                    std::all_of(key.begin(), key.end(), [](char c) {
                      return is_alnum(c) || c == '-' || c == '_' || c == '.';
                    });
  if (good) return {};
  return "a key must be 1 to 253 characters of letters, digits, -, _ and ., not beginning with ..";
}

std::string_view env_name_problem(std::string_view name) {
  const bool good = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && c != '=';
  });
  if (good) return {};
  return "must be at least one printable ASCII character, and not =";
}

std::string_view container_path_problem(std::string_view path) {
  if (path.empty() || path.front() != '/') return "must be an absolute path";
  if (has_parent_step(path)) return "must not contain ..";
  if (path.find(':') != std::string_view::npos) return "must not contain :";
  return {};
}

std::string_view sub_path_problem(std::string_view path) {
  if (path.empty()) return "must not be empty";
  if (path.front() == '/') return "must be a relative path";
  if (has_parent_step(path)) return "must not contain ..";
  if (path.size() > 1024) return "must be at most 1024 bytes";
  size_t step = 0;
  for (const char c : path) {
    step = c == '/' ? 0 : step + 1;
    if (step > 255) return "must have names of at most 255 bytes between slashes";
    if (static_cast<unsigned char>(c) < 0x20) return "must not contain control characters";
  }
  return {};
}

std::string plain_sub_path(std::string_view path) {
  std::string plain;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view step = path.substr(0, slash);
    if (!step.empty() && step != ".") plain += (plain.empty() ? "" : "/") + std::string(step);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return plain;
}

std::string_view file_path_problem(std::string_view path) {
  const std::string_view problem = sub_path_problem(path);
  if (!problem.empty()) return problem;
  if (path.substr(0, 2) == "..") return "must not begin with ..";
  const bool odd = path.back() == '/' || path.find("//") != path.npos || path == "." ||
                   path.substr(0, 2) == "./" || path.find("/./") != path.npos ||
                   (path.size() > 1 && path.substr(path.size() - 2) == "/.");
  return odd ? "must be in its plain form, without empty or . steps" : std::string_view();
}

std::optional<std::string> canonical_ip(std::string_view text) {
  const std::string copy(text);
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, copy.c_str(), bytes.data()) != 1) continue;
    if (copy.find('\0') != std::string::npos) return {};
    const std::string ip = inet_ntop(family, bytes.data(), out.data(), out.size());
    return ip == "0.0.0.0" || ip == "::" ? std::string() : ip;
  }
  return {};
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int have = 0, padding = 0;
  size_t symbols = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    ++symbols;
    if (c == '=') {
      if (++padding > 2) return {};
      continue;
    }
    if (padding > 0) return {};
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (is_digit(c)) {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return {};
    }
    bits = bits << 6 | value;
    have += 6;
    if (have < 8) continue;
    have -= 8;
    bytes += static_cast<char>(bits >> have & 0xff);
  }
  if (symbols % 4 != 0 || (bits & ((1U << have) - 1)) != 0) return {};
  return bytes;
}

}  // namespace wherry::manifest

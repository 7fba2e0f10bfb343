#pragma once
// One HTTP/1.1 request as the handlers see it (RFC 9110, RFC 9112). Strict: what is ambiguous is
// refused, because two readings of one request are how filters are walked around.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "agent/api/problem.h"

namespace wherry::http {

// Caps of a request head; past them the answer is 414 or 431.
inline constexpr size_t kMaxHeadBytes = 16u << 10;
inline constexpr size_t kMaxTargetBytes = 4u << 10;
inline constexpr size_t kMaxHeaders = 64;

struct Request {
  std::string method;
  std::string target;             // as sent, for messages
  std::vector<std::string> path;  // decoded segments: "/v1/status" is {"v1", "status"}, "/" is {}
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  bool http_1_0 = false;
  bool chunked = false;
  bool expects_continue = false;
  uint64_t content_length = 0;

  // The only value, or nullptr.
  const std::string* header(std::string_view lower_case_name) const;
  const std::string* param(std::string_view name) const;
  // What is wrong with the query where it has a parameter that is none of these.
  std::optional<Problem> unknown_param(const std::vector<std::string_view>& known) const;
};

// `head` is everything up to and without the empty line; lines end in CRLF.
tl::expected<Request, Problem> parse_head(std::string_view head);

// RFC 3986 section 2.1; nullopt where an escape is broken or the result is not UTF-8 or holds a
// control character. "+" stays "+".
std::optional<std::string> percent_decode(std::string_view text);

bool has_control(std::string_view text);  // but for a tab

std::string_view status_text(int status);

}  // namespace wherry::http

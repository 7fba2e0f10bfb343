#include "agent/api/guard.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/api/dashboard.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

using http::Problem;

constexpr size_t kMinTokenChars = 16;
constexpr size_t kMaxTokenFileBytes = 4096;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// The time tells how long the given text is, never how much of it is right.
bool equal_in_constant_time(std::string_view given, std::string_view expected) {
  unsigned difference = given.size() == expected.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^
                  static_cast<unsigned char>(expected[i % expected.size()]);
  }
  return difference == 0;
}

bool host_is_ours(const std::string& header) {
  std::string host = header;
  const size_t bracket = host.find(']');
  const size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) host.resize(colon);
  std::array<unsigned char, sizeof(in6_addr)> address{};
  if (inet_pton(AF_INET, host.c_str(), address.data()) == 1) return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), address.data()) == 1;
  }
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return equal_ignoring_case(host, "localhost") ||
         (name[0] != '\0' && equal_ignoring_case(host, name.data()));
}

bool is_open_on_loopback(const http::Request& request) {
  if (is_dashboard_file(request.path)) return true;
  return request.path.size() == 1 && (request.path[0] == "healthz" || request.path[0] == "metrics");
}

Problem unauthorized(std::string detail) {
  return {401, std::move(detail), "", {{"WWW-Authenticate", "Bearer realm=\"wherry\""}}};
}

}  // namespace

Result<std::string> Guard::read_token(const std::string& path) {
  if (path.empty()) return fail(Code::FailedPrecondition, "api.listen needs api.token_file");
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    return fail(Code::FailedPrecondition,
                "everybody can read the token file " + path + "; chmod 0640 " + path);
  }
  auto text = read_file(path, kMaxTokenFileBytes);
  if (!text) return fail(text.error(), "read the token file");
  const std::string token(trim(text->substr(0, text->find('\n'))));
  if (token.size() < kMinTokenChars) {
    return fail(Code::FailedPrecondition, "the token in " + path + " is shorter than " +
                                              std::to_string(kMinTokenChars) + " characters");
  }
  return token;
}

std::optional<Problem> Guard::check(const http::Exchange& exchange) const {
  if (!exchange.peer().tcp) return std::nullopt;
  const http::Request& request = exchange.request();
  const std::string* host = request.header("host");
  if (host == nullptr || !host_is_ours(*host)) {
    return Problem{421, "address this device by its IP address, its host name or localhost"};
  }
  if (exchange.peer().loopback && is_open_on_loopback(request)) return std::nullopt;

  // Read anew for each request, so that a changed token counts at once.
  const auto token = read_token(token_file_);
  if (!token) {
    log_warn("API requests over TCP are refused", {{"reason", token.error().full()}});
    return Problem{503, "the agent has no usable token; see its log", "NoToken"};
  }
  constexpr std::string_view kScheme = "bearer ";
  const std::string* authorization = request.header("authorization");
  if (authorization == nullptr || authorization->size() < kScheme.size() ||
      !equal_ignoring_case(std::string_view(*authorization).substr(0, kScheme.size()), kScheme)) {
    return unauthorized("send the header \"Authorization: Bearer <token>\"");
  }
  if (!equal_in_constant_time(trim(std::string_view(*authorization).substr(kScheme.size())),
                              *token)) {
    return unauthorized("the token is wrong");
  }
  return std::nullopt;
}

}  // namespace wherry

#include "agent/api/guard.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <unistd.h>
#include <utility>

#include <openssl/crypto.h>

#include "agent/api/dashboard.h"
#include "base/digest.h"
#include "base/file_access.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

using http::Problem;

constexpr size_t kMinTokenChars = 16;
constexpr size_t kMaxTokenFileBytes = 4096;
constexpr const char* kTooManyRequests = "too many requests from your address";
constexpr Rate kComplaints{.per_second = 1.0 / 60, .at_once = 3};  // of one kind

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Of the digests: the time does not even tell how long the token is.
bool same_secret(std::string_view given, std::string_view expected) {
  const std::string a = sha256_hex(given), b = sha256_hex(expected);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// "host", "host:port", "[v6]:port" without its port; nothing where it is none of those.
std::optional<std::string> host_of(const std::string& header) {
  const size_t bracket = header.find(']');
  const size_t colon = header.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon == std::string::npos) return header;
  const bool digits = std::all_of(header.begin() + static_cast<std::ptrdiff_t>(colon) + 1,
                                  header.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::optional(header.substr(0, colon)) : std::nullopt;
}

bool host_is_ours(const std::string& header) {
  const auto host = host_of(header);
  if (!host) return false;
  std::array<unsigned char, sizeof(in6_addr)> address{};
  if (inet_pton(AF_INET, host->c_str(), address.data()) == 1) return true;
  if (host->size() > 2 && host->front() == '[' && host->back() == ']') {
    return inet_pton(AF_INET6, host->substr(1, host->size() - 2).c_str(), address.data()) == 1;
  }
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return equal_ignoring_case(*host, "localhost") ||
         (name[0] != '\0' && equal_ignoring_case(*host, name.data()));
}

bool changes_something(const http::Request& request) {
  return request.method != "GET" && request.method != "HEAD";
}

// Browsers say where a request comes from: by Sec-Fetch-Site (Fetch Metadata Request Headers) where
// the page came over TLS or from this machine, else by Origin. Other clients send neither.
bool comes_from_another_site(const http::Request& request) {
  if (const std::string* site = request.header("sec-fetch-site")) {
    return *site != "same-origin" && *site != "none";
  }
  const std::string* origin = request.header("origin");
  if (origin == nullptr) return false;
  const std::string* host = request.header("host");
  const size_t scheme = origin->find("://");  // "null" has none
  return host == nullptr || scheme == std::string::npos ||
         !equal_ignoring_case(std::string_view(*origin).substr(scheme + 3), *host);
}

// The only types that a form can have, and that a page may send elsewhere without being asked for.
bool is_form(const http::Request& request) {
  const std::string* type = request.header("content-type");
  if (type == nullptr) return false;
  const std::string_view kind = trim(std::string_view(*type).substr(0, type->find(';')));
  return equal_ignoring_case(kind, "application/x-www-form-urlencoded") ||
         equal_ignoring_case(kind, "multipart/form-data") ||
         equal_ignoring_case(kind, "text/plain");
}

bool is_page_file(const http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  return exchange.peer().loopback && !changes_something(request) && is_dashboard_file(request.path);
}

bool is_open_on_loopback(const http::Request& request) {
  if (is_dashboard_file(request.path)) return true;
  return request.path.size() == 1 && (request.path[0] == "healthz" || request.path[0] == "metrics");
}

// With Refresh a browser that was to show the page asks again by itself.
Problem too_many(const std::string& what, std::string reason, Duration wait) {
  const auto seconds = std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count());
  return {429,
          what + "; try again in " + seconds + " s",
          std::move(reason),
          {{"Retry-After", seconds}, {"Refresh", seconds}}};
}

Problem unauthorized(std::string detail) {
  return {401, std::move(detail), "", {{"WWW-Authenticate", "Bearer realm=\"wherry\""}}};
}

}  // namespace

Result<std::string> Guard::read_token(const std::string& path) {
  if (path.empty()) return fail(Code::FailedPrecondition, "api.listen needs api.token_file");
  // Who may put another file in its place decides who may ask.
  for (const auto& fault : {private_file_fault(path), rule_directory_fault(directory_of(path))}) {
    if (fault) return fail(Code::FailedPrecondition, "api.token_file: " + fault->text());
  }
  auto text = read_file(path, kMaxTokenFileBytes);
  if (!text) return fail(text.error(), "read the token file");
  const std::string token(trim(text->substr(0, text->find('\n'))));
  if (token.size() < kMinTokenChars) {
    return fail(Code::FailedPrecondition, "the token in " + path + " is shorter than " +
                                              std::to_string(kMinTokenChars) + " characters");
  }
  // Clients put it behind "Bearer " as it is: RFC 6750, section 2.1.
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    return fail(Code::FailedPrecondition,
                "the token in " + path +
                    " has a space or another character that clients cannot send, only visible "
                    "ASCII: openssl rand -hex 24 >" +
                    path);
  }
  return token;
}

Guard::Guard(std::string token_file, const ApiRates& rates, const Clock& clock)
    : token_file_(std::move(token_file)),
      requests_(rates.requests, clock),
      page_files_(rates.page_files, clock),
      wrong_tokens_(rates.wrong_tokens, clock),
      complaints_(kComplaints, clock) {}

void Guard::complain(const std::string& message, const std::string& key, const std::string& value) {
  if (complaints_.take(message) == Duration::zero()) log_warn(message, {{key, value}});
}

std::optional<Problem> Guard::admit(http::Peer& peer) {
  const Duration wait = requests_.take(peer.client);
  if (wait == Duration::zero()) return std::nullopt;
  peer.over_rate = peer.loopback && page_files_.wait(peer.client) == Duration::zero();
  if (peer.over_rate) return std::nullopt;
  return too_many(kTooManyRequests, "TooManyRequests", wait);
}

// Only now it is known what is asked for.
std::optional<Problem> Guard::check_rate(const http::Exchange& exchange) {
  const http::Peer& peer = exchange.peer();
  const bool page_file = is_page_file(exchange);
  if (page_file && !peer.over_rate) requests_.give_back(peer.client);
  if (!page_file && !peer.over_rate) return std::nullopt;
  const Duration wait = (page_file ? page_files_ : requests_).take(peer.client);
  if (wait == Duration::zero()) return std::nullopt;
  return too_many(kTooManyRequests, "TooManyRequests", wait);
}

std::optional<Problem> Guard::check(const http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  const bool tcp = exchange.peer().tcp;
  if (tcp) {
    if (auto problem = check_rate(exchange)) return problem;
    const std::string* host = request.header("host");
    if (host == nullptr || !host_is_ours(*host)) {
      return Problem{421, "address this device by its IP address, its host name or localhost"};
    }
  }
  if (changes_something(request) && comes_from_another_site(request)) {
    return Problem{403, "a page of another site may not change anything here", "CrossSite"};
  }
  if (!tcp) return std::nullopt;
  if (exchange.peer().loopback && is_open_on_loopback(request)) return std::nullopt;
  if (auto problem = check_token(exchange)) return problem;
  if (changes_something(request) && is_form(request)) {
    return Problem{415, "send the header \"Content-Type: application/json\", or what the body is"};
  }
  return std::nullopt;
}

std::optional<Problem> Guard::check_token(const http::Exchange& exchange) {
  const std::string& client = exchange.peer().client;
  // Read anew for each request, so that a changed token counts at once.
  const auto token = read_token(token_file_);
  if (!token) {
    complain("API requests over TCP are refused", "reason", token.error().full());
    return Problem{503, "the agent has no usable token; see its log", "NoToken"};
  }
  constexpr std::string_view kScheme = "bearer ";
  const std::string* authorization = exchange.request().header("authorization");
  if (authorization == nullptr || authorization->size() < kScheme.size() ||
      !equal_ignoring_case(std::string_view(*authorization).substr(0, kScheme.size()), kScheme)) {
    return unauthorized("send the header \"Authorization: Bearer <token>\"");
  }
  if (const Duration wait = wrong_tokens_.wait(client); wait > Duration::zero()) {
    return too_many("too many wrong tokens from your address", "TooManyWrongTokens", wait);
  }
  if (same_secret(trim(std::string_view(*authorization).substr(kScheme.size())), *token)) {
    return std::nullopt;
  }
  static_cast<void>(wrong_tokens_.take(client));
  complain("a wrong token was sent over TCP", "client", client);
  return unauthorized("the token is wrong");
}

}  // namespace wherry

// What a registry's refusals mean to us.

#include <algorithm>
#include <charconv>
#include <ctime>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "runtime/image/registry.h"

namespace wherry::runtime {
namespace {

// "MANIFEST_UNKNOWN: manifest unknown" from the specification's error document, or nothing.
std::string registry_words(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("errors") || !json["errors"].is_array()) return {};
  for (const auto& error : json["errors"]) {
    if (!error.is_object()) continue;
    const auto text = [&](const char* key) {
      const auto found = error.find(key);
      return found != error.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const std::string code = text("code");
    const std::string message = text("message");
    if (code.empty() && message.empty()) continue;
    return (code.empty() || message.empty() ? code + message : code + ": " + message)
        .substr(0, 300);
  }
  return {};
}

// RFC 9110 section 5.6.7; of the two obsolete forms no server of today makes use.
std::optional<std::time_t> http_date(const std::string& text) {
  std::tm date{};
  if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return std::nullopt;
  return timegm(&date);
}

struct Meaning {
  Code code;
  std::string_view words;
};

Meaning meaning(int status) {
  switch (status) {
    case 401:
      return {Code::PermissionDenied,
              "it does not exist, or needs credentials (imagePullSecrets, images.docker_config)"};
    case 403:
      return {Code::PermissionDenied, "access is denied to us"};
    case 404:
      return {Code::NotFound, "the registry does not have it"};
    case 429:
      return {Code::ResourceExhausted, "the registry's rate limit is reached"};
    case 501:
      return {Code::FailedPrecondition, "the registry cannot do this"};
    case 408:
    case 502:
    case 503:
    case 504:
      return {Code::Unavailable, "the registry is not available"};
    default:
      return {status >= 500 ? Code::Unavailable : Code::FailedPrecondition,
              "the registry answered unexpectedly"};
  }
}

}  // namespace

std::optional<int64_t> retry_after(const HttpHead& head, WallTime now) {
  const std::string value = head.header("Retry-After");
  if (value.empty()) return std::nullopt;
  constexpr int64_t kLongest = 24 * 3600;  // nobody waits longer, and larger ones overflow
  int64_t seconds = 0;
  const char* last = value.data() + value.size();
  const auto [end, error] = std::from_chars(value.data(), last, seconds);
  if (end == last && error == std::errc::result_out_of_range) return kLongest;
  if (end == last && error == std::errc()) return std::clamp<int64_t>(seconds, 0, kLongest);
  const auto until = http_date(value);
  if (!until) return std::nullopt;
  // By the clock of whoever says so: ours may be wrong, or theirs.
  const auto since = http_date(head.header("Date"));
  const int64_t wait = *until - since.value_or(std::chrono::system_clock::to_time_t(now));
  return std::clamp<int64_t>(wait, 0, kLongest);
}

Error status_error(const HttpHead& head, std::string_view body, const std::string& what) {
  const Meaning means = meaning(head.status);
  // The query may carry a signature or a token.
  std::string text = what.substr(0, what.find('?')) + ": " + std::string(means.words) + " (" +
                     std::to_string(head.status);
  if (const std::string words = registry_words(body); !words.empty() && is_valid_utf8(words)) {
    text += " " + words;
  }
  text += ")";
  const std::string hint = head.header("Retry-After").substr(0, 40);
  if (!hint.empty() && is_valid_utf8(hint)) {
    const bool seconds = hint.find_first_not_of("0123456789") == std::string::npos;
    text += "; it asks to come back " + (seconds ? "in " + hint + " s" : "after " + hint);
  }
  const bool gone = head.status >= 502 && head.status <= 504;
  return {means.code, std::move(text), gone ? "RegistryUnavailable" : ""};
}

}  // namespace wherry::runtime

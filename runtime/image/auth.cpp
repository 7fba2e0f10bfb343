#include "runtime/image/auth.h"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include "base/base64.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxParams = 32;

bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Reads a header from left to right.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  void skip(std::string_view chars) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(chars), rest_.size()));
  }
  bool eat(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void drop() { rest_.remove_prefix(1); }
  std::string_view token() {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_char);
    const std::string_view word = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
    rest_.remove_prefix(word.size());
    return word;
  }
  // A token, or a quoted string with its escapes undone.
  std::string value() {
    if (!eat('"')) return std::string(token());
    std::string out;
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\' && rest_.size() > 1) drop();
      out += rest_.front();
      drop();
    }
    eat('"');
    return out;
  }

 private:
  std::string_view rest_;
};

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::vector<Challenge> parse_www_authenticate(std::string_view header) {
  std::vector<Challenge> challenges;
  Scanner scan(header);
  while (scan.skip(" \t,"), !scan.done()) {
    const std::string_view word = scan.token();
    if (word.empty()) {
      scan.drop();
      continue;
    }
    scan.skip(" \t");
    if (!scan.eat('=')) {  // a scheme stands alone, a parameter does not
      if (challenges.size() == kMaxChallenges) break;
      challenges.push_back({lower(word), {}});
      continue;
    }
    scan.skip(" \t");
    std::string value = scan.value();
    if (challenges.empty() || challenges.back().params.size() == kMaxParams) continue;
    challenges.back().params.emplace(lower(word), std::move(value));
  }
  return challenges;
}

std::string Credential::basic() const {
  return "Basic " + base64_encode(username + ":" + password);
}

Result<Token> parse_token(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail(Code::Unavailable, "the token server did not answer with JSON");
  Token token;
  token.value = text_of(json, "token");
  if (token.value.empty()) token.value = text_of(json, "access_token");
  const bool plain = std::all_of(token.value.begin(), token.value.end(),
                                 [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.value.empty() || !plain) {
    return fail(Code::Unavailable, "the token server's answer holds no token");
  }
  const auto expires = json.find("expires_in");
  if (expires != json.end() && expires->is_number_integer()) {
    token.expires_in = std::clamp<int64_t>(expires->get<int64_t>(), 1, 24 * 3600);
  }
  return token;
}

}  // namespace wherry::runtime

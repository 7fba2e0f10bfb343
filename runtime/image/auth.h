#pragma once
// How we log in to a registry: challenges and tokens.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

// One challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1).
struct Challenge {
  std::string scheme;                         // lower case
  std::map<std::string, std::string> params;  // names in lower case
};
// Tolerant: what cannot be read is left out. At most 16 challenges of 32 parameters.
std::vector<Challenge> parse_www_authenticate(std::string_view header);

struct Credential {
  std::string username;
  std::string password;
  std::string identity_token;  // of OAuth2, instead of the two
  std::string origin;          // where it is from, for messages
  std::string basic() const;   // the value of an Authorization header; never log it
};

struct Token {
  std::string value;
  int64_t expires_in = 60;  // seconds; 60 where the server says nothing, as docker's documents say
};
// The answer of a token server (docker distribution, "Token Authentication Specification").
Result<Token> parse_token(std::string_view json);

}  // namespace wherry::runtime

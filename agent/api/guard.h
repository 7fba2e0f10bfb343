#pragma once
// Who may ask over TCP. The unix socket is guarded by its file mode instead.

#include <optional>
#include <string>

#include "agent/api/http_exchange.h"

namespace wherry {

class Guard {
 public:
  explicit Guard(std::string token_file) : token_file_(std::move(token_file)) {}

  // Nothing where the request may pass; else 401, 421 or 503. A Host that is neither an address,
  // "localhost" nor this machine's name is refused: it is how a page in a browser would reach us
  // through a name that it makes point here (DNS rebinding).
  std::optional<http::Problem> check(const http::Exchange& exchange) const;

  // The token: the first line of the file, at least 16 characters. FailedPrecondition when others
  // than its owner and group can read the file.
  static Result<std::string> read_token(const std::string& path);

 private:
  const std::string token_file_;
};

}  // namespace wherry

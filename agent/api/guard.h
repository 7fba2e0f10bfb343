#pragma once
// Who may ask. Over TCP: how often, under which Host and with what token; the unix socket is
// guarded by its file mode instead. On both: not a page of another site through somebody's browser.

#include <optional>
#include <string>

#include "agent/api/http_exchange.h"
#include "agent/api/rate_limit.h"

namespace wherry {

// Of one client over TCP.
struct ApiRates {
  Rate requests{.per_second = 20, .at_once = 60};
  // For the dashboard's own files, over loopback: they cost next to nothing, anybody may have them,
  // and without them nobody sees the device.
  Rate page_files{.per_second = 500, .at_once = 1000};
  Rate wrong_tokens{.per_second = 0.1, .at_once = 10};
};

// Thread-safe. The clock must outlive it.
class Guard {
 public:
  Guard(std::string token_file, const ApiRates& rates, const Clock& clock);

  // Nothing where a connection may be let in; else 429. Counts it, or notes that it is over the
  // rate where it is let in only because it may be for one of the dashboard's files.
  std::optional<http::Problem> admit(http::Peer& peer);
  // Nothing where the request may pass; else 401, 403, 415, 421, 429 or 503. A Host that is neither
  // an address, "localhost" nor this machine's name is refused: it is how a page in a browser would
  // reach us through a name that it makes point here (DNS rebinding). After too many wrong tokens
  // none of that client is looked at for a while.
  std::optional<http::Problem> check(const http::Exchange& exchange);

  // The token: the first line of the file, at least 16 characters. FailedPrecondition, with what
  // mends it, when others than its owner, who is root or the present user, can change the file or
  // its directory, or others than its owner and group read it.
  static Result<std::string> read_token(const std::string& path);

 private:
  std::optional<http::Problem> check_rate(const http::Exchange& exchange);
  std::optional<http::Problem> check_token(const http::Exchange& exchange);
  // Not each time: whoever can connect could fill the log.
  void complain(const std::string& message, const std::string& key, const std::string& value);

  const std::string token_file_;
  RateLimit requests_, page_files_, wrong_tokens_, complaints_;
};

}  // namespace wherry

#pragma once
// HTTP requests that stream, stop at once when cancelled, and say what went wrong.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "runtime/image/hosts.h"
#include "runtime/image/proxy.h"
#include "runtime/image/url.h"

namespace wherry::runtime {

struct CaselessLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};
using HttpHeaders = std::multimap<std::string, std::string, CaselessLess>;

struct HttpRequest {
  std::string method = "GET";
  Url url;
  HttpHeaders headers;
  std::string body{};
  std::string body_type{};  // where there is a body
  Duration connect{};       // instead of HttpTimeouts::connect, where it is not zero
};

struct HttpHead {
  int status = 0;
  HttpHeaders headers;
  std::string header(std::string_view name) const;  // the first one, or empty
  // All lines of that name as one list (RFC 9110 section 5.3).
  std::string joined(std::string_view name) const;
};

struct HttpTimeouts {
  Duration connect = std::chrono::seconds(15);  // each address of a host
  // No byte for this long, or less than a kilobyte: a link that gives a byte now and then is none.
  // A TLS handshake, and a proxy's answer to CONNECT, have no longer in all.
  Duration stall = std::chrono::seconds(30);
  // Bytes that may be under way to us on one connection; 0: as the kernel likes. What has been sent
  // and not been read is lost with the process, and fetched again.
  int window = 0;
};

// Gets the body piece by piece (a few KiB each), after the head. An error ends the request with
// that error. Not called where there is no body.
using BodySink = std::function<Status(const HttpHead&, std::string_view)>;

// Connections of one pull, kept alive between its requests and reused by its threads. Thread-safe.
class HttpSession {
 public:
  explicit HttpSession(HttpTimeouts timeouts, ProxySettings proxies = {});
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  // One exchange; redirects and statuses are the caller's business. Errors: Cancelled; Unavailable
  // (broken off, stalled; with reason RegistryUnavailable where no answer came); FailedPrecondition
  // (certificate, TLS, proxy, unreadable certificate file); PermissionDenied (by a proxy).
  Result<HttpHead> send(const HttpRequest& request, const TlsOptions& tls, const BodySink& sink,
                        const CancelToken& cancel);

 private:
  class Connection;
  Result<std::unique_ptr<Connection>> take(const HttpRequest& request, const TlsOptions& tls);
  void give_back(std::unique_ptr<Connection> connection);

  const HttpTimeouts timeouts_;
  const ProxySettings proxies_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace wherry::runtime

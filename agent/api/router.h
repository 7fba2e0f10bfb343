#pragma once
// Which handler answers which method and path: the routes of docs/rest.md.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/api/http_exchange.h"

namespace wherry {

// The captured {…} segment of the path; empty where the route has none.
using RouteHandler = std::function<void(http::Exchange&, const std::string& name)>;

struct Route {
  std::string_view method;   // GET also answers HEAD
  std::string_view pattern;  // "/v1/workloads/{name}/logs"; {name} is a DNS label (RFC 1123)
  RouteHandler handler;
  std::vector<std::string_view> params{};  // query parameters; others are refused
};

class Router {
 public:
  explicit Router(std::vector<Route> routes);
  std::vector<const Route*> routes() const;
  // A 400, 404 or 405 problem where no handler takes it.
  void handle(http::Exchange& exchange) const;

 private:
  struct Entry {
    Route route;
    std::vector<std::string> segments;
  };
  std::vector<Entry> entries_;
};

}  // namespace wherry

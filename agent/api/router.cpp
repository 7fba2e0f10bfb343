#include "agent/api/router.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"

namespace wherry {
namespace {

using http::Problem;

bool is_dns_label(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 63 && plain(text.front()) && plain(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-'; });
}

// The captured segment (or "") when the path fits.
std::optional<std::string> match(const std::vector<std::string>& pattern,
                                 const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::string captured;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == "{name}") {
      captured = path[i];
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return captured;
}

}  // namespace

Router::Router(std::vector<Route> routes) {
  for (Route& route : routes) {
    std::vector<std::string> segments;
    if (route.pattern != "/") segments = split(route.pattern.substr(1), '/');
    entries_.push_back({std::move(route), std::move(segments)});
  }
}

std::vector<const Route*> Router::routes() const {
  std::vector<const Route*> all;
  for (const Entry& entry : entries_) all.push_back(&entry.route);
  return all;
}

void Router::handle(http::Exchange& exchange) const {
  const http::Request& request = exchange.request();
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::set<std::string> allowed;
  for (const Entry& entry : entries_) {
    const auto name = match(entry.segments, request.path);
    if (!name) continue;
    allowed.emplace(entry.route.method);
    if (entry.route.method == "GET") allowed.emplace("HEAD");
    if (entry.route.method != method) continue;
    if (entry.route.pattern.find("{name}") != std::string_view::npos && !is_dns_label(*name)) {
      return exchange.respond(
          Problem{400, "\"" + *name + "\" is not a workload name (a-z, 0-9 and -, at most 63)"});
    }
    if (auto problem = request.unknown_param(entry.route.params)) return exchange.respond(*problem);
    return entry.route.handler(exchange, *name);
  }
  if (allowed.empty()) {
    return exchange.respond(
        Problem{404, "there is nothing at this path; GET /openapi.json lists what there is"});
  }
  const std::string methods = join({allowed.begin(), allowed.end()}, ", ");
  exchange.respond(Problem{405, "this path takes " + methods + " only", "", {{"Allow", methods}}});
}

}  // namespace wherry

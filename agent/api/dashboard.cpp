#include "agent/api/dashboard.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "dashboard_files.h"  // made from agent/api/dashboard/

namespace wherry {
namespace {

// Own scripts and styles only, none of them in the page itself, and no markup made of texts
// (require-trusted-types-for): what a container prints can never become a part of the page.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

const dashboard::File* find(const std::vector<std::string>& path) {
  if (path.size() > 1) return nullptr;
  const std::string_view name = path.empty() ? std::string_view() : path.front();
  const auto* const found = std::find_if(std::begin(dashboard::files), std::end(dashboard::files),
                                         [&](const auto& file) { return file.path == name; });
  return found == std::end(dashboard::files) ? nullptr : found;
}

// RFC 9110, section 12.5.3: named, and not with a weight of 0.
bool takes_gzip(const http::Request& request) {
  const std::string* const accepted = request.header("accept-encoding");
  if (accepted == nullptr) return false;
  for (const std::string& coding : split(*accepted, ',')) {
    const size_t end = coding.find(';');
    if (trim(coding.substr(0, end)) != "gzip") continue;
    if (end == std::string::npos) return true;
    const std::string weight(trim(coding.substr(end + 1)));
    return weight.find_first_of("123456789") != std::string::npos;
  }
  return false;
}

std::string_view text_of(std::span<const unsigned char> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

bool is_dashboard_file(const std::vector<std::string>& path) { return find(path) != nullptr; }

void answer_dashboard(http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  const dashboard::File& file = *find(request.path);
  // Weak: it stands for the file, packed or not.
  const std::string tag = "\"" + std::string(file.digest) + "\"";
  http::Headers headers{{"Cache-Control", "no-cache"},  // kept, but asked about each time
                        {"ETag", "W/" + tag},
                        {"Vary", "Accept-Encoding"},
                        {"Content-Security-Policy", kPolicy},
                        {"X-Frame-Options", "DENY"},
                        {"Referrer-Policy", "no-referrer"},
                        {"Cross-Origin-Resource-Policy", "same-origin"}};
  const std::string* const known = request.header("if-none-match");
  if (known != nullptr && known->find(tag) != std::string::npos) {
    return exchange.respond(304, file.type, "", headers);
  }
  if (!takes_gzip(request)) return exchange.respond(200, file.type, text_of(file.plain), headers);
  headers.emplace_back("Content-Encoding", "gzip");
  exchange.respond(200, file.type, text_of(file.packed), headers);
}

}  // namespace wherry

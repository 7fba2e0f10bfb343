// Names, addresses and credentials.

#include <algorithm>
#include <charconv>

#include "base/base64.h"
#include "base/digest.h"
#include "base/text.h"
#include "runtime/image/auth.h"
#include "runtime/image/docker_config.h"
#include "runtime/image/hosts.h"
#include "runtime/image/reference.h"
#include "runtime/image/url.h"
#include "tests/fuzz/image_invariants.h"

namespace wherry {
namespace {

using namespace runtime;

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool is_token(std::string_view text) {
  return !text.empty() && is_printable(text) &&
         text.find_first_of(" \"(),/:;<=>?@[\\]{}") == std::string_view::npos;
}

// A URL that we take for one means the same written out.
std::string broken_parts(const Url& url) {
  if (url.host.empty() || !url.target.starts_with("/")) return "a URL without host or path";
  if (url.port < 1 || url.port > 65535) return "a port out of range";
  if (!is_printable(url.text()) || url.text().find_first_of(" #") != std::string::npos) {
    return "a URL that is no single word";
  }
  const auto again = parse_url(url.text());
  if (!again) return "a URL that is none written out: " + again.error().full();
  if (again->tls != url.tls || again->host != url.host || again->port != url.port ||
      again->target != url.target) {
    return "another URL written out: " + url.text() + " -> " + again->text();
  }
  return {};
}

std::string broken_host(const RegistryHost& host) {
  const auto url = parse_url(host.base + "/a/manifests/1");
  if (!url) return "a base that is no URL: " + url.error().full();
  if (host.base.ends_with("/")) return "a base that ends in a slash";
  if (std::string broken = broken_parts(*url); !broken.empty()) return broken;
  for (const auto& [name, value] : host.headers) {
    if (!is_token(name)) return "a header's name that is none: " + name;
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return "a header of several lines";
    }
  }
  for (const ClientPair& each : host.tls.clients) {
    if (!each.certificate.starts_with("/") || !each.key.starts_with("/")) {
      return "a client pair that is relative: " + each.certificate + ", " + each.key;
    }
  }
  for (const std::string& file : host.tls.ca_files) {
    if (!file.starts_with("/")) return "a certificate file that is relative: " + file;
  }
  return {};
}

std::string broken_challenges(std::string_view text) {
  const std::vector<Challenge> challenges = parse_www_authenticate(text);
  if (challenges.size() > 16) return "more than 16 challenges";
  for (const Challenge& each : challenges) {
    if (!is_token(each.scheme)) return "a scheme that is no token";
    if (each.params.size() > 32) return "more than 32 parameters";
    for (const auto& [name, value] : each.params) {
      if (!is_token(name)) return "a parameter whose name is no token";
      if (value.size() > text.size()) return "a value longer than the header";
      if (std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
        return "a name in upper case";
      }
    }
  }
  return {};
}

std::string broken_credentials(std::string_view text) {
  const auto config = parse_docker_config(text);
  if (!config) return broken_error(config.error(), {Code::InvalidArgument});
  for (const RegistryCredential& each : config->auths) {
    Credential credential;
    credential.username = each.username;
    credential.password = each.password;
    if (!is_printable(credential.basic())) {
      return "credentials that smuggle a header";
    }
  }
  return {};
}

}  // namespace

std::string broken_error(const Error& error, std::initializer_list<Code> codes) {
  constexpr size_t kLongest = 2000;
  const std::string text = error.full();
  if (std::find(codes.begin(), codes.end(), error.code()) == codes.end()) {
    return "an error of another kind: " + std::string(to_string(error.code())) + ": " + text;
  }
  if (error.message().empty()) return "an error without words";
  if (text.size() > kLongest) return "an endless message: " + text;
  if (!is_valid_utf8(text)) return "a message that is no UTF-8: " + text;
  if (std::any_of(text.begin(), text.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return "a message of several lines, or with control characters: " + text;
  }
  return {};
}

std::string broken_reference(std::string_view text) {
  const auto reference = parse_reference(text);
  if (!reference) {
    if (reference.error().reason() != "InvalidImageName") return "another reason";
    return broken_error(reference.error(), {Code::InvalidArgument});
  }
  const std::string name = reference->name();
  if (name.size() > 255 + 129 || !is_printable(name)) return "an odd name: " + name;
  if (!is_valid_repository(reference->repository)) return "an odd repository: " + name;
  if (!reference->tag.empty() && !is_valid_tag(reference->tag)) return "an odd tag: " + name;
  if (!reference->digest.empty() && !is_sha256_digest(reference->digest)) {
    return "an odd digest: " + name;
  }
  const auto again = parse_reference(name);
  if (!again) return "a name that is no reference: " + again.error().full();
  if (again->name() != name || again->host != reference->host ||
      again->repository != reference->repository) {
    return "another name the second time: " + name + " -> " + again->name();
  }
  const auto hosts = registry_hosts("", reference->host);
  if (!hosts || hosts->size() != 1) return "no registry for " + name;
  return broken_host(hosts->at(0));
}

std::string broken_hosts_toml(std::string_view toml) {
  const std::string path = "/etc/certs.d/r.local:5000/hosts.toml";
  const auto hosts = parse_hosts_toml(toml, path, "r.local:5000");
  if (!hosts) {
    const std::string& message = hosts.error().message();
    if (!message.starts_with(path + ":")) return "no file is named: " + message;
    const char* digits = message.data() + path.size() + 1;
    long line = 0;
    std::from_chars(digits, message.data() + message.size(), line);
    if (line < 1 || line > std::count(toml.begin(), toml.end(), '\n') + 1) {
      return "a line that the file does not have: " + message;
    }
    return broken_error(hosts.error(), {Code::FailedPrecondition});
  }
  if (hosts->empty()) return "no host at all";
  for (const RegistryHost& host : *hosts) {
    if (std::string broken = broken_host(host); !broken.empty()) return broken;
  }
  return {};
}

std::string broken_access(std::string_view text) {
  if (std::string broken = broken_challenges(text); !broken.empty()) return broken;
  const auto token = parse_token(text);
  if (!token) {
    std::string broken = broken_error(token.error(), {Code::Unavailable});
    if (!broken.empty()) return broken;
  } else if (!is_printable(token->value) || token->value.find(' ') != std::string::npos ||
             token->expires_in < 1 || token->expires_in > 24 * 3600) {
    return "a token that smuggles a header, or lives for an odd time";
  }
  if (base64_decode(base64_encode(text)) != text) return "base64 loses something";
  const auto plain = base64_decode(text);
  if (plain && plain->size() > text.size()) return "base64 makes something of nothing";
  return broken_credentials(text);
}

std::string broken_url(std::string_view text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const auto base = parse_url(text.substr(0, end));
  if (!base) return broken_error(base.error(), {Code::InvalidArgument});
  if (std::string broken = broken_parts(*base); !broken.empty()) return broken;
  const auto next = resolve_location(*base, text.substr(std::min(end + 1, text.size())));
  if (!next) {
    return broken_error(next.error(), {Code::Unavailable, Code::PermissionDenied});
  }
  if (base->tls && !next->tls) return "from TLS to plain";
  return broken_parts(*next);
}

}  // namespace wherry

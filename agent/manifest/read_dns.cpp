// How a Pod resolves names: hostAliases, dnsPolicy and dnsConfig.

#include <utility>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"

namespace wherry::manifest {
namespace {

// Limits of the Kubernetes API (PodDNSConfig).
constexpr size_t kMaxNameservers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchBytes = 2048;

// The strings of a list, each with its cursor.
template <typename Body>
void each_text(const Cursor& object, std::string_view field, Body body) {
  object.each(field, Kind::String, [&](const Cursor& entry) { body(entry, entry.node().text); });
}

std::string address_of(const Cursor& entry, std::string_view text) {
  std::optional<std::string> ip = canonical_ip(text);
  if (ip && !ip->empty()) return std::move(*ip);
  entry.error("must be an IPv4 or IPv6 address of a host");
  return {};
}

// Written into a line of resolv.conf: nothing in it may end the word.
bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n#;") == std::string_view::npos;
}

// A search domain may begin with an underscore (RFC 2782) and end in the root's dot.
std::string_view search_problem(std::string_view domain) {
  if (domain == ".") return {};
  if (domain.ends_with('.')) domain.remove_suffix(1);
  std::string plain(domain);
  for (char& c : plain) {
    if (c == '_') c = 'a';
  }
  return dns_subdomain_problem(plain);
}

void read_options(const Cursor& config, runtime::PodDns& dns) {
  config.each("options", Kind::Map, [&](const Cursor& entry) {
    const std::string_view name = entry.string("name");
    const std::string_view value = entry.string("value");
    if (entry.get("name", Kind::String) == nullptr) return;
    if (!is_word(name) || name.find(':') != std::string_view::npos) {
      return entry.error_at("name", "must be the name of an option, such as ndots");
    }
    if (entry.get("value", Kind::String) != nullptr && !is_word(value)) {
      return entry.error_at("value", "must be one word, or left out");
    }
    std::string option(name);
    if (!value.empty()) option.append(":").append(value);
    dns.options.push_back(std::move(option));
  });
}

void read_config(const Cursor& config, runtime::PodDns& dns) {
  each_text(config, "nameservers", [&](const Cursor& entry, std::string_view text) {
    dns.nameservers.push_back(address_of(entry, text));
  });
  if (dns.nameservers.size() > kMaxNameservers) {
    config.error_at("nameservers", "a resolver looks at 3 name servers at most");
  }
  size_t bytes = 0;
  each_text(config, "searches", [&](const Cursor& entry, std::string_view text) {
    if (const auto problem = search_problem(text); !problem.empty()) {
      entry.error(std::string(problem));
    }
    bytes += text.size() + 1;
    dns.searches.emplace_back(text);
  });
  if (dns.searches.size() > kMaxSearches || bytes > kMaxSearchBytes + 1) {
    config.error_at("searches", "at most 32 domains of 2048 bytes together");
  }
  read_options(config, dns);
}

}  // namespace

void read_host_aliases(const Cursor& spec, runtime::PodSpec& pod) {
  spec.each("hostAliases", Kind::Map, [&](const Cursor& entry) {
    runtime::HostAlias alias;
    if (const Node* ip = entry.get("ip", Kind::String)) {
      const Cursor at(entry, "ip", *ip);
      alias.ip = address_of(at, ip->text);
    }
    each_text(entry, "hostnames", [&](const Cursor& name, std::string_view text) {
      if (const auto problem = dns_subdomain_problem(text); !problem.empty()) {
        name.error(std::string(problem));
      }
      alias.hostnames.emplace_back(text);
    });
    const Node* names = entry.get("hostnames", Kind::List);
    if (names != nullptr && names->count == 0) {
      entry.error_at("hostnames", "an alias needs at least one name");
    }
    pod.host_aliases.push_back(std::move(alias));
  });
}

void read_dns(const Cursor& spec, runtime::PodSpec& pod) {
  pod.dns.of_device = spec.string("dnsPolicy") != "None";
  spec.with("dnsConfig", [&](const Cursor& config) { read_config(config, pod.dns); });
  if (!pod.dns.of_device && pod.dns.nameservers.empty()) {
    spec.error_at("dnsPolicy", "None needs dnsConfig.nameservers: there would be no name server");
  }
}

}  // namespace wherry::manifest

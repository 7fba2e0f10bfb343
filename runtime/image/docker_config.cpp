#include "runtime/image/docker_config.h"

#include <algorithm>
#include <fnmatch.h>
#include <tuple>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "runtime/image/auth.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

tl::unexpected<Error> wrong(const std::string& message) {
  return fail(Code::InvalidArgument, message);
}

// An entry without credentials stands for a log-in that a helper keeps.
Result<RegistryCredential> read_entry(const std::string& key, const Json& entry,
                                      const std::string& where) {
  RegistryCredential credential{credential_host(key), text_of(entry, "username"),
                                text_of(entry, "password"), text_of(entry, "identitytoken")};
  const std::string packed = text_of(entry, "auth");
  if (packed.empty()) return credential;
  const auto plain = base64_decode(packed);
  const size_t colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos) return wrong(where + ".auth is not base64 of user:password");
  credential.username = plain->substr(0, colon);
  credential.password = plain->substr(colon + 1);
  // Some versions of docker fill it up with NUL.
  while (credential.password.ends_with('\0')) credential.password.pop_back();
  return credential;
}

Result<std::vector<RegistryCredential>> read_auths(const Json& auths, const std::string& where) {
  std::vector<RegistryCredential> all;
  if (!auths.is_object()) return wrong(where + " is not a JSON object");
  for (const auto& [key, entry] : auths.items()) {
    const std::string name = where + "[\"" + (is_valid_utf8(key) ? key.substr(0, 100) : "") + "\"]";
    if (!entry.is_object()) return wrong(name + " is not a JSON object");
    auto credential = read_entry(key, entry, name);
    if (!credential) return fail(credential.error());
    const bool empty = credential->username.empty() && credential->identity_token.empty();
    if (!empty) all.push_back(std::move(*credential));
  }
  return all;
}

// "host:port" and the path behind it.
std::pair<std::string_view, std::string_view> take_apart(std::string_view key) {
  const size_t slash = std::min(key.find('/'), key.size());
  return {key.substr(0, slash), key.substr(slash)};
}

std::pair<std::string_view, std::string_view> port_apart(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.ends_with("]")) return {host, {}};
  return {host.substr(0, colon), host.substr(colon + 1)};
}

bool host_matches(std::string_view pattern, std::string_view host) {
  const auto [pattern_name, pattern_port] = port_apart(pattern);
  const auto [name, port] = port_apart(host);
  if (pattern_port != port) return false;
  if (pattern_name == name) return true;
  const std::vector<std::string> globs = split(pattern_name, '.');
  const std::vector<std::string> parts = split(name, '.');
  return std::equal(globs.begin(), globs.end(), parts.begin(), parts.end(),
                    [](const std::string& glob, const std::string& part) {
                      return fnmatch(glob.c_str(), part.c_str(), FNM_NOESCAPE) == 0;
                    });
}

}  // namespace

std::string credential_host(std::string_view key) {
  if (const size_t scheme = key.find("://"); scheme != std::string_view::npos) {
    key.remove_prefix(scheme + 3);
  }
  auto [host, path] = take_apart(key);
  if (path == "/v1" || path == "/v2" || path.starts_with("/v1/") || path.starts_with("/v2/")) {
    path.remove_prefix(3);
  }
  while (path.ends_with("/")) path.remove_suffix(1);
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
  return std::string(host) + std::string(path);
}

std::vector<RegistryCredential> credentials_for(const std::vector<RegistryCredential>& all,
                                                const std::string& host,
                                                const std::string& repository) {
  std::vector<RegistryCredential> found;
  for (const RegistryCredential& each : all) {
    const auto [pattern, path] = take_apart(each.host);
    if (host_matches(pattern, host) && ("/" + repository).starts_with(path)) found.push_back(each);
  }
  const auto rank = [](const RegistryCredential& each) {
    return std::make_tuple(each.host.find_first_of("*?[") != std::string::npos,
                           -static_cast<int64_t>(each.host.size()));
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return found;
}

Result<DockerConfig> parse_docker_config(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return wrong("is not a JSON object");
  DockerConfig config;
  if (const auto auths = json.find("auths"); auths != json.end() && !auths->is_null()) {
    auto read = read_auths(*auths, "auths");
    if (!read) return fail(read.error());
    config.auths = std::move(*read);
  }
  config.store = text_of(json, "credsStore");
  const auto helpers = json.find("credHelpers");
  if (helpers == json.end() || helpers->is_null()) return config;
  if (!helpers->is_object()) return wrong("credHelpers is not a JSON object");
  for (const auto& [host, helper] : helpers->items()) {
    if (!helper.is_string()) return wrong("credHelpers: a helper is named by a string");
    config.helpers[credential_host(host)] = helper.get<std::string>();
  }
  return config;
}

Result<std::vector<RegistryCredential>> parse_pull_secret(std::string_view text, bool legacy) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return wrong("is not a JSON object");
  if (legacy) return read_auths(json, "it");
  const auto auths = json.find("auths");
  if (auths == json.end()) return wrong("has no \"auths\"");
  return read_auths(*auths, "auths");
}

}  // namespace wherry::runtime

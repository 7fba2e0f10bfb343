// How a registry comes to trust us: challenges answered, tokens fetched, credentials tried in turn.

#include <algorithm>

#include "base/text.h"
#include "runtime/image/registry_parts.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxTokenBody = 1u << 20;
constexpr const char* kWrongCredentials = "WrongCredentials";  // never leaves this file

const Challenge* named(const std::vector<Challenge>& all, std::string_view scheme) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Challenge& each) { return each.scheme == scheme; });
  return found == all.end() ? nullptr : &*found;
}

std::string param(const Challenge& challenge, const char* key) {
  const auto found = challenge.params.find(key);
  return found == challenge.params.end() ? std::string() : found->second;
}

// Only what we need, whatever the challenge names; but of the repository that it names: behind a
// mirror it may be called something else than we call it.
std::string scope_of(const Challenge& challenge, const std::string& ours) {
  constexpr std::string_view kRepository = "repository:";
  std::string name;
  const std::string scopes = param(challenge, "scope");
  std::string_view rest = scopes;
  while (!rest.empty()) {
    const std::string_view scope = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(scope.size() + 1, rest.size()));
    const size_t end = scope.rfind(':');  // "repository:a.local:5000/x:pull,push"
    if (!scope.starts_with(kRepository) || end <= kRepository.size()) continue;
    const std::string_view each = scope.substr(kRepository.size(), end - kRepository.size());
    if (name.empty() || each == ours) name = each;
  }
  return std::string(kRepository) + (name.empty() ? ours : name) + ":pull";
}

}  // namespace

// `refused` is the authorization that the host did not take. False: we have no name to give, and
// went in without one in vain.
Result<bool> Registry::log_in(Host& host, const std::string& refused, const std::string& header,
                              const CancelToken& cancel) {
  const auto alone = log_ins_.enter(host.settings.base, cancel);
  if (!alone) return fail(alone.error());
  {
    const std::lock_guard lock(mutex_);
    // Another thread was in here meanwhile.
    if (host.authorization != refused && !host.authorization.empty()) {
      const bool fresh = host.expires == MonoTime{} || clock_.now() < host.expires;
      if (fresh) return true;
    }
    // What was good once has expired; what never was is wrong.
    const bool again = host.accepted || host.authorization.empty() || refused.empty();
    if (!again) host.credential.reset();
    if (host.accepted) host.nameless = false;
    host.accepted = false;
    host.authorization.clear();
  }
  return log_in_alone(host, parse_www_authenticate(header), cancel);
}

Result<bool> Registry::log_in_alone(Host& host, const std::vector<Challenge>& challenges,
                                    const CancelToken& cancel) {
  const Challenge* bearer = named(challenges, "bearer");
  if (bearer == nullptr && named(challenges, "basic") == nullptr) {
    return fail(Code::PermissionDenied,
                host.settings.base + " refuses, and offers no way to log in that we know");
  }
  while (true) {
    const auto chosen = choose_credential(host, bearer != nullptr, cancel);
    if (!chosen || !*chosen) return chosen;
    std::string authorization;
    MonoTime expires{};
    if (bearer == nullptr) {
      authorization = host.credential->basic();
    } else {
      auto token = fetch_token(host, *bearer, cancel);
      if (!token && token.error().reason() == kWrongCredentials) {
        host.credential.reset();  // perhaps the next are right
        continue;
      }
      if (!token) return fail(token.error());
      authorization = "Bearer " + token->value;
      host.nameless = !host.credential;
      // Before it expires on its way.
      expires = clock_.now() + std::chrono::milliseconds(token->expires_in * 900);
    }
    const std::lock_guard lock(mutex_);
    host.authorization = std::move(authorization);
    host.expires = expires;
    return true;
  }
}

// The one in use, or else the next, or else none at all: a token can be had without, once. False:
// that is how it was.
Result<bool> Registry::choose_credential(Host& host, bool for_token, const CancelToken& cancel) {
  while (!host.credential) {
    auto next = host.queue->next(cancel);
    if (!next) return fail(next.error());
    if (!*next) break;
    host.origins.insert((*next)->origin);
    if (for_token || (*next)->identity_token.empty()) host.credential = std::move(*next);
  }
  if (host.credential) return true;
  if (!for_token || !host.origins.empty()) return fail(refused_by(host));
  if (!host.nameless) return true;
  if (host.queue->trouble()) return fail(refused_by(host));
  return false;
}

// Nothing we have lets us in.
Error Registry::refused_by(const Host& host) const {
  const std::string& name = host.settings.base;
  if (host.origins.empty() && host.queue->trouble()) {
    return host.queue->trouble()->wrap(name + " needs credentials");
  }
  if (host.origins.empty()) {
    return {Code::PermissionDenied, name +
                                        " needs a user name and password: name them in the Pod's "
                                        "imagePullSecrets, or add them to images.docker_config"};
  }
  std::string from;
  for (const std::string& origin : host.origins) from += (from.empty() ? "" : ", ") + origin;
  return {Code::PermissionDenied, name + " refuses our credentials for " + reference_.repository +
                                      " (from " + from +
                                      "): check user name, password and what they may read"};
}

// With the credential in use, or without any.
Result<Token> Registry::fetch_token(Host& host, const Challenge& challenge,
                                    const CancelToken& cancel) {
  const std::string realm = param(challenge, "realm");
  const auto url = parse_url(realm);
  if (!url) {
    return fail(Code::FailedPrecondition,
                host.settings.base + " names a token server: " + url.error().message());
  }
  if (!url->tls && host.settings.base.starts_with("https://")) {
    return fail(Code::PermissionDenied,
                host.settings.base + " sends us to a token server without TLS: " + realm);
  }
  std::string query = "scope=" + encode_query(scope_of(challenge, reference_.repository));
  if (const std::string service = param(challenge, "service"); !service.empty()) {
    query += "&service=" + encode_query(service);
  }
  Ask ask;
  std::string basic;
  if (host.credential && !host.credential->identity_token.empty()) {
    ask.method = "POST";
    ask.url = realm;
    ask.form = query + "&grant_type=refresh_token&client_id=wherry&refresh_token=" +
               encode_query(host.credential->identity_token);
  } else {
    ask.url = realm + (realm.find('?') == std::string::npos ? "?" : "&") + query;
    if (host.credential) basic = host.credential->basic();
  }
  std::string body;
  ask.body = [&](const HttpHead&, std::string_view bytes) -> Status {
    if (body.size() + bytes.size() > kMaxTokenBody) {
      return fail(Code::Unavailable, "the token server's answer is too long");
    }
    body += bytes;
    return {};
  };
  Host server;  // a server of its own: nothing that was configured for the registry but trust
  server.settings.tls = host.settings.tls;
  const auto home = parse_url(host.settings.base);
  if (!home || home->authority() != url->authority()) {
    server.settings.tls = {false, host.settings.tls.ca_files, {}};
  }
  auto answer = patiently(cancel, [&] { return follow(server, ask, basic, cancel); });
  if (!answer) return fail(answer.error(), "token server " + url->authority());
  if (!answer->good()) {
    Error error = refusal(*answer, "token server " + realm);
    // It is the token server that is not there: of the image this says nothing.
    if (error.code() == Code::NotFound) error = {Code::FailedPrecondition, error.message()};
    const int status = answer->head.status;
    const bool wrong = status == 400 || status == 401 || status == 403;
    return fail(wrong && host.credential ? error.with_reason(kWrongCredentials) : error);
  }
  auto token = parse_token(body);
  if (!token) return fail(token.error(), realm.substr(0, realm.find('?')));
  return token;
}

}  // namespace wherry::runtime

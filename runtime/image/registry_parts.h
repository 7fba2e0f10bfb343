#pragma once
// What the files of Registry share. Private to it.

#include <optional>
#include <set>
#include <string>

#include "runtime/image/registry.h"

namespace wherry::runtime {

constexpr int64_t kLongestPatience = 20;  // seconds, within a pull

struct Registry::Ask {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers{};
  // Of a good answer; those of others are kept for the error message.
  BodySink body{};
  std::string form{};  // sent along (POST); such a request follows no redirect
};

struct Registry::Answer {
  HttpHead head;
  std::string error_body;
  bool good() const { return head.status >= 200 && head.status < 300; }
  bool busy() const { return head.status == 429 || head.status == 503; }
};

// A host that asks for patience gets it a few times, as long as it does not ask for much.
template <typename Attempt>
Result<Registry::Answer> Registry::patiently(const CancelToken& cancel, const Attempt& attempt) {
  constexpr int kMaxPatience = 3;
  for (int patience = 0;; ++patience) {
    auto answer = attempt();
    if (!answer || !answer->busy() || patience == kMaxPatience) return answer;
    const int64_t wait = retry_after(answer->head, clock_.wall()).value_or(1 + patience);
    if (wait > kLongestPatience) return answer;
    if (cancel.wait_for(std::chrono::seconds(wait))) return fail(Code::Cancelled, "cancelled");
  }
}

struct Registry::Host {
  RegistryHost settings{};
  std::string authorization{};  // guarded by mutex_
  MonoTime expires{};           // guarded by mutex_; of the token
  bool accepted = false;        // guarded by mutex_; the authorization was good for something
  // Guarded by mutex_: digests of what it sent wrongly; "" is what the tag resolves to.
  std::set<std::string> blamed{};

  // Of whoever logs in.
  std::optional<CredentialQueue> queue{};
  std::optional<Credential> credential{};  // in use
  std::set<std::string> origins{};         // of those that were tried
  bool nameless = false;                   // a token was had without any

  // "host" or "host:port", as it is written in `base`.
  std::string authority() const {
    const std::string rest = settings.base.substr(settings.base.find("://") + 3);
    return rest.substr(0, rest.find('/'));
  }
};

}  // namespace wherry::runtime

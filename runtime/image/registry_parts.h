#pragma once
// What the files of Registry share. Private to it.

#include <optional>
#include <set>
#include <string>

#include "runtime/image/registry.h"

namespace wherry::runtime {

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
};

struct Registry::Host {
  RegistryHost settings{};
  std::string authorization{};  // guarded by mutex_
  MonoTime expires{};           // guarded by mutex_; of the token
  bool accepted = false;        // guarded by mutex_; the authorization was good for something

  // Of whoever logs in.
  std::optional<CredentialQueue> queue{};
  std::optional<Credential> credential{};  // in use
  std::set<std::string> origins{};         // of those that were tried
  bool nameless = false;                   // a token was had without any

  std::string authority() const {
    const std::string rest = settings.base.substr(settings.base.find("://") + 3);
    return rest.substr(0, rest.find('/'));
  }
};

}  // namespace wherry::runtime

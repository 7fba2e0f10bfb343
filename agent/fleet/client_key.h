#pragma once
// The private key of this device: a PEM file, or a key that never leaves a TPM, a secure element or
// an HSM, by its PKCS#11 URI (RFC 7512).

#include <memory>
#include <string>
#include <string_view>

#include "base/openssl.h"
#include "base/result.h"

struct engine_st;  // OpenSSL's ENGINE

namespace wherry {

class ClientKey {
 public:
  struct FreeEngine {
    void operator()(engine_st* engine) const;
  };
  using Engine = std::unique_ptr<engine_st, FreeEngine>;
  using Key = std::unique_ptr<evp_pkey_st, FreeKey>;

  explicit ClientKey(Key key, Engine engine = nullptr)
      : engine_(std::move(engine)), key_(std::move(key)) {}
  evp_pkey_st* get() const { return key_.get(); }

 private:
  Engine engine_;  // outlives its key
  Key key_;
};

bool is_pkcs11_uri(std::string_view text);

// Not thread-safe.
class ClientKeys {
 public:
  // `where`: a file that nobody else may read, or "pkcs11:token=…;object=…?pin-source=file:…".
  // Never asks at a terminal. A PIN that a token has refused is not shown to it again, for it would
  // lock itself. Reasons of errors: KeyFileUnreadable, KeyFileInsecure, TokenUnavailable,
  // TokenPinRefused.
  Result<ClientKey> load(const std::string& where);

 private:
  Result<ClientKey> load_from_token(const std::string& uri);

  std::string refused_;  // digest of URI and PIN
};

// So that a secret is not lying open: private_file_fault() as PermissionDenied with the reason
// `insecure`, or as FailedPrecondition with `unreadable` where it is a directory.
Status check_private_file(const std::string& path, const char* insecure, const char* unreadable);

}  // namespace wherry

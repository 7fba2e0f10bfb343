#pragma once
// Keys that sign and keys that check, as PEM files: Ed25519 (RFC 8410) and P-256.

#include <memory>
#include <string>
#include <string_view>

#include "base/openssl.h"
#include "base/result.h"

namespace wherry {

enum class KeyKind { Ed25519, P256 };
std::string_view algorithm_of(KeyKind kind);  // RFC 7518: "EdDSA", "ES256"

// Two types, so that neither is taken for the other.
struct PublicKey {
  KeyKind kind = KeyKind::Ed25519;
  std::unique_ptr<evp_pkey_st, FreeKey> key;
};
struct PrivateKey {
  KeyKind kind = KeyKind::Ed25519;
  std::unique_ptr<evp_pkey_st, FreeKey> key;
};

// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`: the name of a key is part of a file's name.
bool is_key_name(std::string_view kid);
// "<kid>.pem"
bool is_key_file_name(std::string_view name);
// Whatever its name; false for what cannot be read.
bool holds_private_key(const std::string& file);

// A public key that nobody but root and the present user may change. NotFound, PermissionDenied
// with the command that mends it, or FailedPrecondition for anything that is no such key.
Result<PublicKey> read_public_key(const std::string& file);
// A private key without a passphrase that nobody else may read or change; errors as above.
Result<PrivateKey> read_private_key(const std::string& file);

}  // namespace wherry

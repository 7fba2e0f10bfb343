#pragma once
// Signed messages: JSON Web Signatures in the flattened JSON form (RFC 7515, section 7.2.2), with
// EdDSA on Ed25519 (RFC 8037, section 3.1) or ES256 (RFC 7518, section 3.4).

#include <functional>
#include <string>
#include <string_view>

#include "agent/signing/keys.h"
#include "base/result.h"

namespace wherry {

// Bytes of a signed message whose payload has so many.
constexpr size_t signed_size(size_t payload) { return payload / 3 * 4 + (8u << 10); }

// Whether it means to be signed: a JSON object with a payload and a signature.
bool is_signed(std::string_view message);

struct Verified {
  std::string kid, payload;
};
// The key of that name, or why there is none.
using FindKey = std::function<Result<PublicKey>(const std::string& kid)>;

// The payload of a message whose signature is right. InvalidArgument: it is malformed.
// PermissionDenied: what it says is not signed by the key it names. Errors of `find` are passed on.
// `most`: bytes of the payload.
Result<Verified> verify_jws(std::string_view message, const FindKey& find, size_t most);

// What a message says and whose key it names, without a look at the signature: for people to read,
// never to go by. InvalidArgument: it is malformed.
Result<Verified> read_jws(std::string_view message, size_t most);

// One line, without a newline.
Result<std::string> sign_jws(std::string_view payload, const PrivateKey& key,
                             const std::string& kid);

}  // namespace wherry

#include "tests/fuzz/signed_invariants.h"

#include <algorithm>

#include <openssl/evp.h>

#include "agent/signing/jws.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr size_t kMost = 64u << 10;

evp_pkey_st* pair(bool p256) {
  static evp_pkey_st* const kEd25519 = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  static evp_pkey_st* const kP256 = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  evp_pkey_st* key = p256 ? kP256 : kEd25519;
  EVP_PKEY_up_ref(key);
  return key;
}

// Every name is one of a key that exists: the fuzzer need not guess it.
Result<PublicKey> any_key(const std::string& kid) {
  const bool p256 = kid.starts_with("p");
  PublicKey key;
  key.kind = p256 ? KeyKind::P256 : KeyKind::Ed25519;
  key.key.reset(pair(p256));
  return key;
}

}  // namespace

std::string broken_signed(std::string_view text) {
  const auto verified = verify_jws(text, any_key, kMost);
  if (verified) return "a signature that nobody made is right";
  const std::string said = verified.error().full();
  const bool line = std::none_of(said.begin(), said.end(),
                                 [](char c) { return c >= 0 && (c < 0x20 || c == 0x7f); });
  if (!line || said.size() > 500 || !is_valid_utf8(said)) return "no short line: " + said;
  (void)is_signed(text);
  // What is signed comes back as it was, and not when a byte of it is another.
  if (text.size() > kMost) return {};
  for (const bool p256 : {false, true}) {
    PrivateKey key;
    key.kind = p256 ? KeyKind::P256 : KeyKind::Ed25519;
    key.key.reset(pair(p256));
    const auto made = sign_jws(text, key, p256 ? "p" : "e");
    if (!made || !is_signed(*made)) return "not signed";
    const auto back = verify_jws(*made, any_key, kMost);
    if (!back || back->payload != text) return "what was signed does not come back";
    std::string other = *made;
    const size_t at = text.size() * 7 % other.size();
    other[at] = other[at] == 'A' ? 'B' : 'A';
    if (verify_jws(other, any_key, kMost)) return "a changed message is believed";
  }
  return {};
}

}  // namespace wherry

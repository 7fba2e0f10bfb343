#include "agent/signing/jws.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/strict_json.h"
#include "base/text.h"

namespace wherry {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxHeader = 4096;
constexpr size_t kSignatureBytes = 64;  // of both: RFC 8032 (5.1.6) and RFC 7518 (3.4)
constexpr size_t kHalf = kSignatureBytes / 2;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using Digest = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Pair = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(Code::InvalidArgument, "the signed message is malformed: " + what);
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// OpenSSL has the two numbers in DER, JWS has them side by side.
std::optional<std::string> to_der(std::string_view plain) {
  const Pair pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes_of(plain), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(plain) + kHalf, kHalf, nullptr);
  if (!pair || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return std::nullopt;
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return std::nullopt;
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

std::optional<std::string> from_der(const std::string& der) {
  const unsigned char* at = bytes_of(der);
  const Pair pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!pair) return std::nullopt;
  std::string plain(kSignatureBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(plain.data());
  const bool fits = BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out, kHalf) >= 0 &&
                    BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out + kHalf, kHalf) >= 0;
  return fits ? std::optional(plain) : std::nullopt;
}

const EVP_MD* digest_of(KeyKind kind) { return kind == KeyKind::P256 ? EVP_sha256() : nullptr; }

bool is_right(const PublicKey& key, std::string_view input, const std::string& signature) {
  std::string form = signature;
  if (key.kind == KeyKind::P256) {
    auto der = to_der(signature);
    if (!der) return false;
    form = std::move(*der);
  }
  const Digest digest(EVP_MD_CTX_new());
  const bool right = digest &&
                     EVP_DigestVerifyInit(digest.get(), nullptr, digest_of(key.kind), nullptr,
                                          key.key.get()) == 1 &&
                     EVP_DigestVerify(digest.get(), bytes_of(form), form.size(), bytes_of(input),
                                      input.size()) == 1;
  ERR_clear_error();
  return right;
}

struct Header {
  std::string alg, kid;
};

Result<Header> read_header(const std::string& text) {
  const auto json = parse_strict_json(text, {.bytes = kMaxHeader});
  if (!json || !json->is_object()) {
    return malformed("protected: " + (json ? "it is no JSON object" : json.error().message()));
  }
  // RFC 7515, section 4.1.11: what must be understood, and is not here.
  if (json->contains("crit")) return malformed("protected: \"crit\" is not supported");
  Header header;
  for (auto [name, into] : {std::pair{"alg", &header.alg}, {"kid", &header.kid}}) {
    const auto found = json->find(name);
    if (found == json->end() || !found->is_string()) {
      return malformed(std::string("protected: \"") + name + "\" is missing or no text");
    }
    *into = found->get<std::string>();
  }
  return header;
}

struct Taken {
  std::array<std::string, 3> texts, decoded;  // payload, protected, signature
  Header header;
};

Result<Taken> take_apart(std::string_view message, size_t most) {
  const auto json = parse_strict_json(message, {.bytes = signed_size(most), .depth = 4});
  if (!json) return malformed(json.error().message());
  constexpr std::array<const char*, 3> kMembers{"payload", "protected", "signature"};
  for (const auto& [name, value] : json->items()) {
    if (name == "signatures") return malformed("one signature is wanted, in the flattened form");
    if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end()) {
      return malformed("\"" + printable(name, 60) + "\" is not supported; put alg and kid into " +
                       "\"protected\"");
    }
  }
  Taken taken;
  auto& [texts, decoded, header] = taken;
  for (size_t i = 0; i < kMembers.size(); ++i) {
    const auto found = json->find(kMembers[i]);
    if (found == json->end() || !found->is_string()) {
      return malformed(std::string("\"") + kMembers[i] + "\" is missing or no text");
    }
    texts[i] = found->get<std::string>();
    auto bytes = base64url_decode(texts[i]);
    if (!bytes) return malformed(std::string("\"") + kMembers[i] + "\" is not base64url");
    decoded[i] = std::move(*bytes);
  }
  auto read = read_header(decoded[1]);
  if (!read) return fail(read.error());
  header = std::move(*read);
  if (!is_key_name(header.kid)) return malformed("protected: \"kid\" is not the name of a key");
  return taken;
}

}  // namespace

bool is_signed(std::string_view message) {
  const std::string_view text = trim(message);
  if (!text.starts_with('{') || text.find("\"signature") == std::string_view::npos) return false;
  // Whatever else is wrong with it: who means to sign is not read as one who does not.
  bool payload = false, signature = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1) {
      const auto& name = parsed.get_ref<const std::string&>();
      payload = payload || name == "payload";
      signature = signature || name == "signature" || name == "signatures";
    }
    return depth <= 1;  // nothing deeper is kept
  };
  const Json ignored = Json::parse(text, watch, false);
  return payload && signature;
}

Result<Verified> verify_jws(std::string_view message, const FindKey& find, size_t most) {
  auto taken = take_apart(message, most);
  if (!taken) return fail(taken.error());
  auto& [texts, decoded, header] = *taken;
  if (header.alg != algorithm_of(KeyKind::Ed25519) && header.alg != algorithm_of(KeyKind::P256)) {
    return fail(Code::PermissionDenied, "the algorithm \"" + printable(header.alg, 40) +
                                            "\" is not accepted; sign with EdDSA or ES256");
  }
  const auto key = find(header.kid);
  if (!key) return fail(key.error());
  if (header.alg != algorithm_of(key->kind)) {
    return fail(Code::PermissionDenied, "the key \"" + header.kid + "\" signs with " +
                                            std::string(algorithm_of(key->kind)) + ", not with " +
                                            header.alg);
  }
  if (decoded[2].size() != kSignatureBytes ||
      !is_right(*key, texts[1] + "." + texts[0], decoded[2])) {
    return fail(Code::PermissionDenied, "the signature is not that of the key \"" + header.kid +
                                            "\" over this content: it was changed after it was "
                                            "signed, or signed with another key");
  }
  if (decoded[0].size() > most) return malformed("the content is too large");
  return Verified{header.kid, std::move(decoded[0])};
}

Result<Verified> read_jws(std::string_view message, size_t most) {
  auto taken = take_apart(message, most);
  if (!taken) return fail(taken.error());
  return Verified{std::move(taken->header.kid), std::move(taken->decoded[0])};
}

Result<std::string> sign_jws(std::string_view payload, const PrivateKey& key,
                             const std::string& kid) {
  const Json header = {{"alg", algorithm_of(key.kind)}, {"kid", kid}};
  const std::string head = base64url_encode(header.dump());
  const std::string content = base64url_encode(payload);
  const std::string input = head + "." + content;
  const Digest digest(EVP_MD_CTX_new());
  size_t size = 0;
  std::string signature;
  const bool started =
      digest &&
      EVP_DigestSignInit(digest.get(), nullptr, digest_of(key.kind), nullptr, key.key.get()) == 1 &&
      EVP_DigestSign(digest.get(), nullptr, &size, bytes_of(input), input.size()) == 1;
  if (started) {
    signature.resize(size);
    if (EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       bytes_of(input), input.size()) != 1) {
      size = 0;
    }
    signature.resize(size);
  }
  ERR_clear_error();
  if (!signature.empty() && key.kind == KeyKind::P256) {
    signature = from_der(signature).value_or("");
  }
  if (signature.empty()) return fail(Code::Internal, "the key cannot sign");
  return Json({{"payload", content},
               {"protected", head},
               {"signature", base64url_encode(signature)}})
      .dump();
}

}  // namespace wherry

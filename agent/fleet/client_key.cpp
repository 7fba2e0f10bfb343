#include "agent/fleet/client_key.h"

// Debian 12 reaches PKCS#11 by an engine only, whose interface OpenSSL 3 calls deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ui.h>

#include "base/digest.h"
#include "base/file_access.h"
#include "base/files.h"
#include "base/openssl.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr size_t kMaxKeyBytes = 64u << 10;
constexpr size_t kMaxPinBytes = 1024;
constexpr std::string_view kScheme = "pkcs11:";
constexpr const char* kInsecure = "KeyFileInsecure";
constexpr const char* kUnreadable = "KeyFileUnreadable";
constexpr const char* kUnavailable = "TokenUnavailable";

// What OpenSSL and its engine have to say, the oldest first.
std::string words_of_openssl() {
  std::vector<std::string> words;
  while (const unsigned long error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    if (reason != nullptr && words.size() < 4) words.emplace_back(reason);
  }
  return join(words, ", ");
}

tl::unexpected<Error> unreadable(const std::string& message) {
  return fail(Code::FailedPrecondition, message, kUnreadable);
}

// A URI without its query, and the file that `pin-source` names in that.
struct TokenUri {
  std::string object, pin_file;
};

Result<TokenUri> split_uri(const std::string& uri) {
  const size_t query = uri.find('?');
  TokenUri parts{uri.substr(0, query), ""};
  if (query == std::string::npos) return parts;
  for (const std::string& attribute : split(std::string_view(uri).substr(query + 1), '&')) {
    constexpr std::string_view kSource = "pin-source=";
    std::string_view value = attribute;
    if (!value.starts_with(kSource)) {
      return fail(Code::InvalidArgument,
                  "mqtt.key_file: only pin-source=file:/path may follow the question mark of a "
                  "PKCS#11 URI",
                  kUnavailable);
    }
    value.remove_prefix(kSource.size());
    if (value.starts_with("file:")) value.remove_prefix(5);
    parts.pin_file = std::string(value);
  }
  return parts;
}

Result<SecretText> read_pin(const std::string& file) {
  if (Status safe = check_private_file(file, kInsecure, kUnavailable); !safe)
    return fail(safe.error());
  auto read = read_file(file, kMaxPinBytes);
  if (!read) return fail(read.error().wrap("read the PIN").with_reason(kUnavailable));
  const SecretText pin(std::move(*read));
  return SecretText(std::string(trim(pin.text())));
}

}  // namespace

void ClientKey::FreeEngine::operator()(engine_st* engine) const {
  ENGINE_finish(engine);
  ENGINE_free(engine);
}

bool is_pkcs11_uri(std::string_view text) { return text.starts_with(kScheme); }

Status check_private_file(const std::string& path, const char* insecure, const char* unreadable) {
  const auto fault = private_file_fault(path);
  if (!fault) return {};
  return fault->exposed ? fail(Code::PermissionDenied, fault->text(), insecure)
                        : fail(Code::FailedPrecondition, fault->text(), unreadable);
}

Result<ClientKey> ClientKeys::load(const std::string& where) {
  if (is_pkcs11_uri(where)) return load_from_token(where);
  if (Status safe = check_private_file(where, kInsecure, kUnreadable); !safe) {
    return fail(safe.error(), "mqtt.key_file");
  }
  auto read = read_file(where, kMaxKeyBytes);
  if (!read) return unreadable("mqtt.key_file: " + read.error().full());
  const SecretText pem(std::move(*read));
  const auto bio = memory_bio(pem.text());
  ClientKey::Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (key) return ClientKey(std::move(key));
  return unreadable("mqtt.key_file: " + where +
                    " holds no private key in PEM, or one with a passphrase, which nobody is "
                    "there to type: openssl pkey -in KEY -out " +
                    where);
}

Result<ClientKey> ClientKeys::load_from_token(const std::string& uri) {
  const auto parts = split_uri(uri);
  if (!parts) return fail(parts.error());
  auto read =
      parts->pin_file.empty() ? Result<SecretText>(SecretText()) : read_pin(parts->pin_file);
  if (!read) return fail(read.error(), "mqtt.key_file");
  const std::string& pin = read->text();
  const std::string attempt = sha256_hex(SecretText(uri + '\n' + pin).text());
  const auto pin_refused = [] {
    return fail(Code::PermissionDenied,
                "the token does not take the PIN; it is not tried again before mqtt.key_file's "
                "pin-source has another one",
                "TokenPinRefused");
  };
  if (attempt == refused_) return pin_refused();

  OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, nullptr);
  ENGINE* found = ENGINE_by_id("pkcs11");
  if (found == nullptr) {
    ERR_clear_error();
    return fail(Code::FailedPrecondition,
                "OpenSSL has no engine for PKCS#11: apt install libengine-pkcs11-openssl",
                kUnavailable);
  }
  if (ENGINE_init(found) != 1) {
    ENGINE_free(found);
    return fail(Code::Unavailable,
                "the PKCS#11 module cannot be loaded: " + words_of_openssl() +
                    "; p11-kit list-modules shows what there is",
                kUnavailable);
  }
  ClientKey::Engine engine(found);
  if (!pin.empty()) ENGINE_ctrl_cmd_string(engine.get(), "PIN", pin.c_str(), 0);
  // The engine's API is older than const.
  auto* silent = const_cast<UI_METHOD*>(UI_null());
  ClientKey::Key key(ENGINE_load_private_key(engine.get(), parts->object.c_str(), silent, nullptr));
  const std::string words = words_of_openssl();
  if (key) return ClientKey(std::move(key), std::move(engine));
  if (words.find("PIN") != std::string::npos && !pin.empty()) {
    refused_ = attempt;
    return pin_refused();
  }
  return fail(Code::Unavailable,
              "no private key at " + parts->object + " (" + words +
                  "); is the token there, its name right, and does mqtt.key_file end in "
                  "?pin-source=file:/path where it wants a PIN?",
              kUnavailable);
}

}  // namespace wherry

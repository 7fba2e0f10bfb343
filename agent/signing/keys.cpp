#include "agent/signing/keys.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/file_access.h"
#include "base/files.h"

namespace wherry {
namespace {

constexpr size_t kMaxKeyBytes = 16u << 10;
constexpr size_t kMaxName = 64;

using Key = std::unique_ptr<evp_pkey_st, FreeKey>;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Status check_access(const std::string& path,
                    std::optional<FileFault> (*find_fault)(const std::string&)) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    const int error = errno;
    return fail(error == ENOENT ? Code::NotFound : Code::PermissionDenied,
                "read " + path + ": " + std::strerror(error));
  }
  if (const auto fault = find_fault(path)) return fail(Code::PermissionDenied, fault->text());
  return {};
}

Result<KeyKind> kind_of(const std::string& file, evp_pkey_st* key) {
  if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519) return KeyKind::Ed25519;
  char group[64] = "";
  if (EVP_PKEY_get_id(key) == EVP_PKEY_EC &&
      EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
      std::strcmp(group, "prime256v1") == 0) {
    return KeyKind::P256;
  }
  return fail(Code::FailedPrecondition,
              file +
                  " holds a key of a kind that is not used here; make an Ed25519 one (openssl "
                  "genpkey -algorithm ed25519) or one on P-256");
}

bool is_private(const std::string& pem) { return pem.find("PRIVATE KEY") != std::string::npos; }

// The first key of the file that `read` finds.
template <typename Wanted, typename Read>
Result<Wanted> parse(const std::string& file, const std::string& pem, const char* what,
                     const char* mend, Read read) {
  const auto bio = memory_bio(pem);
  Key key(bio ? read(bio.get()) : nullptr);
  ERR_clear_error();
  if (!key) return fail(Code::FailedPrecondition, file + " " + what + "; " + mend);
  const auto kind = kind_of(file, key.get());
  if (!kind) return fail(kind.error());
  return Wanted{*kind, std::move(key)};
}

}  // namespace

std::string_view algorithm_of(KeyKind kind) { return kind == KeyKind::Ed25519 ? "EdDSA" : "ES256"; }

bool is_key_name(std::string_view kid) {
  return !kid.empty() && kid.size() <= kMaxName && is_letter_or_digit(kid.front()) &&
         std::all_of(kid.begin(), kid.end(), [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

bool is_key_file_name(std::string_view name) {
  constexpr std::string_view kEnding = ".pem";
  return name.ends_with(kEnding) && is_key_name(name.substr(0, name.size() - kEnding.size()));
}

bool holds_private_key(const std::string& file) {
  auto read = read_file(file, kMaxKeyBytes);
  if (!read) return false;
  const SecretText pem(std::move(*read));
  return is_private(pem.text());
}

Result<PublicKey> read_public_key(const std::string& file) {
  Status safe = check_access(directory_of(file), rule_directory_fault);
  if (safe) safe = check_access(file, rule_file_fault);
  if (!safe) return fail(safe.error());
  const auto pem = read_file(file, kMaxKeyBytes);
  if (!pem) return fail(pem.error());
  if (is_private(*pem)) {
    return fail(Code::FailedPrecondition,
                file +
                    " holds a private key, which has no place on a device; put the public one "
                    "there (openssl pkey -in private.pem -pubout)");
  }
  return parse<PublicKey>(
      file, *pem, "holds no public key in PEM", "make it by openssl pkey -in private.pem -pubout",
      [](BIO* bio) { return PEM_read_bio_PUBKEY(bio, nullptr, no_passphrase, nullptr); });
}

Result<PrivateKey> read_private_key(const std::string& file) {
  if (Status safe = check_access(file, own_file_fault); !safe) return fail(safe.error());
  auto read = read_file(file, kMaxKeyBytes);
  if (!read) return fail(read.error());
  const SecretText pem(std::move(*read));
  return parse<PrivateKey>(
      file, pem.text(), "holds no private key in PEM, or one with a passphrase",
      "make one by openssl genpkey -algorithm ed25519",
      [](BIO* bio) { return PEM_read_bio_PrivateKey(bio, nullptr, no_passphrase, nullptr); });
}

}  // namespace wherry

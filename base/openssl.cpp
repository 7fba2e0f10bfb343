#include "base/openssl.h"

#include <algorithm>
#include <cstdint>
#include <ctime>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace wherry {

void FreeBio::operator()(bio_st* bio) const { BIO_free(bio); }
void FreeKey::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }
void FreeCertificate::operator()(x509_st* certificate) const { X509_free(certificate); }

// A short text stays in the string that it is moved from.
void SecretText::wipe(std::string& text) {
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

std::unique_ptr<bio_st, FreeBio> memory_bio(const std::string& text) {
  return std::unique_ptr<bio_st, FreeBio>(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

int no_passphrase(char*, int, int, void*) { return -1; }

WallTime wall_time(const asn1_string_st* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  constexpr auto kMost = std::chrono::floor<std::chrono::seconds>(Duration::max()).count();
  return WallTime(std::chrono::seconds(std::clamp<int64_t>(timegm(&parts), -kMost, kMost)));
}

}  // namespace wherry

#pragma once
// Owners of what OpenSSL makes, and what all who read PEM files with it need.

#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"

struct asn1_string_st;  // OpenSSL's ASN1_TIME
struct bio_st;          // BIO
struct evp_pkey_st;     // EVP_PKEY
struct x509_st;         // X509

namespace wherry {

struct FreeBio {
  void operator()(bio_st* bio) const;
};
struct FreeKey {
  void operator()(evp_pkey_st* key) const;
};
struct FreeCertificate {
  void operator()(x509_st* certificate) const;
};

// A text that is overwritten when it is no longer needed: a PIN, a private key in PEM. What was
// copied from it is not known here.
class SecretText {
 public:
  SecretText() = default;
  // `text` is empty then, and overwritten where it kept its bytes.
  explicit SecretText(std::string&& text) : text_(std::move(text)) { wipe(text); }
  SecretText(SecretText&& other) noexcept : SecretText(std::move(other.text_)) {}
  ~SecretText() { wipe(text_); }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  SecretText& operator=(SecretText&&) = delete;

  const std::string& text() const { return text_; }

 private:
  static void wipe(std::string& text);

  std::string text_;
};

// Reads `text`, which must outlive it.
std::unique_ptr<bio_st, FreeBio> memory_bio(const std::string& text);

// A pem_password_cb that never asks at a terminal: what has a passphrase cannot be read.
int no_passphrase(char* buffer, int size, int writing, void* data);

// The epoch where it is no time. Years beyond what nanoseconds since 1970 can hold saturate: RFC
// 5280 (4.1.2.5) has 9999 for what does not end.
WallTime wall_time(const asn1_string_st* time);

}  // namespace wherry

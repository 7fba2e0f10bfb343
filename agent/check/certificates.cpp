#include "agent/check/certificates.h"

#include <memory>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "agent/check/openssl_facts.h"
#include "base/files.h"
#include "base/openssl.h"

namespace wherry::check {
namespace {

constexpr size_t kMostBytes = 4u << 20;  // of a bundle of authorities

}  // namespace

CertificateFacts facts_of(const X509* certificate) {
  const std::unique_ptr<BIO, FreeBio> text(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0,
                     XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  CertificateFacts facts;
  if (size > 0) facts.subject.assign(bytes, static_cast<size_t>(size));
  facts.not_before = wall_time(X509_get0_notBefore(certificate));
  facts.not_after = wall_time(X509_get0_notAfter(certificate));
  return facts;
}

Result<std::vector<CertificateFacts>> read_certificates(const std::string& path) {
  const auto text = read_file(path, kMostBytes);
  if (!text) return fail(text.error());
  const auto bio = memory_bio(*text);
  std::vector<CertificateFacts> all;
  while (true) {
    const std::unique_ptr<X509, FreeCertificate> each(
        PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!each) break;
    all.push_back(facts_of(each.get()));
  }
  ERR_clear_error();
  if (all.empty()) return fail(Code::InvalidArgument, path + " holds no certificate in PEM");
  return all;
}

Status belong_together(const std::string& certificate_path, const std::string& key_path) {
  const auto certificate = read_file(certificate_path, kMostBytes);
  const auto key = read_file(key_path, kMostBytes);
  if (!certificate) return fail(certificate.error());
  if (!key) return fail(key.error());
  const std::unique_ptr<X509, FreeCertificate> public_part(
      PEM_read_bio_X509(memory_bio(*certificate).get(), nullptr, no_passphrase, nullptr));
  const std::unique_ptr<EVP_PKEY, FreeKey> private_part(
      PEM_read_bio_PrivateKey(memory_bio(*key).get(), nullptr, no_passphrase, nullptr));
  const bool fits = public_part && private_part &&
                    X509_check_private_key(public_part.get(), private_part.get()) == 1;
  ERR_clear_error();
  if (!private_part) {
    return fail(Code::InvalidArgument,
                key_path + " holds no private key in PEM, or one with a passphrase");
  }
  if (!fits)
    return fail(Code::InvalidArgument, key_path + " is not the key of " + certificate_path);
  return {};
}

}  // namespace wherry::check

#include "runtime/image/client_certificates.h"

#include <algorithm>

#include <openssl/err.h>
#include <openssl/x509.h>

namespace wherry::runtime {
namespace {

bool is_issued_by(const X509* certificate, const STACK_OF(X509_NAME) * issuers) {
  for (int i = 0; i < sk_X509_NAME_num(issuers); ++i) {
    if (X509_NAME_cmp(X509_get_issuer_name(certificate), sk_X509_NAME_value(issuers, i)) == 0) {
      return true;
    }
  }
  return false;
}

// The certificates beside the first one, which lead to an issuer.
STACK_OF(X509) * chain_of(SSL_CTX* context) {
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  return chain;
}

bool is_known(SSL_CTX* context, const STACK_OF(X509_NAME) * issuers) {
  if (issuers == nullptr || sk_X509_NAME_num(issuers) == 0) return true;
  if (is_issued_by(SSL_CTX_get0_certificate(context), issuers)) return true;
  const STACK_OF(X509)* chain = chain_of(context);
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    if (is_issued_by(sk_X509_value(chain, i), issuers)) return true;
  }
  return false;
}

}  // namespace

std::string tls_failure() {
  const unsigned long code = ERR_peek_error();  // the first one; closing adds its own
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "" : std::string(" (") + reason + ")";
}

Status ClientCertificates::load(const std::vector<ClientPair>& pairs) {
  ERR_clear_error();
  for (const ClientPair& pair : pairs) {
    std::unique_ptr<SSL_CTX, Free> one(SSL_CTX_new(TLS_client_method()));
    if (one && SSL_CTX_use_certificate_chain_file(one.get(), pair.certificate.c_str()) == 1 &&
        SSL_CTX_use_PrivateKey_file(one.get(), pair.key.c_str(), SSL_FILETYPE_PEM) == 1) {
      loaded_.push_back(std::move(one));
      continue;
    }
    return fail(Code::FailedPrecondition, "cannot read the client certificate " + pair.certificate +
                                              " or its key " + pair.key + tls_failure());
  }
  return {};
}

void ClientCertificates::show(SSL* ssl) const {
  if (loaded_.empty()) return;
  const STACK_OF(X509_NAME)* issuers = SSL_get0_peer_CA_list(ssl);
  auto chosen = std::find_if(loaded_.begin(), loaded_.end(),
                             [&](const auto& each) { return is_known(each.get(), issuers); });
  if (chosen == loaded_.end()) chosen = loaded_.begin();
  SSL_CTX* const context = chosen->get();
  SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(context), SSL_CTX_get0_privatekey(context),
                       chain_of(context), 1);
}

}  // namespace wherry::runtime

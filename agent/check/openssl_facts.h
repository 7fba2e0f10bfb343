#pragma once
// For the files of this room that talk to OpenSSL.

#include "agent/check/certificates.h"

struct x509_st;

namespace wherry::check {

CertificateFacts facts_of(const x509_st* certificate);

}  // namespace wherry::check

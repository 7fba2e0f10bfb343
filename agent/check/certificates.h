#pragma once
// Certificates in PEM files, and from when until when they are good.

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::check {

struct CertificateFacts {
  std::string subject;  // "CN = pump-7"
  WallTime not_before{}, not_after{};
};

// All of the file, in its order. NotFound, PermissionDenied …; InvalidArgument where there is none.
Result<std::vector<CertificateFacts>> read_certificates(const std::string& path);

// Whether the private key is that of the file's first certificate: InvalidArgument where not, or
// where either cannot be read.
Status belong_together(const std::string& certificate_path, const std::string& key_path);

}  // namespace wherry::check

#pragma once
// A certificate authority of the test's own, made on the spot.

#include <string>

#include "tests/support/temp_dir.h"

namespace wherry::test {

// PEM files.
struct Certificate {
  std::string certificate;
  std::string key;
};

// As issue() takes it.
std::string days_from_now(int days);

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name = "Test authority");

  std::string certificate() const { return dir_ / "ca.pem"; }
  // For `host` (a name or an IPv4 address), and for TLS clients too, valid from 2020 to 2098. With
  // `expired` it was valid until the year 2001.
  Certificate issue(const std::string& host, bool expired = false);
  // Valid between two times in OpenSSL's form, 20010101000000Z.
  Certificate issue(const std::string& host, const std::string& from, const std::string& until);

 private:
  TempDir dir_;
  int issued_ = 0;
};

}  // namespace wherry::test

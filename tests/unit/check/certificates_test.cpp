// From when until when certificates are good, and whose key is whose.

#include "agent/check/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::check {
namespace {

using test::CertificateAuthority;
using test::TempDir;

TEST(Certificates, TheirTimesAreRead) {
  CertificateAuthority authority;
  const auto good = read_certificates(authority.issue("127.0.0.1").certificate);
  ASSERT_TRUE(good) << good.error().full();
  EXPECT_GT(good->front().not_after, SystemClock().wall());
  EXPECT_LT(good->front().not_before, SystemClock().wall());
  const auto old = read_certificates(authority.issue("127.0.0.1", true).certificate);
  ASSERT_TRUE(old);
  EXPECT_EQ(to_rfc3339(old->front().not_after).substr(0, 4), "2001");
  EXPECT_THAT(old->front().subject, testing::HasSubstr("127.0.0.1"));
}

TEST(Certificates, AllOfAFileCountAndWhatIsNoneIsAnError) {
  CertificateAuthority authority;
  TempDir dir;
  const std::string one = test::read_text(authority.certificate());
  test::write_text(dir / "bundle.pem", "# ours\n" + one + "\n" + one);
  const auto both = read_certificates(dir / "bundle.pem");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->size(), 2u);
  test::write_text(dir / "none.pem",
                   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  for (const char* name : {"none.pem", "missing.pem"}) {
    EXPECT_FALSE(read_certificates(dir / name)) << name;
  }
}

TEST(Certificates, AKeyBelongsToItsCertificate) {
  CertificateAuthority authority;
  const auto one = authority.issue("127.0.0.1"), other = authority.issue("127.0.0.1");
  EXPECT_TRUE(belong_together(one.certificate, one.key));
  const Status mixed = belong_together(one.certificate, other.key);
  ASSERT_FALSE(mixed);
  EXPECT_THAT(mixed.error().message(), testing::HasSubstr("is not the key of"));
  EXPECT_FALSE(belong_together(one.certificate, one.certificate));
}

}  // namespace
}  // namespace wherry::check

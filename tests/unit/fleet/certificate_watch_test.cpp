// Until when certificates hold, told weeks ahead; and files that change.

#include "agent/fleet/certificate_watch.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kDay = std::chrono::hours(24);
const WallTime kBegin = parse_rfc3339("2026-01-01T00:00:00Z").value();

std::string judged(Duration lifetime, Duration into) {
  Validity validity{"mqtt.cert_file", "/own.pem", "/CN=pump-7", kBegin, kBegin + lifetime};
  const CertificateStatus status = judge_validity(validity, kBegin + into);
  EXPECT_THAT(status.message, AllOf(HasSubstr("mqtt.cert_file"), HasSubstr("/CN=pump-7")));
  EXPECT_EQ(status.valid, status.reason.empty() || status.reason == "CertificateExpiring");
  return status.reason;
}

TEST(CertificateValidityTest, IsToldFourWeeksAhead) {
  EXPECT_EQ(judged(365 * kDay, -kDay), "CertificateNotYetValid");
  EXPECT_EQ(judged(365 * kDay, 0 * kDay), "");
  EXPECT_EQ(judged(365 * kDay, 336 * kDay), "");
  EXPECT_EQ(judged(365 * kDay, 337 * kDay), "CertificateExpiring");
  EXPECT_EQ(judged(365 * kDay, 365 * kDay), "CertificateExpiring");
  EXPECT_EQ(judged(365 * kDay, 366 * kDay), "CertificateExpired");
}

TEST(CertificateValidityTest, WhatEndsSoonIsAMatterOfItsWholeTime) {
  EXPECT_FALSE(ends_soon(kBegin, kBegin + 365 * kDay, kBegin + 336 * kDay));
  EXPECT_TRUE(ends_soon(kBegin, kBegin + 365 * kDay, kBegin + 337 * kDay));
  EXPECT_FALSE(ends_soon(kBegin, kBegin + 30 * kDay, kBegin + 15 * kDay));
}

TEST(CertificateValidityTest, ShortLivedOnesAreNotAlwaysExpiring) {
  EXPECT_EQ(judged(3 * kDay, 1 * kDay), "");
  EXPECT_EQ(judged(3 * kDay, 2 * kDay), "CertificateExpiring");
}

class CertificateWatchTest : public ::testing::Test {
 protected:
  CertificateWatch watch() const { return CertificateWatch({ca_, cert_, key_, ""}); }
  static WallTime at(const char* time) { return parse_rfc3339(time).value(); }
  void lay(const Certificate& certificate) const {
    write_text(dir_ / "next", read_text(certificate.certificate));
    std::filesystem::rename(dir_ / "next", cert_);
  }

  TempDir dir_;
  CertificateAuthority authority_;
  std::string cert_ = dir_ / "own.pem", ca_, key_;
};

TEST_F(CertificateWatchTest, SaysNothingWithoutFiles) {
  cert_.clear();
  EXPECT_EQ(watch().status(kBegin), std::nullopt);
  EXPECT_FALSE(watch().changed());
}

TEST_F(CertificateWatchTest, ReadsAFileAgainWhenItHasChanged) {
  lay(authority_.issue("pump-7", "20200101000000Z", "20260601000000Z"));
  CertificateWatch watch = this->watch();
  const WallTime now = at("2026-05-20T00:00:00Z");
  EXPECT_EQ(watch.status(now)->reason, "CertificateExpiring");
  EXPECT_FALSE(watch.changed());
  lay(authority_.issue("pump-7", "20260501000000Z", "20270501000000Z"));
  EXPECT_EQ(watch.status(now)->reason, "CertificateExpiring") << "nobody has looked";
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  EXPECT_EQ(watch.status(now)->reason, "");
  EXPECT_THAT(watch.status(now)->message, HasSubstr("2027-05-01"));
  std::filesystem::remove(cert_);
  EXPECT_TRUE(watch.changed());
  EXPECT_EQ(watch.status(now)->reason, "CertificateFileUnreadable");
  EXPECT_THAT(watch.status(now)->message, HasSubstr("No such file"));
  write_text(cert_, "nothing\n");
  EXPECT_TRUE(watch.changed());
  EXPECT_THAT(watch.status(now)->message, HasSubstr("no certificate in PEM"));
}

// As those that a device gets from its maker (IEEE 802.1AR).
TEST_F(CertificateWatchTest, OneThatNeverEndsIsGood) {
  lay(authority_.issue("pump-7", "19500101000000Z", "99991231235959Z"));
  const auto status = watch().status(at("2026-05-20T00:00:00Z"));
  EXPECT_TRUE(status->valid) << status->message;
  EXPECT_EQ(status->reason, "");
}

TEST_F(CertificateWatchTest, AModeThatWasMendedIsAChange) {
  const Certificate own = authority_.issue("pump-7");
  lay(own);
  key_ = own.key;
  std::filesystem::permissions(key_, std::filesystem::perms(0644));
  CertificateWatch watch = this->watch();
  std::filesystem::permissions(key_, std::filesystem::perms(0600));
  EXPECT_TRUE(watch.changed());
}

// A chain holds as long as its shortest; of authorities the last one counts, as an old one may lie
// beside its successor.
TEST_F(CertificateWatchTest, OfAChainTheFirstToExpireCountsAndOfAuthoritiesTheLast) {
  const auto brief = authority_.issue("brief", "20200101000000Z", "20260601000000Z");
  const auto lasting = authority_.issue("lasting", "20200101000000Z", "20990101000000Z");
  write_text(cert_, read_text(lasting.certificate) + read_text(brief.certificate));
  const WallTime now = at("2026-07-01T00:00:00Z");
  EXPECT_THAT(watch().status(now)->message, HasSubstr("/CN=brief"));
  ca_ = cert_;
  cert_.clear();
  EXPECT_TRUE(watch().status(now)->valid);
  EXPECT_THAT(watch().status(now)->message, HasSubstr("mqtt.ca_file"));
}

TEST_F(CertificateWatchTest, TheWorseOfTwoFilesIsTold) {
  const auto expiring = authority_.issue("expiring", "20200101000000Z", "20260601000000Z");
  const auto expired = authority_.issue("expired", "20200101000000Z", "20260101000000Z");
  lay(expiring);
  ca_ = expired.certificate;
  const WallTime now = at("2026-05-20T00:00:00Z");
  EXPECT_EQ(watch().status(now)->reason, "CertificateExpired");
  EXPECT_FALSE(watch().status(now)->valid);
}

}  // namespace
}  // namespace wherry::test

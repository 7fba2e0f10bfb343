#include "agent/fleet/certificate_watch.h"

#include <algorithm>
#include <memory>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/files.h"
#include "base/openssl.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr std::chrono::seconds kWeeksAhead = std::chrono::hours(28 * 24);
constexpr size_t kMaxFileBytes = 4u << 20;  // a system's bundle has 200 KiB

Result<std::vector<Validity>> certificates_in(const std::string& setting, const std::string& file) {
  std::vector<Validity> found;
  const auto pem = read_file(file, kMaxFileBytes);
  if (!pem) return fail(pem.error());
  const auto bio = memory_bio(*pem);
  while (const std::unique_ptr<X509, FreeCertificate> one{
      PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    char subject[256] = "";
    X509_NAME_oneline(X509_get_subject_name(one.get()), subject, sizeof subject);
    found.push_back({setting, file, printable(subject), wall_time(X509_get0_notBefore(one.get())),
                     wall_time(X509_get0_notAfter(one.get()))});
  }
  ERR_clear_error();
  if (found.empty()) return fail(Code::InvalidArgument, file + " holds no certificate in PEM");
  return found;
}

bool ends_before(const Validity& a, const Validity& b) { return a.not_after < b.not_after; }

}  // namespace

bool ends_soon(WallTime not_before, WallTime not_after, WallTime now) {
  // In seconds, of which there are enough between any two times.
  const auto at = [](WallTime time) { return std::chrono::floor<std::chrono::seconds>(time); };
  return at(not_after) - at(now) <=
         std::min<std::chrono::seconds>(kWeeksAhead, (at(not_after) - at(not_before)) / 3);
}

CertificateStatus judge_validity(const Validity& validity, WallTime now) {
  const std::string which = "the certificate " + validity.subject + " in " + validity.setting +
                            " (" + validity.file + ")";
  const std::string until = to_rfc3339(validity.not_after);
  if (now > validity.not_after) {
    return {false, "CertificateExpired",
            which + " has expired at " + until + ": renew it, or set the clock"};
  }
  if (now < validity.not_before) {
    return {false, "CertificateNotYetValid",
            which + " is valid from " + to_rfc3339(validity.not_before) +
                " on, and the clock here is before that: set the clock (NTP)"};
  }
  if (ends_soon(validity.not_before, validity.not_after, now)) {
    return {true, "CertificateExpiring",
            which + " expires at " + until + ": renew it; a new file is read without a restart"};
  }
  return {true, "", which + " is valid until " + until};
}

bool CertificateWatch::Stamp::operator==(const Stamp& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

CertificateWatch::CertificateWatch(const TlsOptions& options)
    : ca_file_(options.ca_file), cert_file_(options.cert_file) {
  for (const std::string& file : {options.ca_file, options.cert_file, options.key_file}) {
    if (!file.empty() && !is_pkcs11_uri(file)) files_.push_back(file);
  }
  for (const std::string& file : files_) stamps_.push_back(stamp_of(file));
}

// The time of the last change of the inode: a file's mode is part of what may be mended.
CertificateWatch::Stamp CertificateWatch::stamp_of(const std::string& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, info.st_ctim};
}

bool CertificateWatch::changed() {
  bool any = false;
  for (size_t i = 0; i < files_.size(); ++i) {
    const Stamp now = stamp_of(files_[i]);
    any = any || !(now == stamps_[i]);
    stamps_[i] = now;
  }
  if (any) read_ = false;
  return any;
}

void CertificateWatch::read() {
  read_ = true;
  validities_.clear();
  unreadable_.reset();
  const auto take = [&](const char* setting, const char* reason, const std::string& file,
                        auto choose) {
    if (file.empty()) return;
    const auto found = certificates_in(setting, file);
    if (found) {
      validities_.push_back(*choose(found->begin(), found->end(), ends_before));
    } else if (!unreadable_) {
      unreadable_ = {false, reason, std::string(setting) + ": " + found.error().full()};
    }
  };
  using It = std::vector<Validity>::const_iterator;
  using Before = bool (*)(const Validity&, const Validity&);
  take("mqtt.cert_file", "CertificateFileUnreadable", cert_file_, std::min_element<It, Before>);
  take("mqtt.ca_file", "CaFileUnreadable", ca_file_, std::max_element<It, Before>);
}

std::optional<CertificateStatus> CertificateWatch::status(WallTime now) {
  if (ca_file_.empty() && cert_file_.empty()) return std::nullopt;
  if (!read_) read();
  if (unreadable_) return unreadable_;
  std::optional<CertificateStatus> worst;
  for (const Validity& validity : validities_) {
    CertificateStatus judged = judge_validity(validity, now);
    const bool worse = !worst || (worst->valid && !judged.valid) ||
                       (worst->reason.empty() && !judged.reason.empty());
    if (worse) worst = std::move(judged);
  }
  return worst;
}

}  // namespace wherry

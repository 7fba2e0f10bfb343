#pragma once
// The files that TLS is made of: when they change, and until when the certificates in them are
// valid.

#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "agent/fleet/tls_stream.h"
#include "base/clock.h"

namespace wherry {

// The condition CertificateValid. Where `valid`, a reason says that it will soon not be so.
struct CertificateStatus {
  bool valid = true;
  // CertificateExpiring, CertificateExpired, CertificateNotYetValid, CertificateFileUnreadable,
  // CaFileUnreadable, or empty.
  std::string reason;
  std::string message;  // a sentence with what to do; where all is well, until when
  bool operator==(const CertificateStatus&) const = default;
};

// Until when certificates hold, and what file says so.
struct Validity {
  std::string setting;  // mqtt.cert_file
  std::string file, subject;
  WallTime not_before{}, not_after{};
};
// Whether one that is valid now should be renewed: four weeks before its end, or when two thirds of
// its time are over, whichever is later.
bool ends_soon(WallTime not_before, WallTime not_after, WallTime now);
CertificateStatus judge_validity(const Validity& validity, WallTime now);

// Not thread-safe. It decides nothing: the broker judges this device's certificate, and a wrong
// clock here is no reason not to try.
class CertificateWatch {
 public:
  explicit CertificateWatch(const TlsOptions& options);

  // Whether a file has changed since the last call; looks at no content.
  bool changed();
  // Nothing where no file is named. The first of cert_file's chain to expire counts, and the last
  // of ca_file's authorities.
  std::optional<CertificateStatus> status(WallTime now);

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;  // no such file
    timespec changed{};
    bool operator==(const Stamp& other) const;
  };
  static Stamp stamp_of(const std::string& file);
  void read();

  const std::string ca_file_, cert_file_;
  std::vector<std::string> files_;
  std::vector<Stamp> stamps_;
  bool read_ = false;
  std::vector<Validity> validities_;
  std::optional<CertificateStatus> unreadable_;
};

}  // namespace wherry

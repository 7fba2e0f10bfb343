#include "tests/support/certificates.h"

#include "base/clock.h"
#include "tests/support/process.h"

namespace wherry::test {
namespace {

// openssl ca, which alone can choose the dates.
std::string config_of(const std::string& dir) {
  return "[ca]\ndefault_ca = test\n[test]\nnew_certs_dir = " + dir + "\ndatabase = " + dir +
         "/index\nserial = " + dir + "/serial\ndefault_md = sha256\npolicy = any\n" +
         "copy_extensions = copy\nunique_subject = no\nx509_extensions = leaf\n" +
         "[any]\ncommonName = supplied\n" +
         "[leaf]\nbasicConstraints = CA:false\nextendedKeyUsage = serverAuth, clientAuth\n";
}

}  // namespace

std::string days_from_now(int days) {
  std::string text = to_rfc3339(SystemClock().wall() + std::chrono::hours(24) * days).substr(0, 19);
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  return text + "Z";
}

CertificateAuthority::CertificateAuthority(const std::string& name) {
  write_text(dir_ / "index", "");
  write_text(dir_ / "serial", "01\n");
  write_text(dir_ / "ca.cnf", config_of(dir_.path()));
  run_ok({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
          "-nodes", "-days", "30", "-subj", "/CN=" + name, "-keyout", dir_ / "ca.key", "-out",
          certificate()});
}

Certificate CertificateAuthority::issue(const std::string& host, bool expired) {
  return expired ? issue(host, "20000101000000Z", "20010101000000Z")
                 : issue(host, "20200101000000Z", "20990101000000Z");
}

Certificate CertificateAuthority::issue(const std::string& host, const std::string& from,
                                        const std::string& until) {
  const std::string base = dir_ / ("leaf" + std::to_string(++issued_));
  const bool address = host.find_first_not_of("0123456789.") == std::string::npos;
  const Certificate made{base + ".pem", base + ".key"};
  run_ok({"openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
          "-nodes", "-subj", "/CN=" + host, "-addext",
          std::string("subjectAltName=") + (address ? "IP:" : "DNS:") + host, "-keyout", made.key,
          "-out", base + ".csr"});
  run_ok({"openssl", "ca", "-batch", "-notext", "-config", dir_ / "ca.cnf", "-cert", certificate(),
          "-keyfile", dir_ / "ca.key", "-in", base + ".csr", "-out", made.certificate, "-startdate",
          from, "-enddate", until});
  return made;
}

}  // namespace wherry::test

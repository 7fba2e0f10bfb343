#include "agent/check/reach.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "agent/check/openssl_facts.h"
#include "base/fd.h"
#include "base/openssl.h"

namespace wherry::check {
namespace {

constexpr Duration kSlice = std::chrono::milliseconds(100);
// With TLS 1.3 a server refuses our certificate only after the handshake.
constexpr Duration kAfterthought = std::chrono::seconds(2);

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSession {
  void operator()(SSL* session) const { SSL_free(session); }
};
struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

class Deadline {
 public:
  Deadline(Duration within, const CancelToken& cancel)
      : end_(SystemClock().now() + within), cancel_(cancel) {}
  // False where nothing came by then.
  bool wait(int fd, short events) const {
    while (!cancel_.cancelled()) {
      const Duration left = end_ - SystemClock().now();
      if (left <= Duration::zero()) return false;
      pollfd one{fd, events, 0};
      const auto slice = std::chrono::ceil<std::chrono::milliseconds>(std::min(left, kSlice));
      if (poll(&one, 1, static_cast<int>(slice.count())) > 0) return true;
    }
    return false;
  }

 private:
  const MonoTime end_;
  const CancelToken& cancel_;
};

tl::unexpected<Error> unreachable(const char* reason, std::string message) {
  return fail(Code::Unavailable, std::move(message), reason);
}

tl::unexpected<Error> from_errno(int error) {
  const char* reason = "NetworkUnreachable";
  if (error == ECONNREFUSED) reason = "ConnectionRefused";
  if (error == ETIMEDOUT) reason = "Timeout";
  return unreachable(reason, std::strerror(error));
}

std::string text_of(const addrinfo& info) {
  std::array<char, NI_MAXHOST> text{};
  getnameinfo(info.ai_addr, info.ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return text.data();
}

Result<Fd> connect_to(const addrinfo& info, const Deadline& deadline) {
  Fd fd(socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return from_errno(errno);
  if (connect(fd.get(), info.ai_addr, info.ai_addrlen) != 0 && errno != EINPROGRESS) {
    return from_errno(errno);
  }
  if (!deadline.wait(fd.get(), POLLOUT)) return unreachable("Timeout", "no answer in time");
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return from_errno(error);
  return fd;
}

std::string openssl_says() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string said = text == nullptr ? "the other side hung up" : text;
  ERR_clear_error();
  return said;
}

// An alert of the other side is about us: it has sent its own certificate before.
bool is_about_our_certificate(const std::string& said) {
  return said.find("alert") != std::string::npos &&
         (said.find("certificate") != std::string::npos ||
          said.find("unknown ca") != std::string::npos ||
          said.find("access denied") != std::string::npos);
}

tl::unexpected<Error> tls_error(SSL* session) {
  const long verdict = SSL_get_verify_result(session);
  const std::string said = openssl_says();
  if (verdict == X509_V_OK) {
    const bool ours = is_about_our_certificate(said);
    return unreachable(ours ? "ClientRefused" : "TlsError", said);
  }
  const char* reason = "TlsError";
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      reason = "CertificateExpired";
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      reason = "UnknownAuthority";
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      reason = "WrongName";
      break;
    default:
      break;
  }
  return unreachable(reason, X509_verify_cert_error_string(verdict));
}

// An address without its zone, which no certificate has; nothing for a name.
std::optional<std::string> address_in(const std::string& host) {
  const std::string bare = host.substr(0, host.find('%'));
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const bool is = inet_pton(AF_INET, bare.c_str(), bytes.data()) == 1 ||
                  inet_pton(AF_INET6, bare.c_str(), bytes.data()) == 1;
  return is ? std::optional(bare) : std::nullopt;
}

Result<std::unique_ptr<SSL_CTX, FreeContext>> make_context(const TlsFiles& files) {
  std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  if (!context) return unreachable("TlsError", openssl_says());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  const int loaded = files.ca.empty()
                         ? SSL_CTX_load_verify_locations(context.get(), nullptr, "/etc/ssl/certs")
                         : SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr);
  if (loaded != 1) {
    return unreachable("UnknownAuthority", "mqtt.ca_file cannot be read: " + openssl_says());
  }
  if (files.certificate.empty()) return context;
  // A key that is not in a file is not asked here: the link itself knows it.
  if (!files.key.starts_with('/')) return context;
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unreachable("ClientRefused",
                       "mqtt.cert_file or mqtt.key_file cannot be used: " + openssl_says());
  }
  return context;
}

// Waits for what the session wants; false where it fails or takes too long.
bool advance(SSL* session, int result, int fd, const Deadline& deadline) {
  const int wanted = SSL_get_error(session, result);
  if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) return false;
  return deadline.wait(fd, wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
}

Status shake_hands(int fd, const BrokerUrl& url, const TlsFiles& files, const Deadline& deadline,
                   const CancelToken& cancel, Reached& reached) {
  const auto context = make_context(files);
  if (!context) return fail(context.error());
  const std::unique_ptr<SSL, FreeSession> session(SSL_new(context->get()));
  if (!session) return unreachable("TlsError", openssl_says());
  X509_VERIFY_PARAM* wanted = SSL_get0_param(session.get());
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (const auto address = address_in(url.host)) {
    X509_VERIFY_PARAM_set1_ip_asc(wanted, address->c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(wanted, url.host.c_str(), url.host.size());
    SSL_set_tlsext_host_name(session.get(), url.host.c_str());
  }
  SSL_set_fd(session.get(), fd);
  for (int result = 0; (result = SSL_connect(session.get())) != 1;) {
    if (advance(session.get(), result, fd, deadline)) continue;
    const int error = SSL_get_error(session.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      return unreachable("Timeout", "the handshake did not end in time");
    }
    return tls_error(session.get());
  }
  reached.protocol = SSL_get_version(session.get());
  if (const X509* certificate = SSL_get0_peer_certificate(session.get())) {
    reached.certificate = facts_of(certificate);
  }
  if (files.certificate.empty() || SSL_version(session.get()) != TLS1_3_VERSION) return {};
  const Deadline afterthought(kAfterthought, cancel);
  char byte = 0;
  int result = 0;
  do {
    result = SSL_read(session.get(), &byte, 1);
  } while (result <= 0 && advance(session.get(), result, fd, afterthought));
  const int error = SSL_get_error(session.get(), result);
  if (error == SSL_ERROR_SSL) return tls_error(session.get());
  ERR_clear_error();
  return {};
}

}  // namespace

Result<Reached> reach(const BrokerUrl& url, const TlsFiles& files, Duration within,
                      const CancelToken& cancel) {
  const Deadline deadline(within, cancel);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &list);
  if (error != 0) {
    return unreachable("DnsLookupFailed",
                       std::string("its name cannot be resolved: ") + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> owner(list);
  Result<Fd> fd = unreachable("NetworkUnreachable", "it has no address");
  const addrinfo* at = list;
  for (; at != nullptr; at = at->ai_next) {
    fd = connect_to(*at, deadline);
    if (fd) break;
  }
  if (!fd) return fail(fd.error());
  Reached reached{text_of(*at), "", std::nullopt};
  if (!url.tls) return reached;
  if (Status done = shake_hands(fd->get(), url, files, deadline, cancel, reached); !done) {
    return fail(done.error());
  }
  return reached;
}

}  // namespace wherry::check

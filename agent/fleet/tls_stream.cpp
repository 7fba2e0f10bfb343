#include "agent/fleet/tls_stream.h"

#include <arpa/inet.h>
#include <cerrno>
#include <optional>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "agent/fleet/mqtt_errors.h"
#include "agent/fleet/tls_errors.h"
#include "base/files.h"
#include "base/openssl.h"

namespace wherry {
namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs";
constexpr size_t kMaxFileBytes = 4u << 20;
// Reasons of OpenSSL for alerts of the other side begin here.
constexpr int kFirstAlert = SSL_AD_REASON_OFFSET;

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string last_words() {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? "" : reason;
}

tl::unexpected<Error> unreadable(const char* setting, const std::string& file, const char* reason) {
  ERR_clear_error();
  const auto content = read_file(file, kMaxFileBytes);
  return fail(Code::FailedPrecondition,
              std::string(setting) + ": " +
                  (content ? file + " holds no certificate in PEM" : content.error().full()),
              reason);
}

std::string one_line(const X509_NAME* name) {
  char text[256] = "";
  X509_NAME_oneline(name, text, sizeof text);
  return text;
}

// An address without its zone, or nothing for a name.
std::optional<std::string> address_in(const std::string& host) {
  const std::string bare = host.substr(0, host.find('%'));
  unsigned char bytes[sizeof(in6_addr)];
  const bool is =
      inet_pton(AF_INET, bare.c_str(), bytes) == 1 || inet_pton(AF_INET6, bare.c_str(), bytes) == 1;
  return is ? std::optional(bare) : std::nullopt;
}

}  // namespace

struct TlsStream::Impl {
  Impl(std::string to, WallTime at) : host(std::move(to)), now(at) {}

  Status load(const TlsOptions& options, ClientKeys& keys);
  Status load_certificate(const TlsOptions& options, ClientKeys& keys);
  Status expect_host();
  static int verify(X509_STORE_CTX* store, void* self);
  // What a result below one of SSL_connect, SSL_read or SSL_write means; no error: not now.
  Status judge(int result);
  Error failure();

  const std::string host;
  const WallTime now;
  std::optional<ClientKey> key;  // before what uses it
  std::unique_ptr<SSL_CTX, FreeContext> context;
  std::unique_ptr<SSL, FreeSsl> ssl;
  std::optional<CertificateFault> fault;
  bool shown = false;
  bool established = false;
  bool wants_write = false;
};

Status TlsStream::Impl::load(const TlsOptions& options, ClientKeys& keys) {
  ERR_clear_error();
  context.reset(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(tls_error(last_words()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  SSL_CTX_set_cert_verify_callback(context.get(), verify, this);
  if (options.ca_file.empty()) {
    SSL_CTX_load_verify_dir(context.get(), kSystemAuthorities);
  } else if (SSL_CTX_load_verify_file(context.get(), options.ca_file.c_str()) != 1) {
    return unreadable("mqtt.ca_file", options.ca_file, "CaFileUnreadable");
  }
  if (!options.alpn.empty()) {
    const std::string wire = static_cast<char>(options.alpn.size()) + options.alpn;
    // Unlike its neighbours it returns 0 for success.
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size()));
  }
  if (!options.cert_file.empty()) {
    if (Status loaded = load_certificate(options, keys); !loaded) return loaded;
  }
  ssl.reset(SSL_new(context.get()));
  if (!ssl) return fail(tls_error(last_words()));
  return expect_host();
}

Status TlsStream::Impl::load_certificate(const TlsOptions& options, ClientKeys& keys) {
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.cert_file.c_str()) != 1) {
    return unreadable("mqtt.cert_file", options.cert_file, "CertificateFileUnreadable");
  }
  auto loaded = keys.load(options.key_file);
  if (!loaded) return fail(loaded.error());
  key = *std::move(loaded);
  if (SSL_CTX_use_PrivateKey(context.get(), key->get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    ERR_clear_error();
    return fail(Code::FailedPrecondition,
                "the key in mqtt.key_file is not that of the certificate in mqtt.cert_file, which "
                "must be the first one there",
                "KeyMismatch");
  }
  shown = true;
  return {};
}

Status TlsStream::Impl::expect_host() {
  X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl.get());
  X509_VERIFY_PARAM_set_time(expected,
                             std::chrono::system_clock::to_time_t(
                                 std::chrono::time_point_cast<std::chrono::seconds>(now)));
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const auto address = address_in(host);
  const bool set = address ? X509_VERIFY_PARAM_set1_ip_asc(expected, address->c_str()) == 1
                           // RFC 6066, section 3: SNI has names only.
                           : X509_VERIFY_PARAM_set1_host(expected, host.c_str(), 0) == 1 &&
                                 SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
  if (set) return {};
  ERR_clear_error();
  return fail(Code::InvalidArgument, host + " is no name for TLS; check mqtt.brokers",
              "InvalidBroker");
}

int TlsStream::Impl::verify(X509_STORE_CTX* store, void* self) {
  const int good = X509_verify_cert(store);
  if (good == 1) return good;
  CertificateFault fault;
  fault.code = X509_STORE_CTX_get_error(store);
  fault.leaf = X509_STORE_CTX_get_error_depth(store) == 0;
  const X509* const at = X509_STORE_CTX_get_current_cert(store);
  if (const X509* named = at != nullptr ? at : X509_STORE_CTX_get0_cert(store)) {
    fault.subject = one_line(X509_get_subject_name(named));
    fault.not_before = wall_time(X509_get0_notBefore(named));
    fault.not_after = wall_time(X509_get0_notAfter(named));
  }
  static_cast<Impl*>(self)->fault = std::move(fault);
  return 0;
}

Error TlsStream::Impl::failure() {
  if (fault) {
    ERR_clear_error();
    return certificate_error(*fault, host, now);
  }
  const int reason = ERR_GET_REASON(ERR_peek_error());
  if (reason > kFirstAlert && reason < kFirstAlert + 256) {
    ERR_clear_error();
    return alert_error(reason - kFirstAlert, shown);
  }
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
      ERR_clear_error();
      return alert_error(SSL_AD_PROTOCOL_VERSION, shown);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_HTTP_REQUEST:
      ERR_clear_error();
      return tls_error("what answers there does not speak TLS");
    default:
      return tls_error(last_words());
  }
}

Status TlsStream::Impl::judge(int result) {
  const int saved_errno = errno;
  wants_write = false;
  const bool handshaking = !established;
  const Error gone =
      handshaking ? tls_error("the broker hung up during the handshake")
                  : Error(Code::Unavailable, "the broker closed the connection", "ConnectionLost");
  switch (SSL_get_error(ssl.get(), result)) {
    case SSL_ERROR_WANT_WRITE:
      wants_write = true;
      return {};
    case SSL_ERROR_WANT_READ:
      return {};
    case SSL_ERROR_ZERO_RETURN:
      return fail(gone);
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      if (saved_errno == 0 || handshaking) return fail(gone);
      return fail(socket_error(saved_errno));
    default:
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        return fail(gone);
      }
      return fail(failure());
  }
}

TlsStream::TlsStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsStream::~TlsStream() = default;

Result<std::unique_ptr<TlsStream>> TlsStream::make(const TlsOptions& options, ClientKeys& keys,
                                                   const std::string& host, WallTime now) {
  auto impl = std::make_unique<Impl>(host, now);
  if (Status loaded = impl->load(options, keys); !loaded) return fail(loaded.error());
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(impl)));
}

Status TlsStream::attach(int socket) {
  if (SSL_set_fd(impl_->ssl.get(), socket) == 1) return {};
  return fail(tls_error(last_words()));
}

Result<bool> TlsStream::handshake() {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_connect(impl_->ssl.get());
  if (done == 1) {
    impl_->established = true;
    impl_->wants_write = false;
    return true;
  }
  if (Status judged = impl_->judge(done); !judged) return fail(judged.error());
  return false;
}

Result<size_t> TlsStream::read(char* to, size_t most) {
  ERR_clear_error();
  errno = 0;
  const int got = SSL_read(impl_->ssl.get(), to, static_cast<int>(most));
  if (got > 0) return static_cast<size_t>(got);
  if (Status judged = impl_->judge(got); !judged) return fail(judged.error());
  return 0;
}

Result<size_t> TlsStream::write(std::string_view bytes) {
  if (bytes.empty()) return 0;
  ERR_clear_error();
  errno = 0;
  const int sent = SSL_write(impl_->ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (sent > 0) return static_cast<size_t>(sent);
  if (Status judged = impl_->judge(sent); !judged) return fail(judged.error());
  return 0;
}

TlsPeer TlsStream::peer() const {
  TlsPeer peer{SSL_get_version(impl_->ssl.get()), {}, {}};
  if (const X509* shown = SSL_get0_peer_certificate(impl_->ssl.get())) {
    peer.not_before = wall_time(X509_get0_notBefore(shown));
    peer.not_after = wall_time(X509_get0_notAfter(shown));
  }
  return peer;
}

bool TlsStream::wants_write() const { return impl_->wants_write; }
bool TlsStream::has_more() const { return SSL_pending(impl_->ssl.get()) > 0; }

void TlsStream::close() {
  ERR_clear_error();
  SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

}  // namespace wherry

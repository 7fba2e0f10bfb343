#include "runtime/image/http.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <httplib.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "runtime/image/client_certificates.h"
#include "runtime/image/http_stream.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxIdle = 8;
constexpr size_t kMaxProxyAnswer = 16u << 10;
constexpr const char* kUnavailable = "RegistryUnavailable";

Duration patience_of(time_t seconds, time_t microseconds) {
  return std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds);
}

// The system's certificates and those of hosts.toml.
Result<X509_STORE*> make_trust(const TlsOptions& tls) {
  X509_STORE* store = X509_STORE_new();
  if (store == nullptr) return fail(Code::Internal, "out of memory for certificates");
  X509_STORE_set_default_paths(store);
  for (const std::string& file : tls.ca_files) {
    if (X509_STORE_load_file(store, file.c_str()) == 1) continue;
    X509_STORE_free(store);
    return fail(Code::FailedPrecondition,
                "cannot read the certificate authority " + file + tls_failure());
  }
  return store;
}

}  // namespace

bool CaselessLess::operator()(std::string_view a, std::string_view b) const {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [&](char x, char y) { return lower(x) < lower(y); });
}

std::string HttpHead::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::string HttpHead::joined(std::string_view name) const {
  std::string all;
  for (auto [each, end] = headers.equal_range(name); each != end; ++each) {
    all += (all.empty() ? "" : ", ") + each->second;
  }
  return all;
}

// httplib's own way through a proxy shows the proxy's password to the server behind it, and takes a
// refusal for the tunnel; so the tunnel is ours.
class TunnelClient final : public httplib::SSLClient {
 public:
  TunnelClient(const Url& url, std::optional<Proxy> proxy, LineBudget& budget)
      : SSLClient(url.host, url.port), proxy_(std::move(proxy)), budget_(budget) {}

  // What the proxy answered instead of opening the tunnel; 0 where it opened it or broke off.
  int refused() const { return refused_; }

 private:
  bool create_and_connect_socket(Socket& socket, httplib::Error& error) override {
    refused_ = 0;
    if (!is_valid()) return false;
    if (!proxy_) return ClientImpl::create_and_connect_socket(socket, error);
    set_proxy(proxy_->host, proxy_->port);  // for the address to connect to
    const bool connected = ClientImpl::create_and_connect_socket(socket, error);
    set_proxy("", -1);
    if (!connected || open_tunnel(socket.sock)) return connected;
    ClientImpl::shutdown_socket(socket);
    ClientImpl::close_socket(socket);
    error = httplib::Error::Connection;
    return false;
  }

  bool open_tunnel(int socket) {
    std::string request = "CONNECT " + host_and_port_ + " HTTP/1.1\r\nHost: " + host_and_port_;
    if (!proxy_->authorization.empty()) {
      request += "\r\nProxy-Authorization: " + proxy_->authorization;
    }
    request += "\r\n\r\n";
    const SystemClock clock;
    const MonoTime until = clock.now() + patience_of(read_timeout_sec_, read_timeout_usec_);
    if (::send(socket, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      return false;
    }
    // Byte by byte: what follows the empty line is the server's. All of it in time, not each.
    std::string answer;
    char byte = 0;
    while (answer.size() < kMaxProxyAnswer && !answer.ends_with("\r\n\r\n")) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock.now()).count();
      pollfd entry{socket, POLLIN, 0};
      const int ready = poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0 || left <= 0) return false;
      const ssize_t got = recv(socket, &byte, 1, MSG_DONTWAIT);
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got <= 0) return false;
      answer += byte;
    }
    int status = 0;
    if (answer.starts_with("HTTP/1.") && answer.size() > 12) {
      std::from_chars(answer.data() + 9, answer.data() + 12, status);
    }
    if (status >= 200 && status < 300) return true;
    refused_ = status;
    return false;
  }

  bool process_socket(const Socket& socket,
                      std::function<bool(httplib::Stream&)> callback) override {
    HttpStream stream(socket.sock, socket.ssl, patience_of(read_timeout_sec_, read_timeout_usec_),
                      budget_);
    return callback(stream);
  }

  const std::optional<Proxy> proxy_;
  LineBudget& budget_;
  int refused_ = 0;
};

class PlainClient final : public httplib::ClientImpl {
 public:
  PlainClient(const Url& url, LineBudget& budget)
      : ClientImpl(url.host, url.port), budget_(budget) {}

 private:
  bool process_socket(const Socket& socket,
                      std::function<bool(httplib::Stream&)> callback) override {
    HttpStream stream(socket.sock, nullptr, patience_of(read_timeout_sec_, read_timeout_usec_),
                      budget_);
    return callback(stream);
  }

  LineBudget& budget_;
};

// One httplib client, with a second handle on its socket: httplib's own stop() waits for a connect
// in progress, ours does not.
class HttpSession::Connection {
 public:
  Connection(std::string key, const Url& url, std::optional<Proxy> proxy)
      : key_(std::move(key)), authority_(url.authority()), proxy_(std::move(proxy)) {}
  ~Connection() {
    client_.reset();
    if (socket_ >= 0) close(socket_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& key() const { return key_; }

  Status open(const Url& url, const TlsOptions& tls, const HttpTimeouts& timeouts) {
    stall_ = timeouts.stall;
    window_ = timeouts.window;
    if (url.tls) {
      auto client = std::make_unique<TunnelClient>(url, proxy_, budget_);
      if (!client->is_valid()) return fail(Code::Internal, "no TLS" + tls_failure());
      if (Status loaded = clients_.load(tls.clients); !loaded) return loaded;
      client->enable_server_certificate_verification(!tls.skip_verify);
      auto trust = make_trust(tls);
      if (!trust) return fail(trust.error());
      client->set_ca_cert_store(*trust);  // takes it over
      SSL_CTX_set_min_proto_version(client->ssl_context(), TLS1_2_VERSION);
      SSL_CTX_set_cert_cb(client->ssl_context(), show_certificate, this);
      SSL_CTX_set_app_data(client->ssl_context(), this);
      SSL_CTX_set_info_callback(client->ssl_context(), watch_handshake);
      ssl_ = client.get();
      client_ = std::move(client);
    } else {
      client_ = std::make_unique<PlainClient>(url, budget_);
      if (proxy_) client_->set_proxy(proxy_->host, proxy_->port);
    }
    configure(timeouts);
    return {};
  }

  Result<HttpHead> exchange(const HttpRequest& request, const BodySink& sink,
                            const CancelToken& cancel) {
    HttpHead head;
    Status sunk;
    MonoTime last = clock_.now();
    httplib::Request wire;
    wire.method = request.method;
    wire.path = request.url.target;
    for (const auto& [name, value] : request.headers) wire.headers.emplace(name, value);
    wire.body = request.body;
    if (!request.body.empty()) wire.headers.emplace("Content-Type", request.body_type);
    if (proxy_ && ssl_ == nullptr && !proxy_->authorization.empty()) {
      wire.headers.emplace("Proxy-Authorization", proxy_->authorization);
    }
    wire.response_handler = [&](const httplib::Response& response) {
      copy_head(response, head);
      answered_ = true;
      budget_.head_ended();
      last = clock_.now();
      return true;
    };
    wire.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
      budget_.body_moved();
      sunk = cancel.cancelled() ? Status(fail(Code::Cancelled, "cancelled"))
                                : sink(head, std::string_view(data, size));
      last = clock_.now();  // what we took for it is no silence of theirs
      return sunk.has_value();
    };
    httplib::Response response;
    httplib::Error error = httplib::Error::Success;
    connects_ = 0;
    answered_ = late_ = false;
    budget_.begin();
    token_ = cancel;
    ERR_clear_error();
    const auto guard = cancel.on_cancel([this] { shut(); });
    const bool done = perform(wire, response, error);
    if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    if (!sunk) return fail(sunk.error());
    if (!done) return failure(error, clock_.now() - last);
    copy_head(response, head);
    if (head.status == 407 && proxy_) return refused_by_proxy(head.status);
    return head;
  }

 private:
  static int show_certificate(SSL* ssl, void* context) {
    auto* self = static_cast<Connection*>(context);
    self->certificate_wanted_ = true;
    self->clients_.show(ssl);
    return 1;
  }

  // httplib begins to wait anew with each byte. OpenSSL tells when a handshake begins, and each
  // time that it has to wait for more.
  static void watch_handshake(const SSL* ssl, int where, int result) {
    auto* self = static_cast<Connection*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    if ((where & SSL_CB_HANDSHAKE_START) != 0) self->handshake_ = self->clock_.now();
    if ((where & SSL_CB_EXIT) == 0 || result > 0 || SSL_is_init_finished(ssl) != 0) return;
    if (self->clock_.now() - self->handshake_ < self->stall_) return;
    self->late_ = true;
    self->shut();
  }

  static void copy_head(const httplib::Response& response, HttpHead& head) {
    head.status = response.status;
    head.headers.clear();
    for (const auto& [name, value] : response.headers) head.headers.emplace(name, value);
  }

  void configure(const HttpTimeouts& timeouts) {
    client_->set_connection_timeout(timeouts.connect);
    client_->set_read_timeout(timeouts.stall);
    client_->set_write_timeout(timeouts.stall);
    client_->set_keep_alive(true);
    client_->set_follow_location(false);
    client_->set_decompress(false);
    client_->set_url_encode(false);
    client_->set_tcp_nodelay(true);
    client_->set_socket_options([this](socket_t socket) { remember(socket); });
  }

  void remember(int socket) {
    const std::lock_guard lock(mutex_);
    ++connects_;
    if (socket_ >= 0) close(socket_);
    socket_ = dup(socket);
    if (window_ > 0) setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window_, sizeof(window_));
    // Cancelled while the name was looked up: nothing can be shut down yet, so let connect give up.
    if (token_.cancelled()) {
      const unsigned soon = 1;
      setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &soon, sizeof(soon));
    }
  }

  void shut() {
    const std::lock_guard lock(mutex_);
    if (socket_ >= 0) shutdown(socket_, SHUT_RDWR);
  }

  bool perform(httplib::Request& wire, httplib::Response& response, httplib::Error& error) {
    try {
      return client_->send(wire, response, error);
    } catch (const std::exception&) {  // e.g. a status line with an absurd number
      error = httplib::Error::Unknown;
      return false;
    }
  }

  // What a proxy answers in place of the server.
  tl::unexpected<Error> refused_by_proxy(int status) const {
    const std::string who = "proxy " + proxy_->authority();
    if (status == 407) {
      return fail(Code::PermissionDenied,
                  who +
                      " wants a user name and password, or others than these: put them into "
                      "HTTPS_PROXY and HTTP_PROXY as http://user:password@host:port");
    }
    return fail(Code::Unavailable,
                who + " does not let us through to " + authority_ + " (" + std::to_string(status) +
                    "); if it need not be asked, name the host in NO_PROXY",
                kUnavailable);
  }

  tl::unexpected<Error> untrusted() const {
    const long verdict = ssl_->get_openssl_verify_result();
    std::string why = "it is for another host name";
    if (verdict != X509_V_OK) why = X509_verify_cert_error_string(verdict);
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID) {
      why += "; renew it, unless it is this device's clock that is wrong";
    } else if (verdict != X509_V_OK) {
      why += "; name who signed it in its hosts.toml (ca)";
    }
    return fail(Code::FailedPrecondition, authority_ + ": its certificate is not trusted: " + why);
  }

  tl::unexpected<Error> failure(httplib::Error error, Duration silent) const {
    using E = httplib::Error;
    if (ssl_ != nullptr && ssl_->refused() != 0) return refused_by_proxy(ssl_->refused());
    const std::string who = authority_ + ": ";
    const std::string via = proxy_ ? " through the proxy " + proxy_->authority() : "";
    if (connects_ == 0 && error == E::Connection) {
      const std::string name = proxy_ ? "the name of the proxy " + proxy_->host : "the host name";
      return fail(Code::Unavailable, who + name + " cannot be resolved", kUnavailable);
    }
    if (late_) {
      return fail(Code::Unavailable,
                  who + "no TLS connection" + via + " within " + format_duration(stall_),
                  kUnavailable);
    }
    if (error == E::SSLServerVerification && ssl_ != nullptr) return untrusted();
    const std::string detail = tls_failure();
    const auto says = [&](const char* words) { return detail.find(words) != std::string::npos; };
    if (says("alert certificate required") || says("alert bad certificate") ||
        says("alert unknown ca") || says("alert certificate expired")) {
      return fail(Code::FailedPrecondition,
                  who + "it does not accept our client certificate, or wants one" + detail +
                      ": set the right one in its hosts.toml (client)");
    }
    if (error == E::SSLConnection || error == E::SSLLoadingCerts) {
      const bool plain = says("wrong version number") || says("http request");
      return fail(plain ? Code::FailedPrecondition : Code::Unavailable,
                  who + "no TLS connection" + via + detail +
                      (plain ? "; if it speaks plain HTTP, say so in its hosts.toml" : ""),
                  plain ? "" : kUnavailable);
    }
    if (error == E::Connection) {
      return fail(Code::Unavailable, who + "cannot connect" + via, kUnavailable);
    }
    if (error == E::ConnectionTimeout) {
      return fail(Code::Unavailable, who + "no answer to connect" + via, kUnavailable);
    }
    if (budget_.exceeded()) {
      return fail(Code::Unavailable, who + "its answer has too long a head: is it a registry?");
    }
    const std::string reason = answered_ ? "" : kUnavailable;
    if (budget_.starved()) {
      return fail(Code::Unavailable, who + "stalled: less than 1 KiB in " + format_duration(stall_),
                  reason);
    }
    if (silent + std::chrono::milliseconds(100) >= stall_) {
      return fail(Code::Unavailable, who + "stalled: no byte for " + format_duration(stall_),
                  reason);
    }
    // With TLS 1.3 the refusal of a certificate may be lost in the end of the connection.
    if (certificate_wanted_ && connects_ > 0 && !answered_) {
      return fail(Code::Unavailable,
                  who +
                      "the connection broke off after it asked for a client certificate: set the "
                      "right one in its hosts.toml (client)");
    }
    return fail(Code::Unavailable, who + "the connection broke off" + detail, reason);
  }

  const std::string key_;
  const std::string authority_;
  const std::optional<Proxy> proxy_;
  const SystemClock clock_;
  Duration stall_{};
  int window_ = 0;
  LineBudget budget_;
  std::unique_ptr<httplib::ClientImpl> client_;
  TunnelClient* ssl_ = nullptr;  // client_, where it is one
  ClientCertificates clients_;
  CancelToken token_;  // of the exchange in progress
  int connects_ = 0;
  bool answered_ = false;
  bool certificate_wanted_ = false;
  MonoTime handshake_{};  // when it began
  bool late_ = false;     // it took too long
  std::mutex mutex_;
  int socket_ = -1;  // the same socket as httplib's, so that its number cannot be reused under us
};

HttpSession::HttpSession(HttpTimeouts timeouts, ProxySettings proxies)
    : timeouts_(timeouts), proxies_(std::move(proxies)) {}
HttpSession::~HttpSession() = default;

Result<std::unique_ptr<HttpSession::Connection>> HttpSession::take(const HttpRequest& request,
                                                                   const TlsOptions& tls) {
  const Url& url = request.url;
  std::string key = (url.tls ? "https " : "http ") + url.authority();
  if (url.tls) {
    key += tls.skip_verify ? " skip" : "";
    for (const ClientPair& each : tls.clients) key += " " + each.certificate + "+" + each.key;
    for (const std::string& file : tls.ca_files) key += " " + file;
  }
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(idle_.begin(), idle_.end(),
                                    [&](const auto& each) { return each->key() == key; });
    if (found != idle_.end()) {
      auto connection = std::move(*found);
      idle_.erase(found);
      return connection;
    }
  }
  auto proxy = proxy_for(proxies_, url);
  if (!proxy) return fail(proxy.error());
  auto connection = std::make_unique<Connection>(std::move(key), url, std::move(*proxy));
  HttpTimeouts timeouts = timeouts_;
  if (request.connect > Duration::zero()) timeouts.connect = request.connect;
  if (Status opened = connection->open(url, tls, timeouts); !opened) return fail(opened.error());
  return connection;
}

void HttpSession::give_back(std::unique_ptr<Connection> connection) {
  std::unique_ptr<Connection> oldest;  // closed without the lock
  const std::lock_guard lock(mutex_);
  if (idle_.size() >= kMaxIdle) {
    oldest = std::move(idle_.front());
    idle_.erase(idle_.begin());
  }
  idle_.push_back(std::move(connection));
}

Result<HttpHead> HttpSession::send(const HttpRequest& request, const TlsOptions& tls,
                                   const BodySink& sink, const CancelToken& cancel) {
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  auto connection = take(request, tls);
  if (!connection) return fail(connection.error());
  auto head = (*connection)->exchange(request, sink, cancel);
  if (head) give_back(std::move(*connection));
  return head;
}

}  // namespace wherry::runtime

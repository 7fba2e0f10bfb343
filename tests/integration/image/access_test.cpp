// Getting into a real registry: TLS, client certificates, passwords, tokens, mirrors, proxies.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/base64.h"
#include "base/text.h"
#include "runtime/containerd/image_backend.h"
#include "runtime/image/auth.h"
#include "runtime/image/image_service.h"
#include "tests/support/certificates.h"
#include "tests/support/connect_proxy.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/registry.h"
#include "tests/support/test_image.h"
#include "tests/support/token_server.h"

namespace wherry::test {
namespace {

using runtime::RegistryCredential;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Access : public ::testing::Test {
 protected:
  Access() {
    options_.retry = {std::chrono::milliseconds(50), std::chrono::milliseconds(500)};
    options_.hosts_dir = dir_ / "hosts";
    const auto archive = make_busybox_archive(dir_ / "web.tar", "registry.local/web:1");
    plain_.push(archive.path, "a/web:1");
    containerd_.start();
  }

  // As a new agent would, and with nothing left of what was pulled before.
  Result<runtime::Image> pull(const std::string& host,
                              std::vector<RegistryCredential> credentials = {}) {
    runtime::Client client({containerd_.socket(), "wherry", "overlayfs"});
    const auto backend = runtime::make_containerd_backend(client, clock_);
    runtime::ImageService service(*backend, options_);
    auto pulled = service.pull({host + "/a/web:1", std::move(credentials), {}}, {});
    if (pulled) {
      EXPECT_TRUE(service.find(pulled->name));
      EXPECT_TRUE(service.remove(pulled->name));
    }
    return pulled;
  }
  void expect_pulled(const std::string& host, std::vector<RegistryCredential> credentials = {}) {
    const auto pulled = pull(host, std::move(credentials));
    EXPECT_TRUE(pulled) << pulled.error().full();
  }
  // Nothing is said that nobody should know.
  void expect_refused(const std::string& host, Code code, const std::string& said,
                      std::vector<RegistryCredential> credentials = {}) {
    const auto pulled = pull(host, std::move(credentials));
    ASSERT_FALSE(pulled) << said;
    EXPECT_EQ(pulled.error().code(), code) << pulled.error().full();
    EXPECT_THAT(pulled.error().full(), HasSubstr(said));
    EXPECT_THAT(pulled.error().full(), Not(HasSubstr("hunter2")));
  }
  // By a server that wants another client certificate; its alert may come through or not.
  void expect_unwelcome(const std::string& host) {
    const auto pulled = pull(host);
    ASSERT_FALSE(pulled);
    EXPECT_THAT(pulled.error().full(), HasSubstr("set the right one in its hosts.toml (client)"));
  }
  void write_hosts(const std::string& host, const std::string& toml) {
    std::filesystem::create_directories(dir_ / ("hosts/" + host));
    write_text(dir_ / ("hosts/" + host + "/hosts.toml"), toml);
  }
  RegistryOptions same_images() const {
    RegistryOptions options;
    options.storage = plain_.storage();
    return options;
  }
  RegistryOptions with_tls(const Certificate& certificate) const {
    RegistryOptions options = same_images();
    options.certificate = certificate.certificate;
    options.key = certificate.key;
    return options;
  }

  const TempDir dir_;
  const SystemClock clock_;
  Registry plain_;
  ContainerdDaemon containerd_;
  CertificateAuthority authority_;
  runtime::ImageServiceOptions options_;
};

TEST_F(Access, APrivateAuthorityIsTrustedWhereHostsTomlNamesIt) {
  Registry registry(with_tls(authority_.issue("127.0.0.1")));
  const std::string server = "server = \"https://" + registry.host() + "\"\n";
  write_hosts(registry.host(), server);
  expect_refused(registry.host(), Code::FailedPrecondition,
                 "its certificate is not trusted: unable to get local issuer certificate; name who "
                 "signed it in its hosts.toml (ca)");
  write_hosts(registry.host(), server + "ca = \"" + authority_.certificate() + "\"\n");
  expect_pulled(registry.host());
  write_hosts(registry.host(), server + "skip_verify = true\n");
  expect_pulled(registry.host());
  Registry other(with_tls(authority_.issue("elsewhere.test")));
  write_hosts(other.host(), "server = \"https://" + other.host() + "\"\nca = \"" +
                                authority_.certificate() + "\"\n");
  expect_refused(other.host(), Code::FailedPrecondition, "it is for another host name");
}

TEST_F(Access, AnExpiredCertificateIsNotTrusted) {
  Registry registry(with_tls(authority_.issue("127.0.0.1", true)));
  write_hosts(registry.host(), "server = \"https://" + registry.host() + "\"\nca = \"" +
                                   authority_.certificate() + "\"\n");
  expect_refused(registry.host(), Code::FailedPrecondition,
                 "certificate has expired; renew it, unless it is this device's clock");
}

TEST_F(Access, AClientCertificateIsShownWhereItIsWanted) {
  RegistryOptions options = with_tls(authority_.issue("127.0.0.1"));
  options.client_ca = authority_.certificate();
  Registry registry(options);
  const std::string toml =
      "server = \"https://" + registry.host() + "\"\nca = \"" + authority_.certificate() + "\"\n";
  write_hosts(registry.host(), toml);
  expect_unwelcome(registry.host());
  const Certificate ours = authority_.issue("pump-7");
  write_hosts(registry.host(),
              toml + "client = [[\"" + ours.certificate + "\", \"" + ours.key + "\"]]\n");
  expect_pulled(registry.host());
  CertificateAuthority stranger("Another authority");
  const Certificate theirs = stranger.issue("pump-7");
  write_hosts(registry.host(),
              toml + "client = [[\"" + theirs.certificate + "\", \"" + theirs.key + "\"]]\n");
  expect_unwelcome(registry.host());
  // Of several the one whose issuer the server names, as Go's clients choose.
  write_text(dir_ / "both.pem", read_text(ours.certificate) + read_text(ours.key));
  write_hosts(registry.host(), toml + "client = [[\"" + theirs.certificate + "\", \"" + theirs.key +
                                   "\"], \"" + (dir_ / "both.pem") + "\"]\n");
  expect_pulled(registry.host());
}

TEST_F(Access, PasswordsComeFromSecretsFromDockersFileAndFromHelpers) {
  RegistryOptions options = same_images();
  options.users = htpasswd("me", "hunter2");
  Registry registry(options);
  const std::string host = registry.host();
  expect_refused(host, Code::PermissionDenied, "needs a user name and password");
  expect_pulled(host, {{host, "me", "hunter2", ""}});
  expect_pulled(host, {{host, "me", "wrong", ""},
                       {"*.0.0.1:" + std::to_string(registry.port()), "me", "hunter2", ""}});
  expect_refused(host, Code::PermissionDenied, "refuses our credentials for a/web",
                 {{host, "me", "hunter2!", ""}});

  options_.credentials.docker_config = dir_ / "config.json";
  write_text(dir_ / "config.json",
             R"({"auths":{")" + host + R"(":{"auth":")" + base64_encode("me:hunter2") + R"("}}})");
  expect_pulled(host);
  options_.credentials.docker_config.clear();

  options_.credentials.helper = dir_ / "helper";
  write_text(dir_ / "helper",
             "#!/bin/sh\nread server\n[ \"$server\" = " + host + " ] || exit 1\n" +
                 R"(echo '{"Username":"me","Secret":"hunter2"}')" + "\n",
             0755);
  expect_pulled(host);
  write_text(dir_ / "helper", "#!/bin/sh\necho hunter2\nexit 7\n", 0755);
  expect_refused(host, Code::FailedPrecondition, "failed with exit code 7; to see why: echo ");
}

TEST_F(Access, TokensAreHadByPasswordAndByIdentity) {
  TokenServer tokens("me", "hunter2", "identity/hunter2");
  RegistryOptions options = same_images();
  options.auth = "{ token: { realm: '" + tokens.realm() + "', service: '" + TokenServer::kService +
                 "', issuer: '" + TokenServer::kIssuer + "', rootcertbundle: '" + tokens.trust() +
                 "' } }";
  Registry registry(options);
  const std::string host = registry.host();
  expect_pulled(host, {{host, "me", "hunter2", ""}});
  EXPECT_EQ(tokens.given(), 1) << "one for all requests of a pull";
  expect_pulled(host, {{host, "", "", "identity/hunter2"}});
  expect_refused(host, Code::PermissionDenied, "needs credentials (imagePullSecrets");
  expect_refused(host, Code::PermissionDenied, "refuses our credentials for a/web",
                 {{host, "me", "hunter2!", ""}, {host, "", "", "hunter2"}});
  // It gives what the registry does not take, again and again.
  tokens.set_lifetime(-3600);
  const int before = tokens.given();
  expect_refused(host, Code::PermissionDenied, "refuses our credentials for a/web",
                 {{host, "me", "hunter2", ""}});
  EXPECT_LE(tokens.given(), before + 2);
}

TEST_F(Access, MirrorsStandInForARegistryAndTheRegistryForThem) {
  Registry mirror(same_images());
  write_hosts("registry.test", "server = \"http://" + plain_.host() + "\"\n[host.\"http://" +
                                   mirror.host() + "\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
  plain_.stop();
  expect_pulled("registry.test");
  EXPECT_THAT(mirror.log(), HasSubstr("ns=registry.test"));
  plain_.start();
  mirror.stop();
  expect_pulled("registry.test");
  write_hosts("registry.test", "server = \"http://" + plain_.host() + "\"\ncapabilites = []\n");
  expect_refused("registry.test", Code::FailedPrecondition,
                 "hosts.toml:2: \"capabilites\" is not supported; did you mean \"capabilities\"?");
}

TEST_F(Access, AProxyIsUsedForWhatItIsMeantFor) {
  Registry registry(with_tls(authority_.issue("registry.test")));
  const std::string host = "registry.test:" + std::to_string(registry.port());
  const std::string ca = "ca = \"" + authority_.certificate() + "\"\n";
  write_hosts(host, ca);
  ConnectProxy proxy("me:hunter2");
  options_.proxies.https = "http://me:hunter2@" + proxy.authority();
  expect_pulled(host);
  EXPECT_THAT(proxy.seen(), Contains("CONNECT " + host));
  const size_t seen = proxy.seen().size();

  options_.proxies.none = ".other,registry.test";
  expect_refused(host, Code::Unavailable, "the host name cannot be resolved");
  expect_pulled(plain_.host());  // loopback goes straight
  EXPECT_EQ(proxy.seen().size(), seen);
  options_.proxies.none.clear();

  proxy.refuse(403);
  expect_refused(host, Code::Unavailable,
                 "proxy " + proxy.authority() + " does not let us through to " + host + " (403)");
  proxy.refuse(0);
  options_.proxies.https = "http://me:other@" + proxy.authority();
  expect_refused(host, Code::PermissionDenied, "wants a user name and password");

  // Plain HTTP, where it is configured, has a proxy of its own.
  const std::string name = "plain.test:" + std::to_string(plain_.port());
  write_hosts(name, "server = \"http://" + name + "\"\n");
  options_.proxies.http = "me:hunter2@" + proxy.authority();
  expect_pulled(name);
  EXPECT_THAT(proxy.seen(), Contains(HasSubstr("GET http://" + name + "/v2/a/web/blobs/")));
}

TEST_F(Access, TheProxysPasswordIsForTheProxyAlone) {
  const Certificate certificate = authority_.issue("registry.test");
  httplib::SSLServer server(certificate.certificate.c_str(), certificate.key.c_str());
  std::atomic<int> requests{0};
  std::atomic<int> told{0};
  server.Get(".*", [&](const httplib::Request& request, httplib::Response& response) {
    ++requests;
    told += request.has_header("Proxy-Authorization") ? 1 : 0;
    response.status = 404;
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  const std::string host = "registry.test:" + std::to_string(port);
  write_hosts(host, "ca = \"" + authority_.certificate() + "\"\n");
  ConnectProxy proxy("me:hunter2");
  options_.proxies.https = "http://me:hunter2@" + proxy.authority();
  expect_refused(host, Code::NotFound, "the registry does not have it");
  server.stop();
  thread.join();
  EXPECT_GE(requests, 1);
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace wherry::test

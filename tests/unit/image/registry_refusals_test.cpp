// Registries that refuse: who is told what, who is asked next, and what comes of it.

#include <chrono>
#include <filesystem>

#include "runtime/image/auth.h"
#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

class Refusal : public Pull {
 protected:
  // r.local is `registry_`, and `mirrors` are asked before it.
  void set_hosts(const std::string& mirrors) {
    std::filesystem::create_directories(dir_ / "r.local");
    test::write_text(dir_ / "r.local/hosts.toml",
                     "server = \"http://" + registry_.host() + "\"\n" + mirrors);
    options_.hosts_dir = dir_.path();
    restart();
  }
  void set_mirror(const ScriptedRegistry& mirror) {
    set_hosts("[host.\"http://" + mirror.host() + "\"]\n");
  }
  std::string realm(const ScriptedRegistry& server, const std::string& more = "") const {
    return "Bearer realm=\"http://" + server.host() + "/token\"" + more;
  }
  Error refused(const std::string& reference) {
    const auto pulled = pull(reference);
    EXPECT_FALSE(pulled);
    return pulled ? Error(Code::Internal, "") : pulled.error();
  }
  // The ranges that were asked for of a blob.
  static std::vector<std::string> ranges(const ScriptedRegistry& registry,
                                         const std::string& blob) {
    std::vector<std::string> all;
    for (const auto& each : registry.seen()) {
      if (each.path.ends_with(sha256_digest(blob))) all.push_back(each.range);
    }
    return all;
  }

  const test::TempDir dir_;
};

TEST_F(Refusal, AHostThatARedirectLeadsToNamesNoTokenServer) {
  ScriptedRegistry storage, evil;
  const std::string name = registry_.add(three_layers(), "web", "1");
  storage.script([&](const Request&, Response& response) {
    return refuse(response, 401, "WWW-Authenticate", realm(evil)), true;
  });
  registry_.script([&](const Request& request, Response& response) {
    if (request.path.find("/blobs/") == std::string::npos) return false;
    return redirect(response, "http://" + storage.host() + "/x"), true;
  });
  const auto pulled = service_->pull({name, {{registry_.host(), "me", "secret", ""}}, {}}, {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::PermissionDenied);
  EXPECT_THAT(pulled.error().full(), HasSubstr(storage.host() + ", which wants a log-in"));
  EXPECT_TRUE(evil.seen().empty());
  EXPECT_EQ(storage.count("GET", "/x"), 1);
}

TEST_F(Refusal, ATokenIsForTheRepositoryThatTheRegistryNamesAndToPullOnly) {
  const std::string name = registry_.add(three_layers(), "a/web", "1");
  const std::vector<std::pair<std::string, std::string>> scopes{
      {"repository:proxy/a/web:pull,push", "repository:proxy/a/web:pull"},
      {"repository:b.local:5000/web:*", "repository:b.local:5000/web:pull"},
      {"repository:other:pull repository:a/web:delete", "repository:a/web:pull"},
      {"registry:catalog:*", "repository:a/web:pull"},
      {"repository::pull repository:", "repository:a/web:pull"}};
  for (const auto& [named, asked] : scopes) {
    std::string seen;
    registry_.script([&, named = named](const Request& request, Response& response) {
      if (request.path == "/token") {
        seen = request.get_param_value("scope");
        return response.set_content(R"({"token":"t"})", "x"), true;
      }
      if (request.get_header_value("Authorization") == "Bearer t") return false;
      return refuse(response, 401, "WWW-Authenticate",
                    realm(registry_, ",scope=\"" + named + "\"")),
             true;
    });
    const auto pulled = pull(name);
    EXPECT_TRUE(pulled) << pulled.error().full();
    EXPECT_EQ(seen, asked);
  }
}

TEST_F(Refusal, EveryLineOfAChallengeCounts) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (!request.get_header_value("Authorization").empty()) return false;
    response.set_header("WWW-Authenticate", "Negotiate");
    return refuse(response, 401, "WWW-Authenticate", "Basic realm=\"x\""), true;
  });
  const auto pulled = service_->pull({name, {{registry_.host(), "me", "secret", ""}}, {}}, {});
  EXPECT_TRUE(pulled) << pulled.error().full();
}

TEST_F(Refusal, ATokenServerThatIsBusyIsWaitedForOrTold) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::string wait = "0";
  std::atomic<int> refusals{2};
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token" && refusals-- > 0) {
      return refuse(response, 429, "Retry-After", wait), true;
    }
    if (request.path == "/token") return response.set_content(R"({"token":"t"})", "x"), true;
    if (request.get_header_value("Authorization") == "Bearer t") return false;
    return refuse(response, 401, "WWW-Authenticate", realm(registry_)), true;
  });
  const auto pulled = pull(name);
  EXPECT_TRUE(pulled) << pulled.error().full();
  wait = "3600";
  refusals = 1000;
  const Error error = refused(name);
  EXPECT_EQ(error.code(), Code::ResourceExhausted);
  EXPECT_EQ(error.retry_after(), std::chrono::seconds(3600));
}

TEST_F(Refusal, ATokenServerThatIsNotThereIsNamed) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token") return refuse(response, 404), true;
    return refuse(response, 401, "WWW-Authenticate", realm(registry_)), true;
  });
  const Error error = refused(name);
  EXPECT_EQ(error.code(), Code::FailedPrecondition) << error.full();
  EXPECT_THAT(error.full(), HasSubstr("token server http://" + registry_.host() + "/token"));
}

TEST_F(Refusal, AnotherHostContinuesADocumentInMemory) {
  ScriptedRegistry mirror;
  const TestImage& image = three_layers();
  registry_.add(image, "web", "1");
  mirror.add(image, "web", "1");
  mirror.script([&](const Request& request, Response& response) {
    if (!wants(request, image.config)) return false;
    return cut_off(request, response, image.config, 50), true;
  });
  set_mirror(mirror);
  const auto pulled = pull("r.local/web:1");
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(ranges(registry_, image.config), std::vector<std::string>{"bytes=50-"});
}

TEST_F(Refusal, AnotherHostIsAskedFromTheBeginningWhereTheFirstSentNonsense) {
  ScriptedRegistry mirror;
  registry_.add(three_layers(), "web", "1");
  mirror.add(three_layers(), "web", "1");
  mirror.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    return response.set_content(big_blob() + "x", "application/octet-stream"), true;
  });
  set_mirror(mirror);
  const auto pulled = pull("r.local/web:1");
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(ranges(registry_, big_blob()), std::vector<std::string>{""});
  EXPECT_EQ(ranges(mirror, big_blob()), std::vector<std::string>{""});
}

TEST_F(Refusal, WhoAsksToBeLeftAloneIsAskedNothingElse) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  for (const int status : {429, 503}) {
    const size_t before = registry_.seen().size();
    registry_.script([&](const Request&, Response& response) {
      return refuse(response, status, "Retry-After", "3600"), true;
    });
    EXPECT_EQ(refused(name).retry_after(), std::chrono::seconds(3600));
    EXPECT_EQ(registry_.seen().size(), before + 1);
  }
  registry_.script([](const Request& request, Response& response) {
    return request.method == "HEAD" ? refuse(response, 501), true : false;
  });
  EXPECT_TRUE(pull(name)) << "it cannot answer HEAD, which is no wish to be left alone";
}

TEST_F(Refusal, TheRegistrysOwnErrorIsToldAndTheLongestWaitCounts) {
  ScriptedRegistry mirror;
  set_mirror(mirror);
  const auto refuses = [](int status, const std::string& wait) {
    return [=](const Request&, Response& response) {
      return refuse(response, status, "Retry-After", wait), true;
    };
  };
  mirror.script(refuses(429, "600"));
  registry_.script(refuses(503, "60"));
  Error error = refused("r.local/web:1");
  EXPECT_EQ(error.code(), Code::Unavailable);
  EXPECT_EQ(error.reason(), "RegistryUnavailable");
  EXPECT_EQ(error.retry_after(), std::chrono::seconds(600));
  EXPECT_THAT(error.full(), HasSubstr("(also http://" + mirror.host()));
  registry_.script(nullptr);
  error = refused("r.local/web:1");
  EXPECT_EQ(error.code(), Code::ResourceExhausted) << "that it is not there says less";
  EXPECT_EQ(error.retry_after(), std::chrono::seconds(600));
  mirror.script(nullptr);
  EXPECT_EQ(refused("r.local/web:1").code(), Code::NotFound);
}

TEST_F(Refusal, WhatIsWrongWithTheDeviceOrTheServerIsNotTheImagesFault) {
  set_hosts("[host.\"https://127.0.0.1:1\"]\n  ca = \"missing.pem\"\n");
  registry_.script([](const Request&, Response& response) { return refuse(response, 403), true; });
  const Error error = refused("r.local/web:1");
  EXPECT_THAT(error.full(), HasSubstr("cannot read the certificate authority"));
  EXPECT_EQ(error.code(), Code::PermissionDenied) << "the other host was asked, too";

  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    if (request.has_header("Range")) return redirect(response, "http://no host/"), true;
    return cut_off(request, response, big_blob(), 100'000), true;
  });
  EXPECT_EQ(refused(name).code(), Code::Unavailable);
  EXPECT_EQ(store_.leases.size(), 1u) << "what has arrived stays";
}

// Answers everything with `answer`, over TLS that nobody has reason to trust.
class TlsServer {
 public:
  explicit TlsServer(httplib::Server::Handler answer)
      : certificate_(authority_.issue("127.0.0.1")),
        server_(certificate_.certificate.c_str(), certificate_.key.c_str()) {
    server_.Get(".*", [this, answer](const Request& request, Response& response) {
      ++requests_;
      answer(request, response);
    });
    server_.set_read_timeout(std::chrono::minutes(1));  // a handshake, too, on a slow machine
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~TlsServer() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }

 private:
  test::CertificateAuthority authority_;
  const test::Certificate certificate_;
  httplib::SSLServer server_;
  std::atomic<int> requests_{0};
  int port_ = 0;
  std::thread thread_;
};

TEST_F(Refusal, TrustWithoutProofIsForTheHostItWasGivenTo) {
  TlsServer other([](const Request&, Response& response) { refuse(response, 404); });
  for (const bool token : {false, true}) {
    TlsServer host([&](const Request&, Response& response) {
      if (!token) return redirect(response, other.url() + "/x");
      refuse(response, 401, "WWW-Authenticate", "Bearer realm=\"" + other.url() + "/token\"");
    });
    set_hosts("[host.\"" + host.url() + "\"]\n  skip_verify = true\n");
    EXPECT_THAT(refused("r.local/web:1").full(), HasSubstr("its certificate is not trusted"));
    EXPECT_GT(host.requests(), 0);
  }
  EXPECT_EQ(other.requests(), 0);
}

}  // namespace
}  // namespace wherry::image_test

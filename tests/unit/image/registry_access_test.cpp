// Getting into registries: tokens, credentials, redirects, rate limits, mirrors.

#include <filesystem>
#include <mutex>

#include "base/base64.h"
#include "runtime/image/auth.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

TEST_F(Pull, TokensAreFetchedUsedAndRenewed) {
  const std::string name = registry_.add(three_layers(), "a/web", "1");
  std::atomic<int> tokens{0};
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token") {
      EXPECT_EQ(request.get_param_value("scope"), "repository:a/web:pull");
      EXPECT_EQ(request.get_param_value("service"), "the registry");
      response.set_content(R"({"token":"t)" + std::to_string(++tokens) + R"("})",
                           "application/json");
      return true;
    }
    // The first token is good for the manifest only.
    const bool blob = request.path.find("/blobs/") != std::string::npos;
    const std::string token = request.get_header_value("Authorization");
    if (token == "Bearer t1" ? !blob : token.starts_with("Bearer t")) return false;
    refuse(response, 401, "WWW-Authenticate",
           R"(Bearer realm="http://)" + registry_.host() +
               R"(/token",service="the registry",scope="repository:a/web:pull,push,delete")");
    return true;
  });
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_GE(tokens, 2);
}

TEST_F(Pull, ATokenServerThatLoopsIsGivenUp) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token") return response.set_content(R"({"token":"t"})", "x"), true;
    refuse(response, 401, "WWW-Authenticate",
           "Bearer realm=\"http://" + registry_.host() + "/token\"");
    return true;
  });
  expect_failure(name, Code::PermissionDenied, "credentials");
  EXPECT_LE(registry_.count("GET", "/token"), 3);
  registry_.script([&](const Request&, Response& response) {
    redirect(response, "http://" + registry_.host() + "/again");
    return true;
  });
  expect_failure(name, Code::Unavailable, "redirects without end");
}

TEST_F(Pull, CredentialsComeFromDockersFile) {
  const test::TempDir dir;
  options_.credentials.docker_config = dir / "config.json";
  test::write_text(options_.credentials.docker_config, R"({"auths":{")" + registry_.host() +
                                                           R"(":{"auth":")" +
                                                           base64_encode("me:secret") + R"("}}})");
  restart();
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (request.get_header_value("Authorization") == "Basic " + base64_encode("me:secret")) {
      return false;
    }
    refuse(response, 401, "WWW-Authenticate", "Basic realm=\"x\"");
    return true;
  });
  EXPECT_TRUE(pull(name));
  options_.credentials.docker_config.clear();
  store_.blobs.clear();
  store_.records.clear();
  restart();
  expect_failure(name, Code::PermissionDenied, "add them to images.docker_config");
}

TEST_F(Pull, ARedirectElsewhereNeverCarriesCredentials) {
  ScriptedRegistry storage;
  storage.add(three_layers(), "x", "1");
  const test::TempDir dir;
  options_.credentials.docker_config = dir / "config.json";
  test::write_text(options_.credentials.docker_config,
                   R"({"auths":{")" + registry_.host() + R"(":{"auth":"dTpw"}}})");
  restart();
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (request.get_header_value("Authorization").empty()) {
      return refuse(response, 401, "WWW-Authenticate", "Basic realm=\"x\""), true;
    }
    if (request.path.find("/blobs/") == std::string::npos) return false;
    redirect(response, "http://" + storage.host() + "/v2/x/blobs/" +
                           request.path.substr(request.path.rfind('/') + 1) + "?signature=1");
    return true;
  });
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(storage.count("GET", "/blobs/"), 4);
  for (const auto& each : storage.seen()) EXPECT_EQ(each.authorization, "");
}

TEST_F(Pull, ARateLimitIsWaitedForOrTold) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::atomic<int> refusals{2};
  registry_.script([&](const Request&, Response& response) {
    if (refusals-- <= 0) return false;
    refuse(response, 429, "Retry-After", "0");
    return true;
  });
  EXPECT_TRUE(pull(name));
  store_.records.clear();
  registry_.script([](const Request&, Response& response) {
    refuse(response, 429, "Retry-After", "3600");
    return true;
  });
  expect_failure(name, Code::ResourceExhausted, "it asks to come back in 3600 s");
}

std::string basic(const std::string& user_and_password) {
  return "Basic " + base64_encode(user_and_password);
}

TEST_F(Pull, CredentialsOfThePodsAreTriedInTurnAndBeforeTheDevices) {
  const test::TempDir dir;
  options_.credentials.docker_config = dir / "config.json";
  test::write_text(options_.credentials.docker_config,
                   R"({"auths":{")" + registry_.host() + R"(":{"auth":"ZmlsZTpkZXZpY2U="}}})");
  restart();
  const std::string name = registry_.add(three_layers(), "a/web", "1");
  std::mutex mutex;
  std::vector<std::string> tried;
  std::string right = "second:b";
  registry_.script([&](const Request& request, Response& response) {
    const std::string given = request.get_header_value("Authorization");
    const std::lock_guard lock(mutex);
    if (given == basic(right)) return false;
    tried.push_back(given);
    return refuse(response, 401, "WWW-Authenticate", "Basic realm=\"x\""), true;
  });
  const runtime::PullRequest request{name,
                                     {{"elsewhere.local", "other", "x", ""},
                                      {registry_.host(), "second", "b", ""},
                                      {registry_.host() + "/a", "first", "a", ""}},
                                     {}};
  const auto pulled = service_->pull(request, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(tried, (std::vector<std::string>{"", basic("first:a")})) << "what is right is kept";
  tried.clear();
  right = "file:device";
  EXPECT_TRUE(service_->pull(request, {}));
  EXPECT_EQ(tried, (std::vector<std::string>{"", basic("first:a"), basic("second:b")}));
  right = "nobody:x";
  const auto refused = service_->pull(request, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::PermissionDenied);
  EXPECT_THAT(refused.error().full(), HasSubstr("refuses our credentials for a/web (from " +
                                                (dir / "config.json") + ", imagePullSecrets)"));
}

TEST_F(Pull, AMirrorIsNeverGivenTheRegistrysCredentials) {
  ScriptedRegistry mirror;
  const test::TempDir dir;
  options_.hosts_dir = dir.path();
  std::filesystem::create_directory(dir / "r.local");
  test::write_text(dir / "r.local/hosts.toml", "server = \"http://" + registry_.host() +
                                                   "\"\n[host.\"http://" + mirror.host() + "\"]\n");
  restart();
  registry_.add(three_layers(), "web", "1");
  const auto guarded_by = [](const std::string& right) {
    return [right](const Request& request, Response& response) {
      if (request.get_header_value("Authorization") == basic(right)) return false;
      return refuse(response, 401, "WWW-Authenticate", "Basic realm=\"x\""), true;
    };
  };
  registry_.script(guarded_by("me:own"));
  mirror.script(guarded_by("me:mirror"));
  runtime::PullRequest request{"r.local/web:1", {{"r.local", "me", "own", ""}}, {}};
  auto pulled = service_->pull(request, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_GE(mirror.seen().size(), 1u);
  for (const auto& each : mirror.seen()) EXPECT_EQ(each.authorization, "");
  // It has its own.
  store_.records.clear();
  store_.blobs.clear();
  mirror.add(three_layers(), "web", "1");
  request.credentials.push_back({mirror.host(), "me", "mirror", ""});
  pulled = service_->pull(request, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(mirror.seen().back().authorization, basic("me:mirror"));
}

TEST_F(Pull, AnIdentityTokenIsTradedForAnAccessToken) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::string form, type;
  registry_.on_post([&](const Request& request, Response& response) {
    form = request.body;
    type = request.get_header_value("Content-Type");
    EXPECT_EQ(request.get_header_value("Authorization"), "");
    response.set_content(R"({"access_token":"abc"})", "application/json");
  });
  registry_.script([&](const Request& request, Response& response) {
    if (request.get_header_value("Authorization") == "Bearer abc") return false;
    refuse(response, 401, "WWW-Authenticate",
           "Bearer realm=\"http://" + registry_.host() + "/token\",service=\"s\"");
    return true;
  });
  const auto pulled =
      service_->pull({name, {{registry_.host(), "ignored", "", "ident/ity"}}, {}}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(type, "application/x-www-form-urlencoded");
  EXPECT_EQ(form,
            "scope=repository%3Aweb%3Apull&service=s&grant_type=refresh_token&"
            "client_id=wherry&refresh_token=ident%2Fity");
  // It goes to nobody else.
  store_.records.clear();
  registry_.on_post([&](const Request&, Response& response) {
    redirect(response, "http://" + registry_.host() + "/elsewhere");
  });
  const auto refused =
      service_->pull({name, {{registry_.host(), "ignored", "", "ident/ity"}}, {}}, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().full(), HasSubstr("redirects a log-in, which is not followed"));
  EXPECT_EQ(registry_.count("POST", "/elsewhere"), 0);
}

// Whoever gives a token must be asked once for it, however many layers wait for it.
TEST_F(Pull, ATokenThatExpiresInTheMiddleIsRenewedOnceAndThePullGoesOn) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::atomic<int> tokens{0};
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token") {
      EXPECT_EQ(request.get_header_value("Authorization"), basic("me:secret"));
      const std::string token = "t" + std::to_string(++tokens);
      return response.set_content("{\"token\":\"" + token + "\",\"expires_in\":3600}", "x"), true;
    }
    const std::string token = request.get_header_value("Authorization");
    const bool layer =
        request.path.find("/blobs/") != std::string::npos && !wants(request, three_layers().config);
    if (token == "Bearer t2" || (token == "Bearer t1" && !layer)) {
      if (!wants(request, big_blob()) || request.has_header("Range")) return false;
      return cut_off(request, response, big_blob(), 200'000), true;
    }
    refuse(response, 401, "WWW-Authenticate",
           "Bearer realm=\"http://" + registry_.host() + "/token\"");
    return true;
  });
  const auto pulled = service_->pull({name, {{registry_.host(), "me", "secret", ""}}, {}}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(tokens, 2);
}

TEST_F(Pull, AHelperThatFailsIsNamedOnlyWhereItIsNeeded) {
  options_.credentials.helper = "/nonexistent/helper";
  restart();
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token") return response.set_content(R"({"token":"t"})", "x"), true;
    if (request.get_header_value("Authorization") == "Bearer t") return false;
    refuse(response, 401, "WWW-Authenticate",
           "Bearer realm=\"http://" + registry_.host() + "/token\"");
    return true;
  });
  EXPECT_TRUE(pull(name)) << "it is public";
  store_.records.clear();
  registry_.script([&](const Request&, Response& response) {
    return refuse(response, 401, "WWW-Authenticate", "Basic realm=\"x\""), true;
  });
  const auto refused = pull(name);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "CredentialHelperFailed");
  EXPECT_THAT(refused.error().full(), HasSubstr("/nonexistent/helper cannot be started"));
}

TEST_F(Pull, RedirectsToOtherSchemesAreRefused) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  for (const std::string to : {"ftp://x/y", "file:///etc/passwd", "FILE:/etc/passwd", "data:,x"}) {
    registry_.script(
        [&](const Request&, Response& response) { return redirect(response, to), true; });
    expect_failure(name, Code::PermissionDenied, "which is not followed: only https and http are");
  }
}

TEST_F(Pull, AHugeManifestIsRefusedUnread) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  // Outlives the test: the registry may still be sending when it ends.
  const auto sent = std::make_shared<std::atomic<size_t>>(0);
  constexpr size_t kHuge = 100u << 20;
  for (const bool said_by_head : {true, false}) {
    registry_.script([sent, said_by_head](const Request& request, Response& response) {
      if (request.method == "HEAD" && !said_by_head) return refuse(response, 405), true;
      if (request.method == "HEAD") {
        response.set_header("Docker-Content-Digest", sha256_digest("x"));
      }
      response.set_content_provider(kHuge, kManifestType, [sent](size_t, size_t, auto& sink) {
        const std::string piece(64u << 10, ' ');
        *sent += piece.size();
        return sink.write(piece.data(), piece.size());
      });
      return true;
    });
    expect_failure(name, Code::InvalidArgument, "larger than 4 MiB");
  }
  EXPECT_LT(*sent, kHuge / 2);
}

TEST_F(Pull, APageInsteadOfARegistryIsNamed) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([](const Request&, Response& response) {
    return response.set_content("<html>Welcome! Please log in.</html>", "text/html"), true;
  });
  expect_failure(name, Code::Unavailable, "answered with text/html that is no image manifest");
  registry_.script([&](const Request& request, Response& response) {
    if (request.path == "/token") return response.set_content("<html></html>", "text/html"), true;
    refuse(response, 401, "WWW-Authenticate",
           "Bearer realm=\"http://" + registry_.host() + "/token\"");
    return true;
  });
  expect_failure(name, Code::Unavailable, "the token server did not answer with JSON");
}

TEST_F(Pull, ARegistryThatIsNotThereHasItsOwnReason) {
  const auto pulled = pull("127.0.0.1:1/web:1");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().reason(), "RegistryUnavailable");
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([](const Request&, Response& response) { return refuse(response, 502), true; });
  EXPECT_EQ(pull(name).error().reason(), "RegistryUnavailable");
}

TEST_F(Pull, MirrorsAreTriedBeforeTheRegistryItself) {
  ScriptedRegistry mirror;
  const TestImage& image = three_layers();
  registry_.add(image, "library/web", "1");
  mirror.add(make_image({image.layers[1]}), "other", "1");
  const test::TempDir dir;
  options_.hosts_dir = dir.path();
  std::filesystem::create_directory(dir / "docker.io");
  test::write_text(
      dir / "docker.io/hosts.toml",
      "server = \"http://" + registry_.host() + "\"\n[host.\"http://" + mirror.host() + "\"]\n");
  restart();
  const auto pulled = pull("web:1");
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(pulled->name, "docker.io/library/web:1");
  EXPECT_GE(mirror.count("HEAD", "/v2/library/web/manifests/1"), 1);
  EXPECT_EQ(mirror.seen().at(0).ns, "docker.io");
  test::write_text(dir / "docker.io/hosts.toml", "servr = 1\n");
  store_.records.clear();
  expect_failure("web:1", Code::FailedPrecondition, "hosts.toml:1: \"servr\" is not supported");
}

}  // namespace
}  // namespace wherry::image_test

// hosts.toml, URLs, WWW-Authenticate, docker's config.json.

#include "runtime/image/hosts.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/image/auth.h"
#include "runtime/image/http.h"
#include "runtime/image/registry.h"
#include "runtime/image/url.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

Result<std::vector<RegistryHost>> parse(const std::string& toml,
                                        const std::string& host = "docker.io") {
  return parse_hosts_toml(toml, "/etc/certs.d/" + host + "/hosts.toml", host);
}

TEST(Hosts, WithoutAFileTheHostItself) {
  const auto base = [](const std::string& host) { return registry_hosts("", host)->at(0).base; };
  EXPECT_EQ(base("docker.io"), "https://registry-1.docker.io/v2");
  EXPECT_EQ(base("registry.local"), "https://registry.local/v2");
  EXPECT_EQ(base("registry.local:5000"), "https://registry.local:5000/v2");
  EXPECT_EQ(base("localhost:5000"), "http://localhost:5000/v2");
  EXPECT_EQ(base("127.1.2.3:80"), "http://127.1.2.3:80/v2");
  EXPECT_EQ(base("[::1]:5000"), "http://[::1]:5000/v2");
  EXPECT_EQ(base("127.evil.example"), "https://127.evil.example/v2");
  EXPECT_EQ(base("localhost.example"), "https://localhost.example/v2");
}

TEST(Hosts, MirrorsComeFirstInTheOrderTheyAreWritten) {
  const auto hosts = parse(R"(server = "https://registry-1.docker.io"
[host."http://z.local:5000"]
  capabilities = ["pull", "resolve"]
[host."https://a.local"]
  capabilities = ["pull"]
  skip_verify = true
  ca = ["a.crt", "/b.crt"]
  client = [["c.pem", "k.pem"]]
  [host."https://a.local".header]
    X-One = "1"
    X-Two = ["2", "3"]
[host."b.local/prefix"]
  override_path = true
  ca = "one.crt"
)");
  ASSERT_TRUE(hosts) << hosts.error().full();
  ASSERT_EQ(hosts->size(), 4u);
  EXPECT_EQ((*hosts)[0].base, "http://z.local:5000/v2");
  EXPECT_TRUE((*hosts)[0].resolve && (*hosts)[0].pull && (*hosts)[0].mirror);
  const RegistryHost& a = (*hosts)[1];
  EXPECT_EQ(a.base, "https://a.local/v2");
  EXPECT_TRUE(a.pull && !a.resolve && a.tls.skip_verify);
  EXPECT_EQ(a.tls.ca_files, (std::vector<std::string>{"/etc/certs.d/docker.io/a.crt", "/b.crt"}));
  EXPECT_EQ(
      a.tls.clients,
      (std::vector<ClientPair>{{"/etc/certs.d/docker.io/c.pem", "/etc/certs.d/docker.io/k.pem"}}));
  EXPECT_EQ(a.headers.size(), 3u);
  EXPECT_EQ((*hosts)[2].base, "https://b.local/prefix");
  EXPECT_FALSE((*hosts)[3].mirror);
  EXPECT_EQ((*hosts)[3].base, "https://registry-1.docker.io/v2");
}

TEST(Hosts, TopLevelSettingsAreTheServers) {
  const auto hosts = parse("server = \"http://r.local:80\"\nskip_verify = true\n", "r.local:80");
  ASSERT_TRUE(hosts) << hosts.error().full();
  ASSERT_EQ(hosts->size(), 1u);
  EXPECT_EQ((*hosts)[0].base, "http://r.local:80/v2");
  EXPECT_TRUE((*hosts)[0].tls.skip_verify);
  EXPECT_FALSE((*hosts)[0].mirror);
}

TEST(Hosts, ADialTimeoutIsTakenAsContainerd2WritesIt) {
  const auto hosts = parse(
      "server = \"https://r.local\"\ndial_timeout = \"1m30s\"\n"
      "[host.\"https://a.local\"]\n  dial_timeout = \"500ms\"\n"
      "[host.\"https://b.local\"]\n");
  ASSERT_TRUE(hosts) << hosts.error().full();
  EXPECT_EQ((*hosts)[0].dial_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ((*hosts)[1].dial_timeout, Duration::zero());
  EXPECT_EQ((*hosts)[2].dial_timeout, std::chrono::seconds(90));
  for (const char* bad : {"\"soon\"", "\"\"", "3", "\"0s\"", "\"-1s\"", "\"1h\"", "[\"1s\"]"}) {
    const auto refused = parse("[host.\"https://a.local\"]\ndial_timeout = " + std::string(bad));
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.error().full().find("hosts.toml:2: dial_timeout must be a duration"),
              std::string::npos)
        << refused.error().full();
  }
}

TEST(Hosts, AMistakeIsNamedByFileAndLine) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"server = \n", ":1: "},
      {"\n[host.\"https://x\"\n", ":2: "},
      {"server = 5\n", ":1: server must be a URL"},
      {"server = \"ftp://x\"\n", "must start with https"},
      {"server = \"https://\"\n", "is not the URL of a host"},
      {"server = \"https://u:p@x\"\n", "is not the URL of a host"},
      {"host = 1\n", "host must be tables"},
      {"[host]\n\"https://x\" = 1\n", "a host must be a table"},
      {"[host.\"https://x\"]\nskip_verfy = true\n",
       ":2: \"skip_verfy\" is not supported; did you mean \"skip_verify\"?"},
      {"[host.\"https://x\"]\nskip_verify = \"yes\"\n", ":2: skip_verify must be true or false"},
      {"[host.\"https://x\"]\ncapabilities = \"pull\"\n", "capabilities must be a list"},
      {"[host.\"https://x\"]\ncapabilities = [\"pul\"]\n", ":2: a capability is one of"},
      {"[host.\"https://x\"]\nca = 1\n", "ca must be"},
      {"[host.\"https://x\"]\nca = [1]\n", "ca must hold"},
      {"[host.\"https://x\"]\nclient = 1\n", "client must be"},
      {"[host.\"https://x\"]\nclient = [\"a\", 1]\n", "client must be"},
      {"[host.\"https://x\"]\nclient = [[]]\n", "client must be"},
      {"[host.\"https://x\"]\nclient = [[\"a\",\"b\",\"c\"]]\n", "client must be"},
      {"[host.\"https://x\"]\nheader = 1\n", "header must be a table"},
      {"[host.\"https://x\".header]\na = \"1\\r\\nEvil: 2\"\n", "one line"},
      {"[host.\"https://x\".header]\na = 1\n", "one line"},
      {"# \u00e4\nserv\ufebfer = 1\n", ":2: letters other than a to z"},
      {"server = \"\\\"\" \u00e4\n", ":1: letters other than a to z"},
      {"# a\nb = 1\x17\n", ":2: holds a control character"},
      {"server = \"\"\"\n\"\"\" \u00e4\n", ":2: letters other than a to z"},
      {"[host.\"https://x\".header]\na = \"1\\u00002\"\n", "one line"},
      {"[host.\"https://x\".header]\n\"a: b\" = \"1\"\n",
       "\"a…\" is not a header's name; write Name"},
      {"server = \"https://x\\\\y\"\n", "is not the URL of a host"},
      {"server = \"https://x:99999\"\n", "is not the URL of a host"},
      {"[host.\"https://x\u00e4\"]\n", ":1: letters other than a to z"},
      {"[host.\"https://x\\u00e4\"]\n", "is not the URL of a host"},
      {"[host.\"https://x\"]\n\"a\\nb\" = 1\n", "\"a?b\" is not supported"},
  };
  for (const auto& [toml, fault] : cases) {
    const auto hosts = parse(toml);
    ASSERT_FALSE(hosts) << toml;
    EXPECT_EQ(hosts.error().code(), Code::FailedPrecondition);
    EXPECT_TRUE(hosts.error().message().starts_with("/etc/certs.d/docker.io/hosts.toml:"));
    EXPECT_NE(hosts.error().message().find(fault), std::string::npos) << hosts.error().message();
  }
}

TEST(Hosts, WhatIsSaidOfAMistakeHoldsNoSecret) {
  const std::string url = "https://me:hunter2@r.local";
  for (const std::string& toml :
       {"server = \"" + url + "\"\n", "[host.\"" + url + "\"]\n",
        std::string("server = \"me:hunter2@r.local\"\n"),
        std::string("server = \"http://me:hun@hunter2/hunter2?hunter2#@r.local\"\n"),
        std::string("server = \"ftp://me:hunter2@r.local\"\n"),
        std::string("server = \"https://r.local?token=hunter2\"\n"),
        std::string("server = \"https://r.local?token=hunter2@r.local\"\n"),
        std::string("server = \"https://r.local#hunter2\"\n"), "[\"" + url + "\"]\n",
        "[host.\"https://x\"]\n\"" + url + "\" = 1\n",
        "[host.\"" + url + "\"]\n[host.\"" + url + "\"]\n",
        std::string("[host.\"https://x\".header]\n\"Authorization: Basic hunter2\" = \"\"\n")}) {
    const auto hosts = parse(toml);
    ASSERT_FALSE(hosts) << toml;
    EXPECT_THAT(hosts.error().full(), testing::Not(testing::HasSubstr("hunter2"))) << toml;
  }
  EXPECT_THAT(parse("server = \"" + url + "\"\n").error().full(),
              testing::HasSubstr("hosts.toml:1: \"https://...@r.local\" is not the URL of a host: "
                                 "user and password have no place in it"));
}

TEST(Hosts, ClientCertificatesAreListedAsContainerdListsThem) {
  const auto clients = [](const std::string& value) {
    const auto hosts = parse("[host.\"https://x\"]\nclient = " + value + "\n");
    EXPECT_TRUE(hosts) << value << hosts.error().full();
    return hosts ? hosts->at(0).tls.clients : std::vector<ClientPair>{};
  };
  using Pairs = std::vector<ClientPair>;
  EXPECT_EQ(clients("\"/a\""), (Pairs{{"/a", "/a"}}));
  EXPECT_EQ(clients("[\"/a\", \"/b\"]"), (Pairs{{"/a", "/a"}, {"/b", "/b"}}));
  EXPECT_EQ(clients("[[\"/a\", \"/b\"], [\"/c\", \"/d\"]]"), (Pairs{{"/a", "/b"}, {"/c", "/d"}}));
  EXPECT_EQ(clients("[[\"/a\", \"/b\"], \"/c\"]"), (Pairs{{"/a", "/b"}, {"/c", "/c"}}));
}

TEST(Hosts, CommentsMayHoldAnyLetters) {
  EXPECT_TRUE(
      parse("# f\u00fcr den Hof\nserver = \"https://x\" # \u00e4, \"\u00f6\" und \u00fc\n"));
}

TEST(Hosts, DirectoriesAreFoundAsContainerdFindsThem) {
  const test::TempDir dir;
  const std::string root = dir.path();
  write(root + "/_default/hosts.toml", "server = \"https://default.local\"\n");
  write(root + "/r.local:5000/hosts.toml", "server = \"https://colon.local\"\n");
  write(root + "/s.local_5000_/hosts.toml", "server = \"https://underline.local\"\n");
  write(root + "/c.local/ca.crt", "x");
  write(root + "/c.local/me.cert", "x");
  write(root + "/c.local/me.key", "x");
  write(root + "/c.local/you.cert", "x");
  write(root + "/c.local/you.key", "x");
  write(root + "/k.local/me.cert", "x");
  const auto base = [&](const std::string& host) { return registry_hosts(root, host)->at(0).base; };
  EXPECT_EQ(base("other.local"), "https://default.local/v2");
  EXPECT_EQ(base("r.local:5000"), "https://colon.local/v2");
  EXPECT_EQ(base("s.local:5000"), "https://underline.local/v2");
  const auto certificates = registry_hosts(root, "c.local");
  ASSERT_TRUE(certificates);
  EXPECT_EQ(certificates->at(0).tls.ca_files, std::vector<std::string>{root + "/c.local/ca.crt"});
  EXPECT_EQ(certificates->at(0).tls.clients,
            (std::vector<ClientPair>{{root + "/c.local/me.cert", root + "/c.local/me.key"},
                                     {root + "/c.local/you.cert", root + "/c.local/you.key"}}));
  EXPECT_FALSE(registry_hosts(root, "k.local")) << "a certificate without its key";
}

TEST(Urls, AreTakenApart) {
  const auto url = parse_url("https://r.local:8443/v2/x?y=1#frag");
  ASSERT_TRUE(url) << url.error().full();
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->authority(), "r.local:8443");
  EXPECT_EQ(url->target, "/v2/x?y=1");
  EXPECT_EQ(parse_url("http://[::1]/x")->authority(), "[::1]:80");
  EXPECT_EQ(parse_url("http://x?q=1")->target, "/?q=1");
  for (const char* bad :
       {"", "x", "ftp://x/", "https://", "https://u@x/", "https://x:0/", "https://x:99999/",
        "https://x:a/", "https://x/a b", "https://a:b:80/", "https://[zz]/", "https://a\\b/",
        "https://a]/", "https://x/\r\nA: b", "file:///etc/passwd"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

TEST(Urls, LocationsAreResolvedAndMayNotLeaveTls) {
  const Url base = *parse_url("https://r.local/v2/a/blobs/x?ns=1");
  EXPECT_EQ(resolve_location(base, "/y?z=1")->text(), "https://r.local:443/y?z=1");
  EXPECT_EQ(resolve_location(base, "y")->text(), "https://r.local:443/v2/a/blobs/y");
  EXPECT_EQ(resolve_location(base, "//s.local/y")->text(), "https://s.local:443/y");
  EXPECT_EQ(resolve_location(base, "https://cdn/y?u=http://x/")->text(),
            "https://cdn:443/y?u=http://x/");
  EXPECT_EQ(resolve_location(base, "/y?u=http://x/")->authority(), "r.local:443");
  EXPECT_EQ(resolve_location(base, "//no host/y").error().code(), Code::Unavailable);
  EXPECT_EQ(resolve_location(base, "http://r.local/y").error().code(), Code::PermissionDenied);
  EXPECT_FALSE(resolve_location(base, "gopher://x/"));
  const Url plain = *parse_url("http://r.local/");
  EXPECT_TRUE(resolve_location(plain, "https://r.local/y")->tls);
}

TEST(Urls, WhatIsSaidOfABadOneHoldsNoSecret) {
  const Url base = *parse_url("https://r.local/v2/a/blobs/x");
  for (const char* location :
       {"https://me:hunter2@s.local/y?X-Amz-Signature=hunter2",
        "https://s.local:99999/y?X-Amz-Signature=hunter2", "https://me:hunter2@s.local:x/y"}) {
    const auto url = resolve_location(base, location);
    ASSERT_FALSE(url) << location;
    EXPECT_THAT(url.error().full(), testing::Not(testing::HasSubstr("hunter2"))) << location;
    EXPECT_THAT(url.error().full(), testing::HasSubstr("s.local")) << location;
  }
}

TEST(Challenges, AreReadFromTheHeader) {
  const auto one = parse_www_authenticate(
      R"(Bearer realm="https://auth.local/token",service="reg \"x\"",scope="repository:a/b:pull,push")");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].scheme, "bearer");
  EXPECT_EQ(one[0].params.at("realm"), "https://auth.local/token");
  EXPECT_EQ(one[0].params.at("service"), "reg \"x\"");
  EXPECT_EQ(one[0].params.at("scope"), "repository:a/b:pull,push");
  const auto two = parse_www_authenticate(R"(Basic realm = "x" , BEARER Realm=y,service=z)");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].params.at("realm"), "x");
  EXPECT_EQ(two[1].scheme, "bearer");
  EXPECT_EQ(two[1].params.at("service"), "z");
}

TEST(Challenges, GarbageDoesNoHarm) {
  for (const std::string text : {"", ",,,", "=", "\"", "Bearer realm=\"", "Bearer realm=\"\\",
                                 "a=b=c", "\x01\x02", "Bearer =x, =y", "Bearer realm=\"x\"\"y\""}) {
    parse_www_authenticate(text);
  }
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "Basic a" + std::to_string(i) + "=b, ";
  EXPECT_LE(parse_www_authenticate(many).size(), 16u);
}

TEST(Tokens, AreTakenFromTheAnswer) {
  EXPECT_EQ(parse_token(R"({"token":"abc","expires_in":300})")->expires_in, 300);
  EXPECT_EQ(parse_token(R"({"access_token":"abc"})")->value, "abc");
  EXPECT_EQ(parse_token(R"({"token":"abc","expires_in":-5})")->expires_in, 1);
  EXPECT_FALSE(parse_token(R"({"token":"a\r\nX: y"})")) << "would smuggle a header";
  EXPECT_FALSE(parse_token("{}"));
  EXPECT_FALSE(parse_token("<html>"));
}

TEST(Refusals, SayWhatTheRegistrySaidAndForHowLong) {
  HttpHead head{429, {{"retry-after", "3600"}}};
  const Error limited =
      status_error(head, R"({"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]})",
                   "https://r/x?token=1");
  EXPECT_EQ(limited.code(), Code::ResourceExhausted);
  EXPECT_EQ(
      limited.message(),
      "https://r/x: the registry's rate limit is reached (429 TOOMANYREQUESTS: slow down); it "
      "asks to come back in 3600 s");
  EXPECT_EQ(retry_after(head, {}), 3600);
  head.headers = {{"Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT"}};
  EXPECT_EQ(retry_after(head, WallTime(std::chrono::seconds(20))), 40);
  EXPECT_EQ(retry_after(head, WallTime(std::chrono::seconds(90))), 0);
  // Clocks differ, here or there: what counts is the one that the date is of.
  head.headers.emplace("Date", "Thu, 01 Jan 1970 00:00:55 GMT");
  EXPECT_EQ(retry_after(head, WallTime(std::chrono::hours(1))), 5);
  head.headers.erase("Date");
  head.headers.emplace("Date", "yesterday");
  EXPECT_EQ(retry_after(head, WallTime(std::chrono::seconds(20))), 40);
  for (const char* long_after :
       {"86401", "9223372036854775807", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"}) {
    head.headers = {{"Retry-After", long_after}};
    EXPECT_EQ(retry_after(head, {}), 86'400) << long_after;
  }
  head.headers = {{"Retry-After", "soon"}};
  EXPECT_FALSE(retry_after(head, {}));
  EXPECT_EQ(status_error({404, {}}, "<html>", "x").code(), Code::NotFound);
  EXPECT_EQ(status_error({401, {}}, "", "x").code(), Code::PermissionDenied);
  EXPECT_EQ(status_error({500, {}}, "", "x").code(), Code::Unavailable);
}

}  // namespace
}  // namespace wherry::runtime

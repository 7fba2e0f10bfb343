// Which proxy a request goes through. Cases as in Go's httpproxy (golang.org/x/net).

#include "runtime/image/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "runtime/image/auth.h"

namespace wherry::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string via(const ProxySettings& settings, const std::string& url) {
  const auto proxy = proxy_for(settings, *parse_url(url));
  if (!proxy) return proxy.error().full();
  return *proxy ? (*proxy)->authority() : "straight";
}

TEST(ProxySettings, EachSchemeHasItsOwn) {
  const ProxySettings settings{"http://secure:3128", "plain", ""};
  EXPECT_EQ(via(settings, "https://r.local/"), "secure:3128");
  EXPECT_EQ(via(settings, "http://r.local/"), "plain:80");
  EXPECT_EQ(via({"", "plain", ""}, "https://r.local/"), "straight");
  EXPECT_EQ(via({"http://[fd00::1]:8080/", "", ""}, "https://r.local/"), "[fd00::1]:8080");
}

TEST(ProxySettings, LoopbackIsNeverProxied) {
  for (const char* host : {"localhost", "127.0.0.1", "127.8.8.8", "[::1]"}) {
    EXPECT_EQ(via({"p:1", "p:1", ""}, std::string("http://") + host + ":5000/"), "straight");
  }
}

TEST(ProxySettings, ExceptionsAreHonoured) {
  struct Case {
    std::string none, url;
    bool straight;
  };
  const std::vector<Case> cases{
      {"*", "https://any.host/", true},
      {"r.local", "https://r.local/", true},
      {"r.local", "https://R.Local:5000/", true},
      {"r.local", "https://a.r.local/", true},
      {"r.local", "https://xr.local/", false},
      {".r.local", "https://r.local/", false},
      {".r.local", "https://a.r.local/", true},
      {"*.r.local", "https://a.r.local/", true},
      {"*.r.local", "https://r.local/", false},
      {"r.local:5000", "https://r.local:5000/", true},
      {"r.local:5000", "https://r.local/", false},
      {"r.local:443", "https://r.local/", true},
      {"a , b,, r.local ", "https://r.local/", true},
      {"10.1.0.0/16", "https://10.1.2.3/", true},
      {"10.1.0.0/16", "https://10.2.2.3/", false},
      {"10.1.0.0/16", "https://ten.local/", false},
      {"10.1.2.3", "https://10.1.2.3:5000/", true},
      {"10.1.2.3:5000", "https://10.1.2.3/", false},
      {"10.1.2.3", "https://110.1.2.3/", false},
      {"0.0.0.0/0", "https://[fd00::1]/", false},
      {"fd00::/8", "https://[fd00::1]/", true},
      {"fd00::1", "https://[fd00::1]:5000/", true},
      {"[fd00::1]:5000", "https://[fd00::1]:5000/", true},
      {"[fd00::1]:5000", "https://[fd00::1]/", false},
      {"/8,:,[,]:,.,*.,10.0.0.0/99", "https://r.local/", false},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(via({"p:1", "p:1", each.none}, each.url), each.straight ? "straight" : "p:1")
        << each.none << " for " << each.url;
  }
}

TEST(ProxySettings, PasswordsAreTakenAndNeverTold) {
  const Url url = *parse_url("https://r.local/");
  const auto proxy = proxy_for({"http://me:p%40ss@proxy.local:3128", "", ""}, url);
  ASSERT_TRUE(proxy && *proxy);
  EXPECT_EQ((*proxy)->authorization, "Basic " + base64_encode("me:p@ss"));
  EXPECT_EQ((*proxy)->authority(), "proxy.local:3128");
  for (const char* wrong : {"socks5://me:hunter2@x", "https://me:hunter2@x", "http://me:hunter2@",
                            "http://me:hunter2@x:99999"}) {
    const auto refused = proxy_for({wrong, "", ""}, url);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_THAT(refused.error().full(), HasSubstr("HTTPS_PROXY: "));
    EXPECT_THAT(refused.error().full(), Not(HasSubstr("hunter2")));
    EXPECT_EQ(refused.error().code(), Code::FailedPrecondition);
  }
}

}  // namespace
}  // namespace wherry::runtime

// The dashboard's files: who gets them, how, and that nothing in them is from elsewhere or inline.
#include "agent/api/dashboard.h"

#include <array>
#include <map>
#include <regex>
#include <set>
#include <sys/socket.h>

#include "agent/api/guard.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

constexpr size_t kMostBytes = 100'000;  // of the page and all that belongs to it
const std::vector<std::string> kFiles = {"/", "/dashboard.css", "/dashboard.js", "/favicon.svg"};

class DashboardTest : public ApiTest {
 protected:
  DashboardTest() {
    options.listen = "127.0.0.1:0";
    options.token_file = dir / "token";
    write_text(options.token_file, "0123456789abcdef-token\n", 0640);
  }
  Answer get(const std::string& path, const std::string& headers = "") const {
    return ask_tcp("GET " + path, "Host: localhost\r\n" + headers);
  }
};

TEST_F(DashboardTest, ItsFilesAreServedOnLoopbackWithoutAToken) {
  start();
  const std::map<std::string, std::string> types = {
      {"/", "text/html; charset=utf-8"},
      {"/dashboard.css", "text/css; charset=utf-8"},
      {"/dashboard.js", "text/javascript; charset=utf-8"},
      {"/favicon.svg", "image/svg+xml; charset=utf-8"}};
  size_t bytes = 0;
  for (const auto& [path, type] : types) {
    const Answer answer = get(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_TRUE(answer.complete) << path;
    EXPECT_EQ(answer.header("Content-Type"), type);
    EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer.header("Cache-Control"), "no-cache");
    EXPECT_EQ(answer.header("Content-Encoding"), "");
    EXPECT_NE(answer.header("Date"), "");
    bytes += answer.body.size();
    EXPECT_EQ(ask("GET " + path).body, answer.body) << "on the unix socket";
  }
  RecordProperty("page_bytes", static_cast<int>(bytes));
  EXPECT_LE(bytes, kMostBytes);
  EXPECT_EQ(ask_tcp("HEAD /", "Host: localhost\r\n").body, "");
  EXPECT_EQ(ask_tcp("POST /", "Host: localhost\r\nContent-Length: 0\r\n").status, 405);
  EXPECT_EQ(get("/?x=1").status, 400);
}

TEST_F(DashboardTest, FromElsewhereTheyNeedTheToken) {
  for (const bool loopback : {true, false}) {
    for (const std::string& path : kFiles) {
      std::array<int, 2> ends{};
      ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
      const RawClient client(ends[0]);
      ASSERT_TRUE(client.send("GET " + path + " HTTP/1.1\r\nHost: 10.0.0.7\r\n\r\n"));
      http::Exchange exchange(std::make_shared<http::Socket>(ends[1]), {true, loopback},
                              options.limits.timeouts);
      ASSERT_TRUE(exchange.receive());
      EXPECT_EQ(Guard(options.token_file, options.rates, clock).check(exchange).has_value(),
                !loopback)
          << path;
    }
  }
}

// The clock of the fixture stands still: nothing is refilled but by advance().
TEST_F(DashboardTest, ItsFilesAndOtherRequestsDoNotStarveEachOther) {
  options.rates.requests = {.per_second = 1, .at_once = 3};
  options.rates.page_files = {.per_second = 1, .at_once = 5};
  start();
  const auto take = [&](const std::string& path, int times) {
    for (int i = 0; i < times; ++i) EXPECT_EQ(get(path).status, 200) << path << " " << i;
    const Answer refused = get(path);
    EXPECT_EQ(refused.status, 429) << path;
    EXPECT_EQ(refused.header("Retry-After"), "1");
    EXPECT_EQ(refused.header("Refresh"), "1") << "so that a browser comes back by itself";
  };
  take("/healthz", 3);
  for (const std::string& path : kFiles) EXPECT_EQ(get(path).status, 200) << path;
  EXPECT_EQ(ask_tcp("POST /", "Host: localhost\r\nContent-Length: 0\r\n").status, 429);
  take("/", 1);
  EXPECT_EQ(get("/healthz").status, 429);
  clock.advance(std::chrono::seconds(10));
  take("/dashboard.css", 5);
  take("/healthz", 3);
}

TEST_F(DashboardTest, GzipIsForWhoAsksForIt) {
  start();
  const std::string page = get("/").body;
  for (const char* yes : {"gzip", "br, gzip", "gzip;q=0.5, br", "deflate ,  gzip ; q=1"}) {
    const Answer packed = get("/", std::string("Accept-Encoding: ") + yes + "\r\n");
    EXPECT_EQ(packed.header("Content-Encoding"), "gzip") << yes;
    EXPECT_EQ(packed.header("Vary"), "Accept-Encoding");
    EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b");
    EXPECT_EQ(packed.body.substr(4, 4), std::string(4, '\0')) << "the time of the build";
    EXPECT_LT(packed.body.size(), page.size());
  }
  for (const char* no : {"identity", "br", "gzip;q=0", "br, gzip; q=0.0", "xgzip", ""}) {
    const Answer plain = get("/", std::string("Accept-Encoding: ") + no + "\r\n");
    EXPECT_EQ(plain.header("Content-Encoding"), "") << no;
    EXPECT_EQ(plain.body, page) << no;
  }
}

TEST_F(DashboardTest, WhoHasAFileIsToldSo) {
  start();
  std::set<std::string> tags;
  for (const std::string& path : kFiles) {
    const std::string tag = get(path).header("ETag");
    tags.insert(tag);
    for (const std::string& known : {tag, "\"x\", " + tag, tag.substr(2)}) {
      const Answer answer = get(path, "If-None-Match: " + known + "\r\n");
      EXPECT_EQ(answer.status, 304) << known;
      EXPECT_EQ(answer.body, "");
      EXPECT_EQ(answer.header("ETag"), tag);
      EXPECT_EQ(answer.header("Content-Length"), "");
    }
    EXPECT_EQ(get(path, "If-None-Match: W/\"0123456789abcdef\"\r\n").status, 200);
  }
  EXPECT_EQ(tags.size(), kFiles.size());
}

TEST_F(DashboardTest, ThePolicyAllowsOwnFilesOnly) {
  start();
  for (const std::string& path : kFiles) {
    const Answer answer = get(path);
    const std::string policy = answer.header("Content-Security-Policy");
    for (const char* part :
         {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
          "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"}) {
      EXPECT_NE(policy.find(part), std::string::npos) << part;
    }
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(answer.header("Referrer-Policy"), "no-referrer");
  }
}

TEST_F(DashboardTest, NothingIsInlineOrFromElsewhere) {
  start();
  const std::string page = get("/").body;
  const std::string script = get("/dashboard.js").body;
  for (const char* pattern : {"<script>", "<style", " style=", "<[^>]* on[a-z]+=", "javascript:",
                              "(src|href)=\"[^/#]", "(src|href)=\"//"}) {
    EXPECT_FALSE(std::regex_search(page, std::regex(pattern))) << pattern;
  }
  for (const char* word :
       {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
        "DOMParser", "localStorage", "document.cookie"}) {
    EXPECT_EQ(script.find(word), std::string::npos) << word;
  }
  for (const std::string& path : kFiles) {
    std::string text = get(path).body;
    // The name of SVG's namespace is no address.
    text = std::regex_replace(text, std::regex("http://www\\.w3\\.org/2000/svg"), "");
    EXPECT_EQ(text.find("http:"), std::string::npos) << path;
    EXPECT_EQ(text.find("https:"), std::string::npos) << path;
    EXPECT_EQ(text.find("url("), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace wherry::test

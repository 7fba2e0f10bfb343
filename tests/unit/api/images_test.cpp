// Archives in: whole, cut, lying about their length, too large, too slow.
#include <array>
#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

std::string length(size_t bytes) { return "Content-Length: " + std::to_string(bytes) + "\r\n"; }

std::string chunk(const std::string& data) {
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
  return size.data() + data + "\r\n";
}

class ImportTest : public ApiTest {
 protected:
  size_t leftovers() const {
    if (!std::filesystem::exists(options.upload_dir)) return 0;
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(options.upload_dir),
                      std::filesystem::directory_iterator()));
  }
  Answer import(const std::string& headers, const std::string& body) const {
    return ask("POST /v1/images", headers, body);
  }
};

TEST_F(ImportTest, TheBytesArriveAsTheyAre) {
  start();
  std::string archive = "archive1";
  for (int i = 0; i < 300'000; ++i) archive += static_cast<char>(i * 7);
  const Answer answer = import(length(archive.size()), archive);
  EXPECT_EQ(answer.status, 201) << answer.body;
  const json image = json::parse(answer.body)["images"][0];
  EXPECT_EQ(image["name"], "example/archive1");
  EXPECT_EQ(image["sizeBytes"], archive.size());
  EXPECT_EQ(images.imported_bytes(), static_cast<int64_t>(archive.size()));
  EXPECT_EQ(images_changed, 1);
  EXPECT_EQ(leftovers(), 0u);
  const json listed = json::parse(ask("GET /v1/images").body)["images"][0];
  EXPECT_EQ(listed["name"], image["name"]);
  EXPECT_EQ(listed["digest"], image["digest"]);
  EXPECT_EQ(listed["kept"], nullptr) << "nobody has looked yet";
}

TEST_F(ImportTest, TheFileIsCalledAsItsOwnerCallsIt) {
  start();
  const auto called = [&](const std::string& query) {
    EXPECT_EQ(ask("POST /v1/images" + query, length(3), "abc").status, 201) << query;
    return std::filesystem::path(images.imported_path()).filename().string();
  };
  EXPECT_EQ(called("?file=pump.tar"), "pump.tar");
  EXPECT_EQ(called("?file=%2Fhome%2Fme%2Fpump%201.tar.gz"), "pump 1.tar.gz");
  EXPECT_EQ(called("?file=" + std::string(300, 'x') + ".tar").size(), 200u);
  for (const char* none : {"", "?file=", "?file=..", "?file=a%2F", "?file=%2F.."}) {
    EXPECT_EQ(called(none), "image") << none;
  }
  EXPECT_EQ(ask("POST /v1/images?file=a%00b", length(3), "abc").status, 400);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, ChunkedBodies) {
  start();
  const std::string body = chunk("chunked-") + chunk(std::string(70'000, 'z')) + "0\r\n\r\n";
  EXPECT_EQ(import("Transfer-Encoding: chunked\r\n", body).status, 201);
  EXPECT_EQ(images.imported_bytes(), 70'008);
  EXPECT_EQ(
      import("Transfer-Encoding: chunked\r\n", "3;ext=1\r\nabc\r\n0\r\nTrailer: x\r\n\r\n").status,
      201);
  EXPECT_EQ(import("Transfer-Encoding: chunked\r\n", "0003 \t;x\r\nabc\r\n000\r\n\r\n").status,
            201);
  for (const char* bad :
       {"x\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n", "\r\n", "fffffffffffffffff\r\n", "0x3\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n", "3;\x01\r\nabc\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n",
        "3\r\nabc\r\n0\r\nTrailer: \x7f\r\n\r\n"}) {
    EXPECT_EQ(import("Transfer-Encoding: chunked\r\n", bad).status, 400) << bad;
  }
  EXPECT_EQ(import("Transfer-Encoding: chunked\r\n", std::string(2000, '1') + "\r\n").status, 400);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, ExpectContinue) {
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + length(8) +
               "\r\n");
  ASSERT_TRUE(client->wait_for("100 Continue\r\n\r\n"));
  client->send("12345678");
  ASSERT_TRUE(client->wait_for("201 Created"));
  // Refused before a byte is sent:
  const auto large = RawClient::unix_socket(socket());
  large->send("POST /v1/images HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" +
              length(size_t{1} << 40) + "\r\n");
  EXPECT_EQ(large->answer().status, 413);
}

TEST_F(ImportTest, EmptyAndTooLarge) {
  options.max_upload_bytes = 1000;
  start();
  EXPECT_EQ(import("", "").status, 411);
  EXPECT_EQ(import(length(0), "").status, 411);
  EXPECT_EQ(import("Transfer-Encoding: chunked\r\n", "0\r\n\r\n").status, 400);
  EXPECT_EQ(import(length(1001), std::string(1001, 'x')).status, 413);
  EXPECT_EQ(
      import("Transfer-Encoding: chunked\r\n", chunk(std::string(1001, 'x')) + "0\r\n\r\n").status,
      413);
  EXPECT_EQ(import(length(1000), std::string(1000, 'x')).status, 201);
  EXPECT_EQ(images_changed, 1);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, TheAnswerIsReadThoughTheBodyIsNot) {
  options.max_upload_bytes = 1000;
  start();
  // More than any socket buffer holds.
  const std::string body(4u << 20, 'x');
  const auto client = RawClient::unix_socket(socket());
  // All of it is taken, for a client that cannot send does not go on to read.
  EXPECT_TRUE(client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\n" + length(body.size()) +
                           "\r\n" + body));
  EXPECT_EQ(client->answer().status, 413);
}

TEST_F(ImportTest, TheReserveOfTheDiskStays) {
  options.disk_reserve = int64_t{1} << 60;
  start();
  const Answer answer = import(length(5), "12345");
  EXPECT_EQ(answer.status, 507);
  EXPECT_NE(answer.body.find("InsufficientStorage"), std::string::npos);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, WhatOthersHaveAnnouncedIsTaken) {
  // The disk is not the test's alone: what it asks for is far from what fits.
  const auto free = static_cast<int64_t>(std::filesystem::space(dir.path()).available);
  options.disk_reserve = free / 2;
  options.max_upload_bytes = free;
  start();
  const std::string half = "POST /v1/images HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" +
                           length(static_cast<size_t>(free / 10 * 4)) + "\r\n";
  auto first = RawClient::unix_socket(socket());
  first->send(half);
  ASSERT_TRUE(first->wait_for("100 Continue"));
  const auto second = RawClient::unix_socket(socket());
  second->send(half);
  EXPECT_EQ(second->answer().status, 507);
  first->close();
  EXPECT_TRUE(wait_until([&] {
    const auto third = RawClient::unix_socket(socket());
    third->send(half);
    return third->wait_for("100 Continue");
  })) << "what was announced in vain is free again";
}

TEST_F(ImportTest, ABodyShorterThanItsLength) {
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\n" + length(100) + "\r\nabc");
  client->half_close();
  const Answer answer = client->answer();
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("ends before"), std::string::npos) << answer.body;
  EXPECT_EQ(images_changed, 0);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, ABodyThatStalls) {
  options.limits.timeouts.body = std::chrono::milliseconds(50);
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\n" + length(100) + "\r\nabc");
  EXPECT_EQ(client->answer().status, 408);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, ABodyThatDrips) {
  options.limits.timeouts.body = std::chrono::milliseconds(100);
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\n" + length(1'000'000) + "\r\n");
  // Always sooner than the stall limit; the whole is too slow all the same.
  EXPECT_TRUE(wait_until([&] { return !client->send("x"); }));
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(ImportTest, WhatIsNoArchiveIsTheClientsMistake) {
  images.fail_with(Error(Code::InvalidArgument, "this is no OCI or docker archive"));
  start();
  const Answer answer = import(length(3), "abc");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("the archive: this is no OCI or docker archive"), std::string::npos);
  EXPECT_EQ(answer.body.find(options.upload_dir), std::string::npos) << answer.body;
  EXPECT_EQ(images_changed, 1) << "what it left goes";
}

TEST_F(ImportTest, AClientThatLeavesCancelsItsImport) {
  images.hang_imports();
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\n" + length(3) + "\r\nabc");
  ASSERT_TRUE(wait_until([&] { return images.importing() == 1; }));
  client->close();
  EXPECT_TRUE(wait_until([&] { return images.cancelled() == 1; }));
  EXPECT_TRUE(wait_until([&] { return leftovers() == 0; }));
  EXPECT_EQ(images_changed, 1);
}

TEST_F(ImportTest, OnlySoManyAtOnceAndStopEndsThem) {
  options.max_uploads = 1;
  images.hang_imports();
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("POST /v1/images HTTP/1.1\r\nHost: x\r\n" + length(3) + "\r\nabc");
  ASSERT_TRUE(wait_until([&] { return images.importing() == 1; }));
  const Answer second = import(length(3), "abc");
  EXPECT_EQ(second.status, 503);
  EXPECT_EQ(second.header("Retry-After"), "10");
  server->stop();
  EXPECT_EQ(client->answer().status, 503);
  EXPECT_EQ(images.cancelled(), 1);
}

TEST_F(ImportTest, StartClearsWhatACrashLeft) {
  ASSERT_TRUE(make_directories(options.upload_dir));
  write_text(options.upload_dir + "/upload-abc123", "half");
  ASSERT_TRUE(make_directories(options.upload_dir + "/upload-def456"));
  write_text(options.upload_dir + "/upload-def456/pump.tar", "half");
  write_text(options.upload_dir + "/mine.txt", "not ours");
  start();
  EXPECT_EQ(leftovers(), 1u);
  EXPECT_EQ(read_text(options.upload_dir + "/mine.txt"), "not ours");
}

}  // namespace
}  // namespace wherry::test

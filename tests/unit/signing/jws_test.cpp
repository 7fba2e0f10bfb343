// Signed messages: what is believed, what is not and what it says; keys as files.

#include "agent/signing/jws.h"

#include <filesystem>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/signing/signatures.h"
#include "base/base64.h"
#include "base/files.h"
#include "tests/fuzz/signed_invariants.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry {
namespace {

using nlohmann::json;
using test::run_ok;
using testing::HasSubstr;

constexpr size_t kMost = 4096;
constexpr const char* kText = "revision: 1\n";

// Keys made by another program, in a directory as a device has one.
class SigningTest : public testing::TestWithParam<const char*> {
 protected:
  SigningTest() {
    std::filesystem::create_directory(keys());
    make_key("ops", GetParam());
  }
  std::string keys() const { return dir_ / "keys.d"; }
  std::string private_file(const std::string& kid) const { return dir_ / (kid + ".key"); }
  std::string public_file(const std::string& kid) const { return keys() + "/" + kid + ".pem"; }

  void make_key(const std::string& kid, const std::string& kind) {
    std::vector<std::string> make{"openssl", "genpkey", "-out", private_file(kid)};
    if (kind == std::string("ES256")) {
      make.insert(make.end(), {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"});
    } else if (kind == std::string("EdDSA")) {
      make.insert(make.end(), {"-algorithm", "ed25519"});
    } else {
      make.insert(make.end(), {"-algorithm", "RSA"});
    }
    run_ok(std::move(make));
    run_ok({"openssl", "pkey", "-in", private_file(kid), "-pubout", "-out", public_file(kid)});
  }
  std::string sign(const std::string& text, const std::string& kid = "ops",
                   const std::string& as = "") {
    const auto key = read_private_key(private_file(kid));
    EXPECT_TRUE(key) << key.error().full();
    const auto message = sign_jws(text, *key, as.empty() ? kid : as);
    EXPECT_TRUE(message) << message.error().full();
    return *message;
  }
  Result<Opened> open(const std::string& message, bool required = true) const {
    return Signatures({required, keys()}).open(message, kMost);
  }
  std::string refusal(const std::string& message, bool required = true) const {
    const auto opened = open(message, required);
    EXPECT_FALSE(opened) << "it is believed";
    return opened ? "" : opened.error().full();
  }
  // The message with its protected header changed, the signature made anew with the right key.
  std::string with_header(const json& header) {
    const std::string alg = GetParam();
    std::string message = sign(kText);
    json parts = json::parse(message);
    parts["protected"] = base64url_encode(header.dump());
    return parts.dump();
  }

  test::TempDir dir_;
};
INSTANTIATE_TEST_SUITE_P(Algorithms, SigningTest, testing::Values("EdDSA", "ES256"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(SigningTest, WhatIsSignedIsBelieved) {
  const std::string message = sign(kText);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  const json parts = json::parse(message);
  EXPECT_EQ(parts.size(), 3U) << "the flattened form, and nothing else";
  const json header = json::parse(*base64url_decode(parts["protected"].get<std::string>()));
  EXPECT_EQ(header, (json{{"alg", GetParam()}, {"kid", "ops"}}));
  for (const bool required : {true, false}) {
    const auto opened = open(message, required);
    ASSERT_TRUE(opened) << opened.error().full();
    EXPECT_EQ(opened->content, kText);
    EXPECT_EQ(opened->kid, "ops");
  }
  const std::string spaced = json::parse(message).dump(2) + "\n";
  EXPECT_TRUE(open(spaced)) << "it may be written otherwise";
}

// OpenSSL's own tool, which knows nothing of JWS, agrees on every byte that is signed.
TEST_P(SigningTest, AnotherProgramAgrees) {
  const json parts = json::parse(sign(kText));
  const std::string input =
      parts["protected"].get<std::string>() + "." + parts["payload"].get<std::string>();
  std::string signature = *base64url_decode(parts["signature"].get<std::string>());
  ASSERT_EQ(signature.size(), 64U);
  test::write_text(dir_ / "input", input);
  if (GetParam() == std::string("EdDSA")) {
    test::write_text(dir_ / "signature", signature);
    run_ok({"openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public_file("ops"),
            "-sigfile", dir_ / "signature", "-in", dir_ / "input"});
    // And the other way about.
    run_ok({"openssl", "pkeyutl", "-sign", "-rawin", "-inkey", private_file("ops"), "-in",
            dir_ / "input", "-out", dir_ / "made"});
    json theirs = parts;
    theirs["signature"] = base64url_encode(test::read_text(dir_ / "made"));
    EXPECT_TRUE(open(theirs.dump()));
    return;
  }
  // SEQUENCE of two INTEGERs, each with a zero in front where it would be negative.
  const auto number = [&](size_t at) {
    std::string bytes = signature.substr(at, 32);
    while (bytes.size() > 1 && bytes[0] == 0 && static_cast<signed char>(bytes[1]) >= 0) {
      bytes.erase(0, 1);
    }
    if (static_cast<signed char>(bytes[0]) < 0) bytes.insert(bytes.begin(), '\0');
    return std::string("\x02") + static_cast<char>(bytes.size()) + bytes;
  };
  const std::string both = number(0) + number(32);
  test::write_text(dir_ / "signature", std::string("\x30") + static_cast<char>(both.size()) + both);
  run_ok({"openssl", "dgst", "-sha256", "-verify", public_file("ops"), "-signature",
          dir_ / "signature", dir_ / "input"});
}

TEST_P(SigningTest, NothingElseIsBelieved) {
  const json good = json::parse(sign(kText));
  EXPECT_THAT(refusal(kText), HasSubstr("wherry sign"));
  EXPECT_THAT(refusal(""), HasSubstr("not signed"));
  // Changed on the way.
  json bad = good;
  bad["payload"] = base64url_encode("revision: 2\n");
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("changed after it was signed"));
  bad = good;
  bad["signature"] = base64url_encode(std::string(64, '\0'));
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("changed after it was signed"));
  bad["signature"] = base64url_encode(std::string(63, 'x'));
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("changed after it was signed"));
  bad["signature"] = "";
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("changed after it was signed"));
  // By somebody else, who says he is one we know.
  make_key("stranger", GetParam());
  std::filesystem::remove(public_file("stranger"));
  EXPECT_THAT(refusal(sign(kText, "stranger")),
              HasSubstr("the key \"stranger\" is not trusted on this device: " + keys() +
                        " has no stranger.pem"));
  EXPECT_THAT(refusal(sign(kText, "stranger", "ops")), HasSubstr("signed with another key"));
  // With what a forger would like.
  for (const char* alg : {"none", "HS256", "RS256", "ES384", "eddsa", ""}) {
    EXPECT_THAT(refusal(with_header({{"alg", alg}, {"kid", "ops"}})), HasSubstr("is not accepted"))
        << alg;
  }
  const char* other = GetParam() == std::string("EdDSA") ? "ES256" : "EdDSA";
  EXPECT_THAT(refusal(with_header({{"alg", other}, {"kid", "ops"}})), HasSubstr("signs with"));
  EXPECT_THAT(refusal(with_header({{"alg", GetParam()}})), HasSubstr("\"kid\" is missing"));
  EXPECT_THAT(refusal(with_header({{"alg", GetParam()}, {"kid", 1}})), HasSubstr("\"kid\""));
  EXPECT_THAT(refusal(with_header({{"kid", "ops"}})), HasSubstr("\"alg\" is missing"));
  EXPECT_THAT(refusal(with_header({{"alg", GetParam()}, {"kid", "../ops"}})),
              HasSubstr("\"kid\" is not the name of a key"));
  EXPECT_THAT(refusal(with_header({{"alg", GetParam()}, {"kid", "ops"}, {"crit", {"b64"}}})),
              HasSubstr("crit"));
  EXPECT_THAT(refusal(with_header(json::array({1}))), HasSubstr("no JSON object"));
  // In another form.
  bad = good;
  bad["header"] = {{"kid", "ops"}};
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("\"header\" is not supported"));
  bad = good;
  bad.erase("protected");
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("\"protected\" is missing"));
  const json one = {{"protected", good["protected"]},
                    {"signature", good["signature"]},
                    {"header", {{"kid", "ops"}}}};
  bad = {{"payload", good["payload"]}, {"signatures", json::array({one})}};
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("flattened form"));
  bad = good;
  bad["payload"] = good["payload"].get<std::string>() + "=";
  EXPECT_THAT(refusal(bad.dump()), HasSubstr("\"payload\" is not base64url"));
  EXPECT_THAT(refusal(R"({"payload":"","payload":"","protected":"","signature":""})"),
              HasSubstr("stands there twice"));
  EXPECT_THAT(refusal(sign(std::string(kMost + 1, 'x'))), HasSubstr("too large"));
  // Where signatures are not wanted, a wrong one is wrong all the same.
  bad = good;
  bad["payload"] = base64url_encode("revision: 2\n");
  EXPECT_THAT(refusal(bad.dump(), false), HasSubstr("changed after it was signed"));
  // Cut anywhere.
  const std::string whole = good.dump();
  for (size_t end = 0; end < whole.size(); ++end) {
    ASSERT_FALSE(open(whole.substr(0, end))) << end;
  }
}

TEST_P(SigningTest, UnsignedOnesAreWhatTheyAreWhereTheyMayBe) {
  const std::vector<std::string> plain{
      kText, "", R"({"payload":"x"})", R"({"spec":{"payload":"a","signature":"b"}})",
      R"({"metadata":{"annotations":{"signature":"x"}},"payload":1})"};
  for (const std::string& text : plain) {
    const auto opened = open(text, false);
    ASSERT_TRUE(opened) << text << ": " << opened.error().full();
    EXPECT_EQ(opened->content, text);
    EXPECT_EQ(opened->kid, "");
  }
}

TEST_P(SigningTest, KeysComeAndGoWithoutARestart) {
  const Signatures signatures({true, keys()});
  make_key("next", GetParam());
  EXPECT_TRUE(signatures.open(sign(kText, "next"), kMost));
  EXPECT_TRUE(signatures.open(sign(kText), kMost)) << "both are good while they overlap";
  std::filesystem::remove(public_file("ops"));
  EXPECT_FALSE(signatures.open(sign(kText), kMost));
  EXPECT_TRUE(signatures.open(sign(kText, "next"), kMost));
}

TEST_P(SigningTest, KeysThatOthersMayChangeAreNoKeys) {
  const std::string message = sign(kText);
  std::filesystem::permissions(public_file("ops"), std::filesystem::perms(0664));
  EXPECT_THAT(refusal(message), HasSubstr("chmod go-w " + public_file("ops")));
  std::filesystem::permissions(public_file("ops"), std::filesystem::perms(0644));
  std::filesystem::permissions(keys(), std::filesystem::perms(0777));
  EXPECT_THAT(refusal(message), HasSubstr("chmod go-w " + keys()));
  std::filesystem::permissions(keys(), std::filesystem::perms(0755));
  EXPECT_TRUE(open(message));
}

TEST_P(SigningTest, ADirectoryIsNoKeyWhateverItsMode) {
  const std::string message = sign(kText);
  std::filesystem::remove(public_file("ops"));
  std::filesystem::create_directory(public_file("ops"));
  std::filesystem::permissions(public_file("ops"), std::filesystem::perms(0777));
  EXPECT_THAT(refusal(message),
              HasSubstr(public_file("ops") + " is a directory; a file is needed"));
  EXPECT_THAT(refusal(message), testing::Not(HasSubstr("chmod")));
  const auto key = read_private_key(public_file("ops"));
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().full(), HasSubstr("is a directory; a file is needed"));
}

TEST_P(SigningTest, WhatIsNoKeySaysSo) {
  const std::string message = sign(kText);
  make_key("rsa", "RSA");
  const struct {
    std::string content, says;
  } wrong[] = {{"", "holds no public key in PEM"},
               {"nonsense", "holds no public key in PEM"},
               {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"},
               {test::read_text(private_file("ops")), "holds a private key"},
               {test::read_text(public_file("rsa")), "a kind that is not used here"}};
  for (const auto& each : wrong) {
    test::write_text(public_file("ops"), each.content);
    EXPECT_THAT(refusal(message), HasSubstr(each.says)) << each.content;
  }
  EXPECT_FALSE(read_private_key(dir_ / "nothing"));
  EXPECT_THAT(read_private_key(private_file("rsa")).error().full(), HasSubstr("not used here"));
  run_ok({"openssl", "pkcs8", "-topk8", "-in", private_file("ops"), "-passout", "pass:x", "-out",
          dir_ / "locked.key"});
  std::filesystem::permissions(dir_ / "locked.key", std::filesystem::perms(0600));
  EXPECT_THAT(read_private_key(dir_ / "locked.key").error().full(), HasSubstr("passphrase"));
  std::filesystem::permissions(private_file("ops"), std::filesystem::perms(0644));
  EXPECT_THAT(read_private_key(private_file("ops")).error().full(),
              HasSubstr("chmod 600 " + private_file("ops")));
}

TEST(Signed, AnyBytesKeepTheInvariants) {
  std::mt19937 random(20261126);
  size_t seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(WHERRY_SOURCE_DIR "/tests/fuzz/signed_corpus")) {
    const std::string text = read_file(entry.path()).value();
    ++seeds;
    for (int round = 0; round < 200; ++round) {
      std::string changed = text.substr(0, round % 5 == 0 ? random() % text.size() : text.size());
      for (int i = 0; i < round % 4 && !changed.empty(); ++i) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      ASSERT_EQ(broken_signed(changed), "") << entry.path() << ": " << changed;
    }
  }
  EXPECT_GE(seeds, 4U);
}

}  // namespace
}  // namespace wherry

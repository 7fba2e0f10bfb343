// Documents of which a signature is wanted: nothing of another is read.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/reconcile/document_desk.h"
#include "agent/signing/jws.h"
#include "base/digest.h"
#include "base/log.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/reconcile/documents.h"
#include "tests/unit/reconcile/memory_records.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;

constexpr const char* kDevice = "devices/d";
constexpr const char* kForUs = "target: devices/d";

class SignedDocuments : public testing::Test {
 protected:
  SignedDocuments() {
    log_set_level(LogLevel::Off);
    std::filesystem::create_directory(keys());
    run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", dir_ / "ops.key"});
    add_key();
    fresh(true);
  }
  std::string keys() const { return dir_ / "keys"; }
  void add_key() {
    run_ok({"openssl", "pkey", "-in", dir_ / "ops.key", "-pubout", "-out", keys() + "/ops.pem"});
  }
  void fresh(bool required) {
    desk_ = std::make_unique<DocumentDesk>(std::vector<std::string>{kLocalSource, kDevice},
                                           DeviceFacts{"host", "amd64", {}}, records_, clock_,
                                           SignatureOptions{required, keys()});
    EXPECT_TRUE(desk_->load());
    desk_->take_manifests({});
  }
  std::string sign(const std::string& text) {
    const auto key = read_private_key(dir_ / "ops.key");
    EXPECT_TRUE(key) << key.error().full();
    return sign_jws(text, *key, "ops").value();
  }
  DesiredView view() const {
    const auto views = desk_->views();
    return views.empty() ? DesiredView{} : views.back();
  }
  std::string refusal() const {
    const auto rejected = view().rejected;
    return rejected ? rejected->errors[0].path + ": " + rejected->errors[0].message : "";
  }

  TempDir dir_;
  FakeClock clock_;
  MemoryRecords records_;
  std::unique_ptr<DocumentDesk> desk_;
};

TEST_F(SignedDocuments, AreAcceptedAndTheirDigestIsThatOfTheMessage) {
  const std::string message = sign(document(3, {pod("web")}, kForUs));
  EXPECT_TRUE(desk_->receive(kDevice, message));
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(view().revision, 3U);
  EXPECT_EQ(view().digest, sha256_digest(message)) << "what the fleet can compare";
  EXPECT_FALSE(desk_->receive(kDevice, message));
}

TEST_F(SignedDocuments, NothingOfAnotherIsRead) {
  EXPECT_FALSE(desk_->receive(kDevice, document(3, {pod("web")}, kForUs)));
  EXPECT_THAT(refusal(), HasSubstr("wherry sign"));
  EXPECT_EQ(view().rejected->revision, 0U) << "not even its revision";
  EXPECT_TRUE(view().rejected->unbelieved);
  EXPECT_FALSE(desk_->receive(kDevice, sign(document(3, {pod("web")}))));
  EXPECT_THAT(refusal(), HasSubstr("metadata.target: is missing"));
  EXPECT_FALSE(view().rejected->unbelieved) << "this is to be mended in the document";
  EXPECT_FALSE(desk_->receive(kDevice, sign(document(3, {pod("web")}, "target: devices/e"))));
  EXPECT_THAT(refusal(), HasSubstr("metadata.target: is for devices/e"));
  EXPECT_TRUE(records_.stored.empty());
}

TEST_F(SignedDocuments, AnOldOneSentAgainIsStale) {
  const std::string old = sign(document(3, {pod("web")}, kForUs));
  EXPECT_TRUE(desk_->receive(kDevice, old));
  EXPECT_TRUE(desk_->receive(kDevice, sign(document(4, {pod("other")}, kForUs))));
  EXPECT_FALSE(desk_->receive(kDevice, old));
  EXPECT_THAT(refusal(), HasSubstr("stale"));
}

// With the next key, say; what runs is not another for it.
TEST_F(SignedDocuments, SignedAnewTheyAreTheSame) {
  const std::string text = document(3, {pod("web")}, kForUs);
  const std::string first = sign(text);
  EXPECT_TRUE(desk_->receive(kDevice, first));
  const auto another = [&](const char* kid) {
    run_ok({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
            dir_ / "next.key"});
    run_ok({"openssl", "pkey", "-in", dir_ / "next.key", "-pubout", "-out",
            keys() + "/" + kid + ".pem"});
    return sign_jws(text, *read_private_key(dir_ / "next.key"), kid).value();
  };
  EXPECT_FALSE(desk_->receive(kDevice, sign(document(3, {pod("other")}, kForUs))));
  EXPECT_THAT(refusal(), HasSubstr("accepted with other content"));
  EXPECT_FALSE(desk_->receive(kDevice, another("next")));
  EXPECT_EQ(refusal(), "") << "and that takes the other back";
  EXPECT_EQ(view().digest, sha256_digest(first)) << "of the message that was accepted";
  fresh(true);
  EXPECT_FALSE(desk_->receive(kDevice, another("last")));
  EXPECT_EQ(refusal(), "");
  EXPECT_FALSE(desk_->receive(kDevice, text));
  EXPECT_THAT(refusal(), HasSubstr("wherry sign")) << "it must be signed all the same";
}

TEST_F(SignedDocuments, OfTheFleetCannotBeAppliedOnceMoreOverTheNetwork) {
  const std::string old = sign(document(3, {pod("web")}, kForUs));
  EXPECT_TRUE(desk_->receive(kDevice, old));
  EXPECT_TRUE(desk_->receive(kDevice, sign(document(4, {}, kForUs))));
  const auto applied = desk_->apply({old, true});
  ASSERT_TRUE(applied);
  ASSERT_EQ(applied->errors.size(), 1U);
  EXPECT_EQ(applied->errors[0].path, "metadata.target");
  EXPECT_THAT(applied->errors[0].message, HasSubstr("sign it for local/"));
  EXPECT_TRUE(desk_->apply({sign(document(3, {pod("web")}, "target: local/d")), true})->changed);
  // Who may use the socket needs no signature either.
  EXPECT_TRUE(desk_->apply({sign(document(5, {pod("web")}, kForUs)), false})->changed);
}

// A broker that is not trusted may send any number of them.
TEST_F(SignedDocuments, ForgedOnesDoNotFillTheEventLog) {
  const auto key = read_private_key(dir_ / "ops.key");
  const auto forged = [&](int i) {
    return sign_jws(document(1, {}, kForUs), *key, "kid" + std::to_string(i)).value();
  };
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(desk_->receive(kDevice, forged(i)));
  EXPECT_THAT(refusal(), HasSubstr("kid99")) << "the last is shown";
  EXPECT_EQ(desk_->take_events().size(), 1U);
  clock_.advance(std::chrono::minutes(1));
  EXPECT_FALSE(desk_->receive(kDevice, forged(100)));
  EXPECT_EQ(desk_->take_events().size(), 1U);
}

TEST_F(SignedDocuments, StayWhereTheKeyGoes) {
  EXPECT_TRUE(desk_->receive(kDevice, sign(document(3, {pod("web")}, kForUs))));
  std::filesystem::remove(keys() + "/ops.pem");
  fresh(true);
  ASSERT_EQ(desk_->merged().workloads.size(), 1U);
  EXPECT_EQ(desk_->merged().workloads[0].name(), "web");
  const std::string next = sign(document(4, {pod("other")}, kForUs));
  EXPECT_FALSE(desk_->receive(kDevice, next));
  EXPECT_THAT(refusal(), HasSubstr("is not trusted on this device"));
  add_key();
  EXPECT_TRUE(desk_->receive(kDevice, next)) << "the same bytes, once the key is there";
}

TEST_F(SignedDocuments, AreCheckedWhereTheyAreNotAskedFor) {
  fresh(false);
  EXPECT_TRUE(desk_->receive(kDevice, document(1, {pod("web")})));
  std::string message = sign(document(2, {pod("web")}, kForUs));
  EXPECT_TRUE(desk_->receive(kDevice, message));
  message = sign(document(3, {pod("web")}, kForUs));
  message[message.find("\"payload\":\"") + 20] ^= 1;
  EXPECT_FALSE(desk_->receive(kDevice, message));
  EXPECT_THAT(refusal(), HasSubstr("changed after it was signed"));
}

}  // namespace
}  // namespace wherry::test

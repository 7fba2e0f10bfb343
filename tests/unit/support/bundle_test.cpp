// A bundle has all there is and says what it has not; what a message carries has a bound.

#include "agent/support/bundle.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::support {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class NoLogs final : public runtime::Logs {
 public:
  Status read(const runtime::LogQuery& query, const LineSink& sink, CancelToken) override {
    if (query.pod == "silent") return fail(Code::NotFound, "no log");
    for (int i = 0; i < 10'000; ++i)
      sink("2026-11-26T00:00:00.000Z line " + std::to_string(i) + " of its log\n");
    return {};
  }
};

class BundleTest : public testing::Test {
 protected:
  BundleTest() {
    config.device.id = "dev-1";
    config.containerd.address = dir / "nothing.sock";
    StateView view;
    for (const char* name : {"silent", "web"}) {
      WorkloadView workload;
      workload.name = name;
      view.workloads.push_back(workload);
    }
    board.set(std::make_shared<const StateView>(view));
  }
  BundleParts parts() {
    return {config,
            "1.2.3",
            clock,
            board,
            logs,
            [this]() -> Result<std::vector<StoredDocument>> { return documents; },
            [this]() -> Result<std::vector<StoredDocument>> { return superseded; },
            [this](int64_t after, size_t limit) -> Result<std::vector<EventRecord>> {
              std::vector<EventRecord> found;
              for (int64_t n = after + 1; n <= events && found.size() < limit; ++n) {
                EventRecord event;
                event.number = n;
                event.message = random_hex(noise);
                found.push_back(event);
              }
              return found;
            },
            [] { return std::vector<std::string>(); },
            [] { return std::string("wherry_build_info 1\n"); },
            [](const CancelToken&) -> Result<std::string> {
              return fail(Code::Unavailable, "it cannot be checked");
            }};
  }
  // Unpacked into a directory of its own, whose path it gives.
  std::string unpack(const std::string& bytes) {
    test::write_text(dir / "b.tar.gz", bytes);
    test::run_ok({"tar", "-xzf", dir / "b.tar.gz", "-C", dir.path()});
    return dir / Bundle(parts()).name() + "/";
  }

  test::TempDir dir;
  Config config;
  FakeClock clock;
  StateBoard board;
  NoLogs logs;
  std::vector<StoredDocument> documents, superseded;
  int64_t events = 3;
  size_t noise = 8;
};

TEST_F(BundleTest, SaysWhatItHasNot) {
  std::string bytes;
  const auto take = [&](std::string_view part) {
    bytes += part;
    return true;
  };
  ASSERT_TRUE(Bundle(parts()).write({.logs = true}, take, {}));
  const std::string top = unpack(bytes);
  const std::string missing = test::read_text(top + "missing.txt");
  EXPECT_THAT(missing, HasSubstr("check.json: it cannot be checked"));
  EXPECT_THAT(missing, HasSubstr("containerd/tasks.json: "));
  EXPECT_THAT(test::read_text(top + "README.txt"), HasSubstr("wherryd 1.2.3 knew"));
  EXPECT_EQ(test::read_text(top + "metrics.txt"), "wherry_build_info 1\n");
  EXPECT_THAT(test::read_text(top + "configuration.yaml"), HasSubstr("device.id: \"dev-1\""));
  EXPECT_EQ(json::parse(test::read_text(top + "status.json"))["kind"], "ReportedState");
  const std::string log = test::read_text(top + "logs/web.log");
  EXPECT_THAT(log, testing::EndsWith("line 9999 of its log\n"));
  EXPECT_LE(log.size(), 256u << 10);
  EXPECT_EQ(log.find("2026-11-26T00:00:00.000Z line "), 0u) << "it begins with a line";
}

TEST_F(BundleTest, WithoutAnAgentItHasWhatCanBeHad) {
  for (const bool unconfigured : {false, true}) {
    std::string bytes;
    const auto take = [&](std::string_view part) {
      bytes += part;
      return true;
    };
    ASSERT_TRUE(Bundle(parts()).write({.outside = true, .unconfigured = unconfigured}, take, {}));
    const std::string top = unpack(bytes);
    const std::string missing = test::read_text(top + "missing.txt");
    for (const char* each : {"status.json", "why.json", "events.ndjson", "desired.ndjson",
                             "images.json", "metrics.txt", "agent.log"}) {
      EXPECT_THAT(missing, HasSubstr(std::string(each) + ": only wherryd"));
      EXPECT_FALSE(std::filesystem::exists(top + each)) << each;
    }
    EXPECT_EQ(missing.find("configuration.yaml: ") != std::string::npos, unconfigured);
    EXPECT_EQ(std::filesystem::exists(top + "configuration.yaml"), !unconfigured);
    EXPECT_TRUE(std::filesystem::exists(top + "versions.json"));
    ASSERT_TRUE(std::filesystem::exists(top + "system/memory.txt"));
    std::filesystem::remove_all(top);
  }
}

TEST_F(BundleTest, LogsAreThereOnlyWhereTheyAreAskedFor) {
  std::string bytes;
  ASSERT_TRUE(Bundle(parts()).write({},
                                    [&](std::string_view part) {
                                      bytes += part;
                                      return true;
                                    },
                                    {}));
  test::write_text(dir / "b.tar.gz", bytes);
  EXPECT_THAT(test::run_ok({"tar", "-tzf", dir / "b.tar.gz"}), Not(HasSubstr("logs/")));
}

TEST_F(BundleTest, ValuesOfSecretsAreLeftOutOfDocumentsAndStruckOutOfTheRest) {
  test::write_text(dir / "pin", "482913\n");
  config.mqtt.key_file = "pkcs11:token=device;object=mqtt?pin-source=file:" + (dir / "pin");
  documents.push_back({"devices/dev-1", 7, "sha256:0",
                       R"(apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 7 }
spec:
  items:
  - apiVersion: v1
    kind: Secret
    metadata: { name: db, annotations: { last: "{\"password\":\"hunter22\"}" } }
    stringData: { password: hunter22, pin: "1234" }
    data: { token: czNjcjN0LXRva2Vu }
  - apiVersion: v1
    kind: Pod
    metadata: { name: web }
    spec: { containers: [{ name: web, image: "web:1", args: ["--password=hunter22", "s3cr3t-token", "482913", old-one] }] }
)",
                       clock.wall()});
  // A container of an earlier one may go on with what that said.
  superseded.push_back({"devices/dev-1", 6, "sha256:0",
                        R"(apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 6 }
spec:
  items:
  - { apiVersion: v1, kind: Secret, metadata: { name: db }, stringData: { password: old-one } }
)",
                        clock.wall()});
  std::string bytes;
  ASSERT_TRUE(Bundle(parts()).write({},
                                    [&](std::string_view part) {
                                      bytes += part;
                                      return true;
                                    },
                                    {}));
  const std::string text = test::read_text(unpack(bytes) + "desired.ndjson");
  EXPECT_THAT(text, HasSubstr("\"web:1\""));
  EXPECT_THAT(text, HasSubstr("\"password\":\"(left out)\""));
  EXPECT_THAT(text, HasSubstr("--password=(left out)"));
  for (const char* secret :
       {"hunter22", "1234", "s3cr3t-token", "czNjcjN0LXRva2Vu", "482913", "old-one"}) {
    EXPECT_THAT(text, Not(HasSubstr(secret)));
  }
}

TEST_F(BundleTest, AMessageCarriesWhatFitsAndSaysWhatDoesNot) {
  const Bundle bundle(parts());
  const auto small = bundle.answer({});
  ASSERT_TRUE(small) << small.error().full();
  const json whole = json::parse(*small);
  EXPECT_EQ(whole["brief"], false);
  const auto bytes = base64_decode(whole["archive"].get<std::string>());
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), whole["bytes"].get<size_t>());
  EXPECT_THAT(test::read_text(unpack(*bytes) + "missing.txt"), HasSubstr("check.json"));

  events = 2000, noise = 400;
  const auto brief = bundle.answer({});
  ASSERT_TRUE(brief) << brief.error().full();
  EXPECT_EQ(json::parse(*brief)["brief"], true);
  EXPECT_LT(brief->size(), 300u << 10);

  noise = 4000;
  const auto none = bundle.answer({});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::ResourceExhausted);
  EXPECT_THAT(none.error().message(), HasSubstr("wherry support-bundle"));
}

TEST_F(BundleTest, IsBrokenOff) {
  CancelToken cancel;
  cancel.cancel();
  const Status written = Bundle(parts()).write(
      {}, [](std::string_view) { return true; }, cancel);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), Code::Cancelled);
}

}  // namespace
}  // namespace wherry::support

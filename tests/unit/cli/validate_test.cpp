// wherry validate: needs no daemon, names every mistake.
#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "tests/unit/cli/program_fixture.h"

namespace wherry::test {
namespace {

TEST_F(ProgramTest, Validate) {
  server->stop();  // it needs none
  write_text(dir / "good.yaml", kGood);
  write_text(dir / "bad.yaml", kBad);
  const CommandResult good = wherry({"validate", "-f", dir / "good.yaml"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, (dir / "good.yaml") + ": valid, 1 workload: web\n");
  const CommandResult bad = wherry({"validate", "-f", dir / "good.yaml", "-f", dir / "bad.yaml"});
  EXPECT_EQ(bad.exit_code, 5);
  EXPECT_EQ(bad.err.find((dir / "bad.yaml") + ":11:"), 0u) << bad.err;
  EXPECT_NE(bad.err.find("spec.items[0].spec.containers[0]"), std::string::npos) << bad.err;
  EXPECT_NE(bad.err.find("image"), std::string::npos) << bad.err;
  const CommandResult json = wherry({"validate", "-o", "json", "-f", dir / "bad.yaml"});
  EXPECT_EQ(json.exit_code, 5);
  const auto result = nlohmann::json::parse(json.out);
  EXPECT_EQ(result["valid"], false);
  EXPECT_EQ(result.at("documents").at(0).at("errors").at(0).at("line"), 11);
  const CommandResult missing = wherry({"validate", "-f", dir / "nope.yaml"});
  EXPECT_EQ(missing.exit_code, 1);
  expect_one_line(missing);
}

// A document that is fine alone, and the one that completes it.
constexpr const char* kNeedsConfig = R"(apiVersion: v1
kind: Pod
metadata: { name: web, annotations: { wherry/depends-on: "queue" } }
spec:
  nodeSelector: { kubernetes.io/arch: arm64 }
  containers:
  - { name: web, image: web:1, envFrom: [{ configMapRef: { name: settings } }] }
)";
constexpr const char* kConfig = R"(apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { A: b }
---
apiVersion: v1
kind: Pod
metadata: { name: queue }
spec:
  nodeSelector: { site: north }
  containers: [{ name: queue, image: queue:1 }]
)";

TEST_F(ProgramTest, ValidateDocumentsTogether) {
  write_text(dir / "web.yaml", kNeedsConfig);
  write_text(dir / "config.yaml", kConfig);
  const CommandResult alone = wherry({"validate", "-f", dir / "web.yaml"});
  EXPECT_EQ(alone.exit_code, 5);
  EXPECT_NE(alone.err.find((dir / "web.yaml") + ":7:"), std::string::npos) << alone.err;
  EXPECT_NE(alone.err.find("\"settings\""), std::string::npos) << alone.err;
  EXPECT_NE(alone.err.find("depends on \"queue\""), std::string::npos) << alone.err;
  const CommandResult both =
      wherry({"validate", "-f", dir / "web.yaml", "-f", dir / "config.yaml"});
  EXPECT_EQ(both.exit_code, 0) << both.err;
  EXPECT_NE(both.out.find("valid, 2 workloads: queue, web; 1 ConfigMap: settings\n"),
            std::string::npos)
      << both.out;
  const CommandResult json = wherry({"validate", "-f", dir / "web.yaml", "-o", "json"});
  const auto result = nlohmann::json::parse(json.out);
  EXPECT_EQ(result.at("documents").at(0).at("valid"), false);
  EXPECT_EQ(result.at("documents")
                .at(0)
                .at("errors")
                .at(0)
                .at("path")
                .get<std::string>()
                .find(dir.path()),
            std::string::npos);
}

constexpr const char* kKinds = R"(apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec: { template: { spec: { restartPolicy: Never, containers: [{ name: a, image: a:1 }] } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: more }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
)";

TEST_F(ProgramTest, ValidateNamesWhatIsNoPodToo) {
  write_text(dir / "kinds.yaml", kKinds);
  const CommandResult table = wherry({"validate", "-f", dir / "kinds.yaml"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_EQ(table.out, (dir / "kinds.yaml") +
                           ": valid, 1 CronJob: nightly; 2 PersistentVolumeClaims: data, more\n");
  const auto json =
      nlohmann::json::parse(wherry({"validate", "-o", "json", "-f", dir / "kinds.yaml"}).out);
  const auto& objects = json.at("documents").at(0).at("objects");
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects.at(0), (nlohmann::json{{"kind", "CronJob"}, {"name", "nightly"}}));
}

TEST_F(ProgramTest, ValidateNamesServices) {
  write_text(dir / "service.yaml",
             "apiVersion: v1\nkind: Service\nmetadata: { name: site }\n"
             "spec: { selector: { app: site }, ports: [{ port: 80 }] }\n");
  const CommandResult table = wherry({"validate", "-f", dir / "service.yaml"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_EQ(table.out, (dir / "service.yaml") + ": valid, 1 Service: site\n");
}

// A JWS with this content, whose signature is none.
std::string as_signed(const std::string& content) {
  return nlohmann::json{{"payload", base64url_encode(content)},
                        {"protected", base64url_encode(R"({"alg":"EdDSA","kid":"ops"})")},
                        {"signature", base64url_encode("not looked at")}}
      .dump();
}

TEST_F(ProgramTest, ValidateLooksIntoWhatIsSigned) {
  const std::string path = dir / "web.jws";
  const std::string note = path +
                           ": a signed document (JWS), key \"ops\": what it says is checked, its "
                           "signature is not\n";
  write_text(path, as_signed(kGood) + "\n");
  const CommandResult good = wherry({"validate", "-f", path});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, path + ": valid, 1 workload: web\n");
  EXPECT_EQ(good.err, note);
  const auto json = nlohmann::json::parse(wherry({"validate", "-o", "json", "-f", path}).out);
  EXPECT_EQ(json.at("documents").at(0).at("signed"),
            (nlohmann::json{{"kid", "ops"}, {"checked", false}}));

  write_text(path, as_signed(kBad));
  const CommandResult bad = wherry({"validate", "-f", path});
  EXPECT_EQ(bad.exit_code, 5);
  EXPECT_EQ(bad.err.find(note + path + ":11:"), 0U) << bad.err;
  EXPECT_NE(bad.err.find("did you mean \"image\"?"), std::string::npos) << bad.err;

  write_text(path, as_signed("kind: DesiredState # " + std::string((1u << 20) - 21, 'x')));
  EXPECT_EQ(wherry({"validate", "-f", path}).err.find("larger than"), std::string::npos)
      << "it is the content that has a limit";

  write_text(path, R"({"payload":"e30","signature":"e30"})");
  const CommandResult broken = wherry({"validate", "-f", path});
  EXPECT_EQ(broken.exit_code, 5);
  EXPECT_EQ(broken.err,
            path + ": the signed message is malformed: \"protected\" is missing or no text\n");
}

TEST_F(ProgramTest, ValidateNothing) {
  write_text(dir / "empty.yaml", "");
  EXPECT_EQ(wherry({"validate", "-f", dir / "empty.yaml"}).out,
            (dir / "empty.yaml") + ": valid, no workloads\n");
  write_text(dir / "large.yaml", std::string(2u << 20, '#'));
  const CommandResult large = wherry({"validate", "-f", dir / "large.yaml"});
  EXPECT_EQ(large.exit_code, 5);
  EXPECT_NE(large.err.find("larger than 1 MiB"), std::string::npos) << large.err;
}

TEST_F(ProgramTest, ValidateStandardInput) {
  write_text(dir / "bad.yaml", kBad);
  const std::string command =
      std::string(WHERRY_PROGRAM) + " validate -f - < " + (dir / "bad.yaml");
  const CommandResult result = run_command({"sh", "-c", command});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_EQ(result.err.find("<stdin>:11:"), 0u) << result.err;
}

}  // namespace
}  // namespace wherry::test

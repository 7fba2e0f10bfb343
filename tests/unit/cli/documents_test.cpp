// wherry apply and plan against an agent that says what the test wants, and sign.

#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/program_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kPlan = R"({"source":"local","revision":2,"digest":"sha256:1",
 "possible":false,"workloads":[
  {"name":"cam","change":"create","reason":"Added","message":"it is new","differences":[],
   "source":"local","obstacle":{"reason":"InsufficientMemory","message":"it asks for too much"}},
  {"name":"web","change":"replace","reason":"ImageChanged","message":"containers[web].image changed",
   "differences":["containers[web].image"],"source":"local","obstacle":null}],
 "images":[{"image":"r/web:2","workloads":["web"],"digest":"sha256:2","downloadBytes":1048576,
  "diskBytes":3145728,"problem":null}],"downloadBytes":1048576,
 "disks":[{"path":"/var/lib/containerd","holds":"all","neededBytes":3145728,"freeBytes":10485760,
  "removableBytes":0,"reservedBytes":1048576,"fits":true}],
 "resources":[{"resource":"memory","limit":1073741824,"before":0,"after":2147483648,
  "left":-1073741824},{"resource":"cpu","limit":null,"before":0,"after":250,"left":null}],
 "down":[{"name":"web","reason":"Replaced","message":"until its new version has started"}],
 "warnings":[{"path":"spec.items[0]","message":"so"}]})";

class DocumentCommands : public ProgramTest {
 protected:
  std::string file(const std::string& text) {
    write_text(dir / "doc.yaml", text);
    return dir / "doc.yaml";
  }
};

TEST_F(DocumentCommands, ApplySaysWhatCameOfIt) {
  Applied applied;
  applied.revision = 3;
  applied.changed = true;
  applied.warnings = {{"", "Pod/web of this document does not count"}};
  answer_documents(applied, Planned{});
  CommandResult result = wherry({"apply", "-f", file(kGood)});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "revision 3 accepted\n");
  EXPECT_EQ(result.err, "warning: Pod/web of this document does not count\n");
  EXPECT_EQ(apply_asked().payload, kGood);
  applied.changed = false;
  answer_documents(applied, Planned{});
  result = wherry({"apply", "-f", file(kGood), "-o", "json"});
  EXPECT_EQ(json::parse(result.out)["changed"], false);
  EXPECT_THAT(wherry({"apply", "-f", file(kGood)}).out, HasSubstr("nothing changes"));
}

TEST_F(DocumentCommands, StandardInputIsADocumentToo) {
  const CommandResult result = run_command({"sh", "-c",
                                            "printf 'kind: x\\n' | " + std::string(WHERRY_PROGRAM) +
                                                " --socket " + options.socket + " apply -f -"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(apply_asked().payload, "kind: x\n");
}

TEST_F(DocumentCommands, EveryErrorIsALineWithItsPlace) {
  Applied refused;
  refused.errors = {{"spec.items[0].spec", "is required", 7, 3}, {"", "and more"}};
  answer_documents(refused, Planned{refused.errors, ""});
  const std::string path = file(kGood);
  for (const char* command : {"apply", "plan"}) {
    const CommandResult result = wherry({command, "-f", path});
    EXPECT_EQ(result.exit_code, 5) << command;
    EXPECT_EQ(result.err, path + ":7:3: spec.items[0].spec: is required\n" + path + ": and more\n");
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(wherry({"apply", "-f", file("")}).exit_code, 5) << "nothing to send";
  file(kGood);
  const CommandResult result = wherry({"apply", "-f", path, "-o", "json"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_EQ(json::parse(result.out)["errors"].size(), 2U);
  answer_documents(fail(Code::ResourceExhausted, "the disk is full"), Planned{});
  const CommandResult full = wherry({"apply", "-f", path});
  EXPECT_EQ(full.exit_code, 1);
  expect_one_line(full);
  EXPECT_EQ(wherry({"apply", "-f", dir / "none"}).exit_code, 1);
  const std::string large = dir / "large.yaml";
  write_text(large, std::string(2u << 20, ' '));
  const CommandResult too_large = wherry({"apply", "-f", large});
  EXPECT_EQ(too_large.exit_code, 5);
  EXPECT_THAT(too_large.err, HasSubstr("wherry: " + large + ": the document is larger than 1 MiB"));
  EXPECT_EQ(wherry({"apply"}).exit_code, 2);
  server->stop();
  EXPECT_EQ(wherry({"apply", "-f", path}).exit_code, 3);
}

TEST_F(DocumentCommands, PlanIsATableOfWhatChangesIsNeededAndCosts) {
  answer_documents(Applied{}, Planned{{}, kPlan});
  const CommandResult result = wherry({"plan", "-f", file(kGood), "--source", "groups/g"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(plan_asked().source, "groups/g");
  for (const char* part :
       {"create   cam       it is new", "replace  web       containers[web].image changed",
        "r/web:2  1.0 MiB   3.0 MiB", "/var/lib/containerd (all): about 3.0 MiB needed", "memory",
        "-1.0 GiB", "250m", "goes down: web: Replaced: until its new version",
        "cannot start: cam: InsufficientMemory: it asks for too much",
        "warning: spec.items[0]: so"}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
  EXPECT_EQ(json::parse(wherry({"plan", "-f", file(kGood), "-o", "json"}).out), json::parse(kPlan));
}

TEST_F(DocumentCommands, SignTakesWhatDevicesTake) {
  run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", dir / "ops.pem"});
  std::filesystem::permissions(dir / "ops.pem", std::filesystem::perms(0600));
  const std::string soon = to_rfc3339(SystemClock().wall() + std::chrono::hours(1));
  const auto sign = [&](const std::string& document) {
    return wherry(
        {"sign", "--key", dir / "ops.pem", "-f",
         file(R"({"command":"plan","args":{"document":)" + document +
              R"(},"target":"devices/pump-7","request":"r-1","expires":")" + soon + R"("})")});
  };
  std::string deep = "{}";
  for (int level = 1; level < 64; ++level) deep = R"({"a":)" + deep + "}";
  const CommandResult signed_one = sign(deep);
  EXPECT_EQ(signed_one.exit_code, 0) << signed_one.err;
  EXPECT_TRUE(json::parse(signed_one.out).contains("signature"));
  const CommandResult large = sign("\"" + std::string(64u << 10, 'x') + "\"");
  EXPECT_EQ(large.exit_code, 5);
  EXPECT_THAT(large.err, HasSubstr("at most 64.0 KiB"));
}

}  // namespace
}  // namespace wherry::test

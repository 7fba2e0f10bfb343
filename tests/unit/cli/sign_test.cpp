// wherry sign refuses what no device would take.
#include <map>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "tests/unit/cli/program_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class SignProgram : public ProgramTest {
 protected:
  SignProgram() {
    run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", key()});
    run_ok({"chmod", "600", key()});
  }
  std::string key() const { return dir / "ops.pem"; }
  CommandResult sign(const std::string& text) const {
    write_text(dir / "text", text);
    return wherry({"sign", "-f", dir / "text", "--key", key()});
  }
  static std::string in(Duration ahead) { return to_rfc3339(SystemClock().wall() + ahead); }
  CommandResult sign_command(const json& changes) const {
    json command = {{"command", "restart"},
                    {"args", {{"workload", "web"}}},
                    {"target", "devices/pump-7"},
                    {"request", "r-1"},
                    {"expires", in(std::chrono::hours(1))}};
    command.merge_patch(changes);
    return sign(command.dump());
  }
};

TEST_F(SignProgram, ACommandThatADeviceWouldTake) {
  for (const json& change : {json::object(), json{{"target", "groups/pumps"}},
                             json{{"expires", in(std::chrono::hours(23))}}}) {
    const CommandResult made = sign_command(change);
    EXPECT_EQ(made.exit_code, 0) << made.err;
    EXPECT_THAT(made.out, HasSubstr("\"signature\":"));
  }
}

TEST_F(SignProgram, ACommandThatNoDeviceWouldTake) {
  const std::map<std::string, json> wrong = {
      {"expires: that is past", {{"expires", "2020-01-01T00:00:00Z"}}},
      {"expires: must be at most 1d ahead", {{"expires", in(std::chrono::hours(25))}}},
      {"expires: must be a time", {{"expires", "soon"}}},
      {"expires: a signed command", {{"expires", nullptr}}},
      {"target: \"pump-7\" must be devices/<id> or groups/<group>", {{"target", "pump-7"}}},
      {"target: \"devices/\" must be", {{"target", "devices/"}}},
      {"target: \"devices/a/b\" must be", {{"target", "devices/a/b"}}},
      {"request: must be 1 to 128", {{"request", "r 1"}}},
      {"did you mean \"ping\"", {{"command", "png"}, {"args", nullptr}}},
      {"unknown argument \"wrkload\"", {{"args", {{"wrkload", "web"}, {"workload", nullptr}}}}},
      {"args.workload: is missing", {{"args", {{"workload", nullptr}}}}},
  };
  for (const auto& [message, change] : wrong) {
    const CommandResult refused = sign_command(change);
    EXPECT_EQ(refused.exit_code, 5) << message;
    EXPECT_THAT(refused.err, HasSubstr(message));
    expect_one_line(refused);
  }
}

TEST_F(SignProgram, ADocumentThatHasExpired) {
  json document = {{"apiVersion", "wherry/v1"},
                   {"kind", "DesiredState"},
                   {"metadata", {{"revision", 1}, {"target", "devices/pump-7"}}},
                   {"spec", {{"items", json::array()}}}};
  document["metadata"]["expires"] = in(std::chrono::hours(72));
  EXPECT_EQ(sign(document.dump()).exit_code, 0);
  document["metadata"]["expires"] = "2020-01-01T00:00:00Z";
  const CommandResult refused = sign(document.dump());
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.err, HasSubstr("metadata.expires: that is past"));
}

}  // namespace
}  // namespace wherry::test

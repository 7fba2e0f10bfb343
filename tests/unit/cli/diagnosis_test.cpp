// wherry check and wherry support-bundle, against a server that says what the test wants.

#include <filesystem>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <gmock/gmock.h>

#include "tests/unit/cli/program_fixture.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kReport = R"({"at":"2026-11-26T23:00:00.000Z","result":"fail","findings":[
 {"name":"cni","about":"","result":"ok","seen":"it is well","mend":""},
 {"name":"certificate","about":"/a.pem","result":"warn","seen":"ends soon","mend":"renew it"},
 {"name":"broker","about":"","result":"fail","seen":"a\u001b[31mred\nline","mend":"mend it"}]})";

TEST_F(ProgramTest, ACheckIsATableWithWhatToDo) {
  check_with([](const CancelToken&) -> Result<std::string> { return std::string(kReport); });
  const CommandResult result = wherry({"check"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out,
            "ok    cni          it is well\n"
            "warn  certificate  /a.pem: ends soon\n"
            "                   -> renew it\n"
            "fail  broker       a [31mred line\n"
            "                   -> mend it\n"
            "1 ok, 1 to look at, 1 to mend\n")
      << result.err;
  const CommandResult json = wherry({"check", "-o", "json"});
  EXPECT_EQ(json.exit_code, 1);
  EXPECT_THAT(json.out, HasSubstr("\"result\": \"fail\""));
  EXPECT_THAT(wherry({"check", "-o", "yaml"}).out, HasSubstr("name: certificate"));
}

TEST_F(ProgramTest, WarningsAreNoFailure) {
  check_with([](const CancelToken&) -> Result<std::string> {
    return std::string(R"({"result":"warn","findings":[]})");
  });
  EXPECT_EQ(wherry({"check"}).exit_code, 0);
}

TEST_F(ProgramTest, ACheckHasColoursOnlyOnATerminal) {
  check_with([](const CancelToken&) -> Result<std::string> { return std::string(kReport); });
  const std::string command =
      std::string(WHERRY_PROGRAM) + " --socket " + options.socket + " check";
  // script(1) gives it a terminal.
  const CommandResult shown = run_command(
      {"env", "TERM=xterm", "script", "-qec", "stty cols 100; " + command, "/dev/null"});
  EXPECT_THAT(shown.out, HasSubstr("\033[33mwarn  \033[0mcertificate"));
  const CommandResult plain = run_command({"env", "TERM=xterm", "NO_COLOR=1", "script", "-qec",
                                           "stty cols 100; " + command, "/dev/null"});
  EXPECT_THAT(plain.out, HasSubstr("warn  certificate"));
  EXPECT_THAT(plain.out, Not(HasSubstr("\033[33m")));
  // A serial console does not say how wide it is.
  const CommandResult console =
      run_command({"env", "TERM=xterm", "script", "-qec", "stty cols 0; " + command, "/dev/null"});
  EXPECT_THAT(console.out, HasSubstr("\033[33mwarn  \033[0mcertificate"));
}

TEST_F(ProgramTest, ABundleIsAFileForItsOwner) {
  const std::string path = dir / "b.tar.gz";
  const CommandResult result = wherry({"support-bundle", "-f", path});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("wrote " + path));
  EXPECT_EQ(read_text(path), "an archive");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  write_text(path + ".part", "of one that was broken off", 0644);
  EXPECT_EQ(wherry({"support-bundle", "-f", path, "--logs"}).exit_code, 0);
  EXPECT_EQ(read_text(path), "an archive with logs");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(wherry({"support-bundle", "-f", "-"}).out, "an archive");
  // A link is followed; what is no file is written to, and stays what it is.
  std::filesystem::create_symlink(path, dir / "link");
  EXPECT_EQ(wherry({"support-bundle", "-f", dir / "link"}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(read_text(path), "an archive");
  ASSERT_EQ(mknod((dir / "full").c_str(), S_IFCHR | 0666, makedev(1, 7)), 0);
  EXPECT_EQ(wherry({"support-bundle", "-f", dir / "full"}).exit_code, 1);
  EXPECT_TRUE(std::filesystem::is_character_file(dir / "full"));
}

TEST_F(ProgramTest, HalfABundleIsNotKept) {
  bundle_with([](bool, const auto& sink, const CancelToken&) -> Status {
    sink("the first half");
    return fail(Code::Internal, "the rest is lost");
  });
  const std::string path = dir / "b.tar.gz";
  const CommandResult result = wherry({"support-bundle", "-f", path});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  server->stop();
  // One that has no wherryd beside it.
  std::filesystem::copy_file(WHERRY_PROGRAM, dir / "wherry");
  const CommandResult alone =
      run_command({dir / "wherry", "--socket", options.socket, "support-bundle", "-f", path});
  EXPECT_EQ(alone.exit_code, 3);
  EXPECT_THAT(alone.err, HasSubstr("systemctl start wherryd"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace wherry::test

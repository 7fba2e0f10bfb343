// What containers print, on a terminal.
#include "agent/cli/terminal_text.h"

#include <gmock/gmock.h>

#include "tests/unit/cli/program_fixture.h"

namespace wherry::cli {
namespace {

std::string shown(std::string_view text) {
  TerminalText harmless;
  std::string all = harmless.take(text);
  return all + harmless.finish();
}

TEST(TerminalText, NothingSteersTheTerminal) {
  EXPECT_EQ(shown("a\x1b]0;pwned\x07z\n"), "a^[]0;pwned^Gz\n");              // the window's title
  EXPECT_EQ(shown("\x1b]52;c;cm0=\x1b\\\n"), "^[]52;c;cm0=^[\\\n");          // the clipboard
  EXPECT_EQ(shown("\x1b[2J\x1b[1;1H\x1b[?25l"), "^[[2J^[[1;1H^[[?25l");      // the screen
  EXPECT_EQ(shown("\x1b[>4;2m\x1b[3 q\x1bPq\x1b"), "^[[>4;2m^[[3 q^[Pq^[");  // not quite colours
  EXPECT_EQ(shown(std::string("\0\b\x7f", 3)), "^@^H^?");
  EXPECT_EQ(shown("\xc2\x9b"
                  "2J"),
            "\uFFFD2J");  // the one-byte form of ESC [
  EXPECT_EQ(shown("user\u202Etxt.exe\u2066!\n"), "usertxt.exe!\n");
}

TEST(TerminalText, LinesTabsAndTextStay) {
  EXPECT_EQ(shown("a\tb\r\nü 船\n"), "a\tb\nü 船\n");
  EXPECT_EQ(shown("10 %\r20 %\r"), "10 %^M20 %^M");
  EXPECT_EQ(shown("a\xff\xe8\x88"), "a\uFFFD\uFFFD\uFFFD");
}

TEST(TerminalText, ColoursEndWithTheirLine) {
  EXPECT_EQ(shown("\x1b[1;31mred\nplain\n"), "\x1b[1;31mred\x1b[0m\nplain\n");
  EXPECT_EQ(shown("\x1b[38:5:1mred"), "\x1b[38:5:1mred\x1b[0m");
  const std::string endless = "\x1b[" + std::string(100, '1') + "m\n";
  EXPECT_EQ(shown(endless), "^[" + endless.substr(1));
}

TEST(TerminalText, PartsMayEndAnywhere) {
  const std::string text = "ü\x1b[31m船\x1b[0m\r\n\x1b]0;x\x07\u202E\r\xe8\x88";
  const std::string all = shown(text);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    TerminalText harmless;
    std::string parts = harmless.take(text.substr(0, cut));
    parts += harmless.take(text.substr(cut));
    EXPECT_EQ(parts + harmless.finish(), all) << cut;
  }
  TerminalText byte_by_byte;
  std::string bytes;
  for (const char& c : text) bytes += byte_by_byte.take({&c, 1});
  EXPECT_EQ(bytes + byte_by_byte.finish(), all);
}

}  // namespace
}  // namespace wherry::cli

namespace wherry::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(ProgramTest, LogsAreHarmlessOnATerminalAndAsTheyAreElsewhere) {
  logs.append("web", "a\x1b]0;pwned\x07\u202Ez\n");
  EXPECT_EQ(wherry({"logs", "web"}).out, "a\x1b]0;pwned\x07\u202Ez\n");
  const std::string command =
      std::string(WHERRY_PROGRAM) + " --socket " + options.socket + " logs web";
  // script(1) gives it a terminal.
  const CommandResult result = run_command({"script", "-qec", command, "/dev/null"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("a^[]0;pwned^Gz"));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b]0")));
}

}  // namespace
}  // namespace wherry::test

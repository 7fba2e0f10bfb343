// Shell completion and the manual page know the commands and options that the program has.

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using Words = std::set<std::string>;
// By command, "" for none, "images pull" for an inner one.
using Options = std::map<std::string, Words>;

std::string repository_file(const std::string& name) {
  const std::string text = read_text(std::string(WHERRY_SOURCE_DIR) + "/" + name);
  EXPECT_NE(text, "") << name;
  return text;
}

Words all_matches(const std::string& text, const std::regex& pattern) {
  Words found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    found.insert(at->str(1));
  }
  return found;
}

Words words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::vector<std::string> split(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// --- what the program says of itself

std::string help(const std::string& command) {
  std::vector<std::string> argv = split(command);
  argv.insert(argv.begin(), WHERRY_PROGRAM);
  argv.push_back("--help");
  return run_ok(std::move(argv));
}

// "  -c,--container TEXT   …" gives both; what a description mentions is further in.
void add_options(const std::string& text, Words& options) {
  static const std::regex line("(?:^|\n)  (-[^ \n]*)");
  for (const std::string& both : all_matches(text, line)) {
    std::istringstream names(both.substr(0, both.find('=')));
    for (std::string name; std::getline(names, name, ',');) options.insert(name);
  }
}

Words subcommands(const std::string& text) {
  const size_t begin = text.find("\nSubcommands:\n");
  if (begin == std::string::npos) return {};
  return all_matches(text.substr(begin), std::regex("\n  ([a-z][a-z-]*)"));
}

Options program() {
  Options known;
  const auto learn = [&known](const std::string& command) {
    const std::string text = help(command);
    add_options(text, known[command]);
    return subcommands(text);
  };
  for (const std::string& command : learn("")) {
    for (const std::string& inner : learn(command)) learn(command + " " + inner);
  }
  return known;
}

// A command that the tool knows by name and does not have yet.
bool is_to_come(const std::string& command) {
  const CommandResult result = run_command({WHERRY_PROGRAM, command});
  return result.exit_code == 2 && result.err.find("not available") != std::string::npos;
}

void expect_commands(const Words& told, const Options& known, const std::string& prefix = "") {
  for (const auto& [command, options] : known) {
    if (command.size() <= prefix.size() || !command.starts_with(prefix)) continue;
    const std::string name = command.substr(prefix.size());
    if (name.find(' ') != std::string::npos) continue;
    EXPECT_TRUE(told.contains(name)) << name;
  }
  for (const std::string& name : told) {
    EXPECT_TRUE(known.contains(prefix + name) || is_to_come(name)) << name;
  }
}

// --- what the files say

// Stands in for the program: one workload, called after the socket that is asked. Everything but
// `list` is given back, its last word.
constexpr const char* kStandIn = R"(
wherry() {
  local last; for last in "$@"; do :; done
  if [ "$last" != list ]; then echo "got[$last]"; return; fi
  [ "$1" = --socket ] || set -- '' /home
  echo NAME; echo "at-${2#/}"
}
)";

// What bash offers for the last word of this command line.
Words offered(const std::string& line, const std::string& last) {
  const std::string script =
      std::string(kStandIn) +
      "source \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _wherry; echo "
      "\"${COMPREPLY[@]}\"";
  std::vector<std::string> argv{"bash", "-c", script,
                                std::string(WHERRY_SOURCE_DIR) + "/configs/completion/wherry.bash",
                                "wherry"};
  for (const std::string& word : split(line)) argv.push_back(word);
  argv.push_back(last);
  return words_of(run_ok(std::move(argv)));
}

// The last word that zsh runs this command line with after a blank and Tab. It completes in its
// line editor only, so it gets a terminal of zsh/zpty.
std::string completed_by_zsh(const std::string& line) {
  const TempDir dir;
  write_text(dir / "setup", "PS1=; fpath=(" + std::string(WHERRY_SOURCE_DIR) +
                                "/configs/completion $fpath)\n"
                                "autoload -U compinit && compinit -u -D\n" +
                                kStandIn);
  write_text(dir / "drive", R"(
zmodload zsh/zpty
zpty shell TERM=dumb zsh -fi
zpty -w shell "source $1; print ready''now"
zpty -r shell text '*readynow*'
zpty -w -n shell "wherry $2 "$'\t\n'
zpty -r shell text '*got\[*\]*'
print -rn -- ${${text#*got\[}%%\]*}
)");
  return run_ok({"zsh", "-f", dir / "drive", dir / "setup", line});
}

// The branches "a|b) …" of zsh's functions, each up to its ";;", with the variables put in.
Options zsh_branches() {
  const std::string text = repository_file("configs/completion/_wherry");
  static const std::regex branch("\n +([a-z|-]+)\\)((?:(?!case )[^;])*);;");
  static const std::regex option("(?:[ {,'\\)])(--?[a-z]+)(?=[\\[,}])");
  Options found;
  for (std::sregex_iterator at(text.begin(), text.end(), branch), end; at != end; ++at) {
    std::string body = at->str(2);
    if (body.find("$help") != std::string::npos) body += " {-h,--help}";
    if (body.find("$output") != std::string::npos) body += " {-o,--output}";
    std::istringstream names(at->str(1));
    for (std::string name; std::getline(names, name, '|');) {
      found[name] = all_matches(body, option);
    }
  }
  return found;
}

Words zsh_commands(const std::string& function) {
  const std::string text = repository_file("configs/completion/_wherry");
  const size_t begin = text.find("commands=(", text.find("\n" + function + "()"));
  const std::string list = text.substr(begin, text.find("\n  )", begin) - begin);
  return all_matches(list, std::regex("'([a-z-]+):"));
}

// The items of COMMANDS, each with the options that stand below it.
Options manual() {
  const std::string text = repository_file("man/wherry.1");
  const size_t begin = text.find("\n.Sh COMMANDS\n");
  std::istringstream lines(text.substr(begin, text.find("\n.Sh ENVIRONMENT\n") - begin));
  static const std::regex command("\\.It Cm ([a-z-]+)(?: (?:Op Cm )?([a-z]+)(?= |$))?.*");
  static const std::regex option(" Fl (-?[a-z]+)");
  Options found;
  std::string now;
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, match, command)) {
      now = match.str(1);
      found[now];
      if (match[2].matched) found[now += " " + match.str(2)];
    } else if (line.starts_with(".It Fl")) {
      for (const std::string& name : all_matches(line, option)) found[now].insert("-" + name);
    }
  }
  return found;
}

TEST(Completion, TheProgramsHelpIsUnderstood) {
  const Options known = program();
  EXPECT_TRUE(known.contains("images prune"));
  EXPECT_EQ(known.at("logs"), (Words{"-h", "--help", "-c", "--container", "-f", "--follow",
                                     "--tail", "--since", "--until", "--pattern", "--timestamps"}));
  EXPECT_EQ(known.at(""), (Words{"-h", "--help", "--version", "--socket"}));
}

TEST(Completion, BashOffersEveryCommandAndOptionAndNoOther) {
  const Options known = program();
  expect_commands(offered("", ""), known);
  expect_commands(offered("images", ""), known, "images ");
  for (auto [command, options] : known) {
    options.insert("--socket");
    EXPECT_EQ(offered(command, "-"), options) << command;
  }
}

TEST(Completion, BashKnowsWhatAnOptionTakes) {
  EXPECT_EQ(offered("get web -o", ""), (Words{"table", "json", "yaml"}));
  EXPECT_EQ(offered("--socket /nowhere sta", ""), Words{});
  EXPECT_EQ(offered("--socket /nowhere", "sta"), (Words{"status", "start"}));
  EXPECT_EQ(offered("logs web --tail", ""), Words{});
  EXPECT_EQ(offered("logs --pattern", ""), Words{});
  EXPECT_EQ(offered("logs --until", ""), Words{});
  EXPECT_EQ(offered("logs --since = 10m", ""), Words{"at-home"}) << "in the words bash makes";
  EXPECT_EQ(offered("get web -o =", "js"), Words{"json"});
  EXPECT_EQ(offered("exec web -- ls", "-"), Words{});
  const std::string file = std::string(WHERRY_SOURCE_DIR) + "/READ";
  EXPECT_EQ(offered("validate -f", file), Words{file + "ME.md"});
  EXPECT_EQ(offered("images import", file), Words{file + "ME.md"});
}

TEST(Completion, WorkloadsAreThoseOfTheSocketNamed) {
  EXPECT_EQ(offered("get", ""), Words{"at-home"});
  for (const char* line : {"--socket /there get", "get --socket /there", "--socket = /there get",
                           "logs -f --socket = /there"}) {
    EXPECT_EQ(offered(line, ""), Words{"at-there"}) << line;
  }
}

TEST(Completion, ZshKnowsTheSocketToo) {
  EXPECT_EQ(completed_by_zsh("get"), "at-home");
  for (const char* line : {"--socket /there get", "get --socket /there", "--socket=/there logs -f",
                           "exec --socket=/there"}) {
    EXPECT_EQ(completed_by_zsh(line), "at-there") << line;
  }
}

TEST(Completion, ZshOffersEveryCommandAndOptionAndNoOther) {
  const Options known = program();
  expect_commands(zsh_commands("_wherry"), known);
  expect_commands(zsh_commands("_wherry_images"), known, "images ");
  const Options branches = zsh_branches();
  for (const auto& [command, options] : known) {
    if (command.empty() || command == "images") continue;  // not by a branch of their own
    const size_t space = command.find(' ');
    const std::string inner = space == std::string::npos ? command : command.substr(space + 1);
    // The inner commands without options of their own share a branch; `list` is also an outer one.
    if (space != std::string::npos && !branches.contains(inner)) continue;
    if (command == "images list") continue;
    ASSERT_TRUE(branches.contains(inner)) << command;
    EXPECT_EQ(branches.at(inner), options) << command;
  }
}

TEST(Completion, TheManualPageHasEveryCommandAndOptionAndNoOther) {
  const Options known = program();
  const Options told = manual();
  for (const auto& [command, options] : known) {
    if (command.empty()) continue;
    ASSERT_TRUE(told.contains(command)) << command << " is not in man/wherry.1";
    Words own = options;
    for (const char* common : {"-h", "--help", "-o", "--output"}) own.erase(common);
    EXPECT_EQ(told.at(command), own) << command;
  }
  for (const auto& [command, options] : told) {
    EXPECT_TRUE(known.contains(command) || is_to_come(command)) << command;
  }
}

}  // namespace
}  // namespace wherry::test

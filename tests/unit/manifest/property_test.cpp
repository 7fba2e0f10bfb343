// What holds for all documents: the samples, the fuzz corpus, and thousands of mutations of them.

#include <filesystem>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/fuzz/manifest_invariants.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

std::vector<std::pair<std::string, std::string>> files_in(const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(WHERRY_SOURCE_DIR) + "/" + folder)) {
    if (!entry.is_regular_file()) continue;
    const Result<std::string> text = read_file(entry.path());
    EXPECT_TRUE(text) << entry.path();
    files.emplace_back(entry.path().filename(), text.value_or(""));
  }
  std::sort(files.begin(), files.end());
  EXPECT_FALSE(files.empty()) << folder;
  return files;
}

TEST(Samples, AreGoodAndGiveNoWarning) {
  for (const auto& [name, text] : files_in("configs/samples")) {
    const bool envelope = text.find("kind: DesiredState") != std::string::npos;
    const Document document =
        envelope ? parse_desired_state(text) : parse_local_manifest(text, name);
    EXPECT_TRUE(document.valid()) << name << "\n" << print(document.errors);
    EXPECT_TRUE(document.warnings.empty()) << name << "\n" << print(document.warnings);
    DeviceFacts any;
    any.any = true;
    const Merged merged = merge({{"s", &document}}, any);
    EXPECT_TRUE(merged.errors.empty()) << name << "\n" << print(merged.errors);
    EXPECT_FALSE(merged.workloads.empty()) << name;
  }
}

TEST(Corpus, KeepsTheInvariants) {
  for (const char* folder : {"configs/samples", "tests/fuzz/manifest_corpus"}) {
    for (const auto& [name, text] : files_in(folder)) EXPECT_EQ(broken_invariant(text), "") << name;
  }
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    const size_t rounds = 1 + below(3);
    for (size_t i = 0; i < rounds; ++i) text = once(std::move(text));
    return text;
  }

 private:
  size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string once(std::string text) {
    static constexpr std::string_view kTokens[] = {"[",         "]",
                                                   "{",         "}",
                                                   ": ",        "- ",
                                                   "\n",        "\"",
                                                   "'",         "&a ",
                                                   "*a",        "<<: *a",
                                                   "!!str ",    "|",
                                                   ">",         "#",
                                                   "---\n",     "null",
                                                   "yes",       "0",
                                                   "-1",        "99999999999999999999",
                                                   "1e9",       "\t",
                                                   "\xc3\xa4",  "\xff",
                                                   "~",         "$(A)",
                                                   "$$",        "hostNetwork: true",
                                                   "kind: Pod", "items:",
                                                   "name: ",    "\r\n",
                                                   "%",         "@",
                                                   "\\",        "\x01"};
    const size_t at = below(text.size());
    const size_t length = below(std::min<size_t>(text.size() - at, 40) + 1);
    switch (below(6)) {
      case 0:
        return text.erase(at, length);
      case 1:
        return text.insert(at, text.substr(below(text.size()), length));
      case 2:
        return text.insert(at, kTokens[below(std::size(kTokens))]);
      case 3:
        return text.replace(at, length, kTokens[below(std::size(kTokens))]);
      case 4:
        if (!text.empty()) text[at] = static_cast<char>(below(256));
        return text;
      default:
        return drop_or_indent_line(std::move(text), at);
    }
  }

  std::string drop_or_indent_line(std::string text, size_t at) {
    const size_t start = text.rfind('\n', at);
    if (start == std::string::npos) return text;
    if (below(2) == 0) return text.insert(start + 1, "  ");
    const size_t end = text.find('\n', start + 1);
    return text.erase(start, end == std::string::npos ? end : end - start);
  }

  std::mt19937 random_;
};

TEST(Mutations, KeepTheInvariants) {
  std::vector<std::pair<std::string, std::string>> seeds = files_in("configs/samples");
  for (auto& seed : files_in("tests/fuzz/manifest_corpus")) seeds.push_back(std::move(seed));
  Mutator mutator(20261123);
  size_t good = 0;
  constexpr size_t kRounds = 3000;
  for (size_t i = 0; i < kRounds; ++i) {
    const auto& [name, text] = seeds[i % seeds.size()];
    const std::string mutant = mutator.mutate(text);
    const std::string broken = broken_invariant(mutant);
    ASSERT_EQ(broken, "") << name << ", round " << i << "\n" << mutant;
    good += parse_desired_state(mutant).valid() ? 1 : 0;
  }
  EXPECT_GT(good, kRounds / 100) << "the mutations are too wild to test what good documents become";
}

// A line taken out of a good document is noticed or harmless, never a crash, and errors point at
// lines that exist.
TEST(Mutations, EveryLineAndEveryPrefixOfASample) {
  for (const auto& [name, text] : files_in("configs/samples")) {
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      EXPECT_EQ(broken_invariant(text.substr(0, at)), "") << name << " cut at " << at;
      const size_t end = text.find('\n', at);
      if (end == std::string::npos) break;
      std::string without = text;
      without.erase(at, end + 1 - at);
      EXPECT_EQ(broken_invariant(without), "") << name << " without the line at " << at;
    }
  }
}

}  // namespace
}  // namespace wherry

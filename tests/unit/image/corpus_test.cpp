// What holds for all input: the fuzz corpora, every beginning of theirs, and mutations of them.

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/fuzz/image_invariants.h"

namespace wherry {
namespace {

using Check = std::string (*)(std::string_view);

struct Target {
  const char* name;
  Check check;
};

std::string target_name(const ::testing::TestParamInfo<Target>& info) { return info.param.name; }

class Corpus : public ::testing::TestWithParam<Target> {
 protected:
  // By file name.
  static std::map<std::string, std::string> seeds() {
    std::map<std::string, std::string> files;
    const std::string folder =
        std::string(WHERRY_SOURCE_DIR) + "/tests/fuzz/" + GetParam().name + "_corpus";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const Result<std::string> text = read_file(entry.path());
      EXPECT_TRUE(text) << entry.path();
      files[entry.path().filename()] = text.value_or("");
    }
    EXPECT_FALSE(files.empty()) << folder;
    return files;
  }
};

TEST_P(Corpus, KeepsTheInvariants) {
  for (const auto& [name, text] : seeds()) EXPECT_EQ(GetParam().check(text), "") << name;
}

TEST_P(Corpus, KeepsThemWhenCutOff) {
  constexpr size_t kMostCuts = 40;
  for (const auto& [name, text] : seeds()) {
    const size_t step = std::max<size_t>(1, text.size() / kMostCuts);
    for (size_t end = 0; end < text.size(); end += step) {
      ASSERT_EQ(GetParam().check(text.substr(0, end)), "") << name << " cut at " << end;
    }
  }
}

TEST_P(Corpus, KeepsThemWhenChanged) {
  constexpr int kRounds = 30;
  std::mt19937 random(20261124);
  for (const auto& [name, text] : seeds()) {
    if (text.empty()) continue;
    for (int round = 0; round < kRounds; ++round) {
      std::string changed = text;
      for (int i = 0; i < 1 + round % 4; ++i) {
        if (changed.empty()) break;
        const size_t at = random() % changed.size();
        const size_t from = random() % text.size();
        switch (random() % 4) {
          case 0:
            changed[at] = static_cast<char>(random());
            break;
          case 1:
            changed[at] = static_cast<char>(changed[at] ^ 1 << random() % 8);
            break;
          case 2:
            changed.insert(at, text.substr(from, random() % 40));
            break;
          default:
            changed.replace(at, random() % 20, text.substr(from, random() % 20));
        }
      }
      ASSERT_EQ(GetParam().check(changed), "") << name << ", round " << round << "\n" << changed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Images, Corpus,
                         ::testing::Values(Target{"reference", broken_reference},
                                           Target{"image_document", broken_image_document},
                                           Target{"hosts_toml", broken_hosts_toml},
                                           Target{"access", broken_access},
                                           Target{"url", broken_url},
                                           Target{"archive", broken_archive},
                                           Target{"layout", broken_layout}),
                         target_name);

TEST(Invariants, NoticeWhatIsBroken) {
  EXPECT_THAT(broken_error(Error(Code::Internal, "x"), {Code::NotFound}),
              ::testing::HasSubstr("another kind"));
  for (const std::string& message :
       {std::string(), std::string("a\nb"), std::string("\xff"), std::string(3000, 'x')}) {
    EXPECT_NE(broken_error(Error(Code::NotFound, message), {Code::NotFound}), "") << message;
  }
}

}  // namespace
}  // namespace wherry

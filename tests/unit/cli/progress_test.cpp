// The line that a pull draws.
#include <algorithm>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "agent/cli/progress_bar.h"
#include "agent/cli/text_width.h"

namespace wherry::cli {
namespace {

constexpr int64_t kMiB = 1 << 20;

TEST(Progress, ALineHasItAll) {
  EXPECT_EQ(render_progress({45 * kMiB, 100 * kMiB, kMiB}, 79),
            " 45 % [=========>          ]   45.0 MiB of 100.0 MiB     1.0 MiB/s  56s left");
  EXPECT_EQ(render_progress({45 * kMiB, 100 * kMiB, 0}, 79),
            " 45 % [=========>          ]   45.0 MiB of 100.0 MiB  waiting for data");
  EXPECT_EQ(render_progress({100 * kMiB, 100 * kMiB, kMiB}, 79),
            "100 % [====================]  100.0 MiB of 100.0 MiB  unpacking");
  EXPECT_EQ(render_progress({0, 0, 0}, 79), "waiting");
  EXPECT_EQ(render_progress({kMiB, 0, 0}, 79), "1.0 MiB so far");
}

TEST(Progress, FitsEveryWidth) {
  for (size_t width = 1; width < 200; ++width) {
    for (const Progress& progress :
         {Progress{1023 * kMiB, 1024 * kMiB, 1}, Progress{1, int64_t{1} << 40, 1023 * kMiB},
          Progress{7, 3, 1}, Progress{-1, 10, -5}, Progress{}}) {
      EXPECT_LE(text_width(render_progress(progress, width)), width);
    }
  }
}

TEST(Progress, IsRedrawnOnATerminalAndWrittenNowAndThenElsewhere) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  FakeClock clock;
  {
    const Io terminal{out, stderr, 80, clock};
    ProgressBar bar(terminal);
    for (int i = 0; i < 3; ++i) bar.show({i, 10, 1});
  }
  const std::string drawn = (std::fflush(out), std::string(text, size));
  EXPECT_EQ(drawn.find('\n'), std::string::npos);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), '\r'), 4);
  EXPECT_EQ(drawn.substr(drawn.size() - 4), "\r\x1b[K") << "nothing of it stays";
  std::rewind(out);
  {
    const Io dumb{out, stderr, 60, clock, false};
    ProgressBar bar(dumb);
    for (int i = 0; i < 3; ++i) bar.show({i, 10, 1});
  }
  const std::string plain = (std::fflush(out), std::string(text, size));
  EXPECT_EQ(plain.find_first_of("\r\x1b"), std::string::npos);
  EXPECT_EQ(plain.find('\n'), plain.size() - 1);
  EXPECT_LE(plain.size(), 61u);
  std::rewind(out);
  clock.advance(std::chrono::seconds(1));
  {
    const Io file{out, stderr, 0, clock};
    ProgressBar bar(file);
    for (int i = 0; i < 100; ++i) {
      clock.advance(std::chrono::seconds(1));
      bar.show({i, 100, 1});
    }
  }
  std::fflush(out);
  const std::string written(text, size);
  std::fclose(out);
  std::free(text);
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 10) << written;
}

}  // namespace
}  // namespace wherry::cli

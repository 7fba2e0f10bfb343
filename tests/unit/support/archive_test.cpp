// The archive is one that others can unpack, and half of one is no archive.

#include <gtest/gtest.h>

#include "agent/support/archive_writer.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::support {
namespace {

// Nothing that could be written shorter.
std::string noise() {
  std::string text;
  for (uint32_t i = 0, x = 1; i < (1u << 20); ++i) {
    x = x * 1'103'515'245u + 12'345u;
    text += static_cast<char>(x >> 16u);
  }
  return text;
}

TEST(ArchiveWriter, TarUnpacksIt) {
  test::TempDir dir;
  std::string bytes;
  ArchiveWriter archive([&](std::string_view part) {
    bytes += part;
    return true;
  });
  const std::string large(3u << 20, 'x');
  ASSERT_TRUE(archive.add("top/a.txt", "hello\n", WallTime(std::chrono::seconds(1'790'000'000))));
  ASSERT_TRUE(archive.add("top/sub/large", large, WallTime{}));
  ASSERT_TRUE(archive.add("top/empty", "", WallTime{}));
  ASSERT_TRUE(archive.finish());
  test::write_text(dir / "a.tar.gz", bytes);
  test::run_ok({"tar", "-xzf", dir / "a.tar.gz", "-C", dir.path()});
  EXPECT_EQ(test::read_text(dir / "top/a.txt"), "hello\n");
  EXPECT_EQ(test::read_text(dir / "top/sub/large"), large);
  EXPECT_EQ(test::read_text(dir / "top/empty"), "");
  EXPECT_LT(bytes.size(), 100'000u);
}

TEST(ArchiveWriter, EndsWhereNobodyTakesItAndHalfOfOneDoesNotUnpack) {
  test::TempDir dir;
  std::string bytes;
  {
    ArchiveWriter archive([&](std::string_view part) {
      bytes += part;
      return true;
    });
    ASSERT_TRUE(archive.add("a", noise(), WallTime{}));
  }
  ASSERT_GT(bytes.size(), 0u);
  test::write_text(dir / "half.tar.gz", bytes);
  EXPECT_NE(test::run_command({"tar", "-tzf", dir / "half.tar.gz"}).exit_code, 0);

  ArchiveWriter deaf([](std::string_view) { return false; });
  Status status;
  for (int i = 0; i < 3 && status; ++i) status = deaf.add(std::to_string(i), noise(), WallTime{});
  if (status) status = deaf.finish();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::Cancelled);
}

}  // namespace
}  // namespace wherry::support

// What happens in a directory, and what of it counts.

#include "runtime/log/directory_watch.h"

#include <fcntl.h>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

using std::chrono::milliseconds;
using Event = DirectoryWatch::Event;

class WholeFiles : public testing::Test {
 protected:
  WholeFiles() { watch_ = *DirectoryWatch::make(dir_, {}, DirectoryWatch::For::WholeFiles); }
  Event seen() { return watch_->wait(test::kPatience); }
  Event nothing() { return watch_->wait(milliseconds(50)); }

  const test::TempDir parent_, tree_;
  const std::string dir_ = parent_.path();
  std::unique_ptr<DirectoryWatch> watch_;
};

TEST_F(WholeFiles, AFileCountsWhenItIsWhole) {
  {
    const Fd file(open((dir_ + "/a.tar").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid());
    EXPECT_EQ(nothing(), Event::Timeout) << "it is empty so far";
  }
  EXPECT_EQ(seen(), Event::Written);
}

TEST_F(WholeFiles, LinksAndDirectoriesCountAtOnce) {
  test::write_text(tree_ / "a.tar", "x");
  std::filesystem::create_symlink(tree_ / "a.tar", dir_ + "/link.tar");
  EXPECT_EQ(seen(), Event::NamesChanged);
  std::filesystem::create_hard_link(tree_ / "a.tar", dir_ + "/hard.tar");
  EXPECT_EQ(seen(), Event::NamesChanged);
  std::filesystem::create_directory(dir_ + "/layout");
  EXPECT_EQ(seen(), Event::NamesChanged);
  std::filesystem::rename(tree_ / "a.tar", dir_ + "/moved.tar");
  EXPECT_EQ(seen(), Event::NamesChanged);
  EXPECT_EQ(nothing(), Event::Timeout);
}

}  // namespace
}  // namespace wherry::runtime

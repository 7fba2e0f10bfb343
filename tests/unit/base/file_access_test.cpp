#include "base/file_access.h"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/files.h"

namespace wherry {
namespace {

class FileAccess : public testing::Test {
 protected:
  FileAccess() {
    std::string made = std::filesystem::temp_directory_path() / "wherry-XXXXXX";
    EXPECT_NE(mkdtemp(made.data()), nullptr);
    dir_ = made;
    file_ = dir_ + "/file";
    std::ofstream(file_) << "x";
  }
  ~FileAccess() override { static_cast<void>(remove_tree(dir_)); }

  // What the faults of the file come to with this mode.
  std::string commands(mode_t mode) const {
    EXPECT_EQ(chmod(file_.c_str(), mode), 0);
    std::string all;
    for (const auto& fault :
         {private_file_fault(file_), own_file_fault(file_), rule_file_fault(file_)}) {
      all += fault ? fault->command.substr(0, fault->command.find(' ', 6)) + "; " : "-; ";
    }
    return all;
  }

  std::string dir_, file_;
};

TEST_F(FileAccess, GoesByTheMode) {
  EXPECT_EQ(commands(0600), "-; -; -; ");
  EXPECT_EQ(commands(0640), "-; chmod 600; -; ");
  EXPECT_EQ(commands(0644), "chmod 600; chmod 600; -; ");
  EXPECT_EQ(commands(0660), "chmod 600; chmod 600; chmod go-w; ");
  EXPECT_EQ(commands(0602), "chmod 600; chmod 600; chmod go-w; ");
  for (const mode_t mode : {0720, 0702, 01777}) {
    ASSERT_EQ(chmod(dir_.c_str(), mode), 0);
    ASSERT_TRUE(rule_directory_fault(dir_));
    EXPECT_EQ(rule_directory_fault(dir_)->text(),
              dir_ + " may be changed by other users: chmod go-w " + dir_);
  }
  ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
  EXPECT_FALSE(rule_directory_fault(dir_));
}

TEST_F(FileAccess, NoModeMakesAFileOfADirectory) {
  ASSERT_EQ(chmod(dir_.c_str(), 0777), 0);
  for (const auto& fault :
       {private_file_fault(dir_), own_file_fault(dir_), rule_file_fault(dir_)}) {
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->what, "is a directory; a file is needed");
    EXPECT_EQ(fault->text().find("chmod"), std::string::npos) << fault->text();
    EXPECT_FALSE(fault->exposed);
  }
}

TEST_F(FileAccess, TheOwnerIsRootOrThePresentUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_EQ(chown(file_.c_str(), 65534, 65534), 0);
  for (const auto& fault :
       {private_file_fault(file_), own_file_fault(file_), rule_file_fault(file_)}) {
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->what, "belongs to another user, who could change it");
    EXPECT_EQ(fault->command, "chown root " + file_);
  }
}

TEST_F(FileAccess, OfWhatIsNotThereNothingIsSaid) {
  EXPECT_FALSE(private_file_fault(dir_ + "/none"));
  EXPECT_FALSE(rule_directory_fault(dir_ + "/none"));
}

TEST(FileAccessPaths, HaveADirectory) {
  EXPECT_EQ(directory_of("/a/b"), "/a");
  EXPECT_EQ(directory_of("/a"), "/");
  EXPECT_EQ(directory_of("a"), ".");
}

}  // namespace
}  // namespace wherry

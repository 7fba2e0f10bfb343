#pragma once
// A directory with configuration files, removed at the end of the test.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "agent/config/config.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry {

class ConfigFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(directory_ + "/wherry.d"));
    write("machine-id", "0123456789abcdef0123456789abcdef\n");
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    const Status written = write_file_atomic(path(name), text);
    ASSERT_TRUE(written) << written.error().full();
  }
  ConfigResult load(const std::vector<std::string>& sets = {}) const {
    return load_config(path("wherry.yaml"), sets, false, path("machine-id"));
  }
  ConfigResult load_text(const std::string& text, const std::vector<std::string>& sets = {}) const {
    write("wherry.yaml", text);
    return load(sets);
  }
  // Errors as they are printed, the directory left out.
  std::vector<std::string> errors(const ConfigResult& result) const {
    std::vector<std::string> lines;
    for (const ConfigIssue& issue : result.errors) {
      std::string line = to_string(issue);
      if (line.starts_with(directory_ + "/")) line.erase(0, directory_.size() + 1);
      lines.push_back(line);
    }
    return lines;
  }
  // What loading `text` complains about; expects exactly one error.
  std::string error_of(const std::string& text, const std::vector<std::string>& sets = {}) const {
    const std::vector<std::string> lines = errors(load_text(text, sets));
    EXPECT_EQ(lines.size(), 1u) << text << "\n" << join(lines, "\n");
    return lines.empty() ? "" : lines.front();
  }
  std::string set_error(const std::string& set) const { return error_of("{}", {set}); }

 private:
  const std::string directory_ = ::testing::TempDir() + "config-" + random_hex(8);
};

}  // namespace wherry

#pragma once
// A directory that goes when the test does, and a free port.

#include <string>

namespace wherry::test {

// Short path (unix sockets below it must stay under 108 characters). Removed by the destructor
// with all it holds, other file systems excepted; kept when WHERRY_TEST_KEEP is set.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A TCP port of 127.0.0.1 that nobody listens on at this moment.
int free_port();

void write_text(const std::string& path, const std::string& text, unsigned mode = 0644);
// Empty when the file is not there.
std::string read_text(const std::string& path);
// For failure messages: the last `lines` lines.
std::string tail(const std::string& text, int lines = 30);

}  // namespace wherry::test

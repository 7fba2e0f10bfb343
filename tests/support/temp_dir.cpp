#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>

#include "base/files.h"
#include "tests/support/net.h"

namespace wherry::test {

TempDir::TempDir() : path_("/tmp/wherry-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp " + path_);
}

TempDir::~TempDir() {
  if (std::getenv("WHERRY_TEST_KEEP") != nullptr) return;
  [[maybe_unused]] const Status removed = remove_tree(path_);
}

int free_port() {
  uint16_t port = 0;
  listen_on_loopback(port);
  return port;
}

void write_text(const std::string& path, const std::string& text, unsigned mode) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || chmod(path.c_str(), mode) != 0) throw std::runtime_error("write " + path);
}

std::string read_text(const std::string& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

std::string tail(const std::string& text, int lines) {
  size_t at = text.size();
  while (at > 0 && lines >= 0) {
    if (text[--at] == '\n') --lines;
  }
  return at == 0 ? text : text.substr(at + 1);
}

}  // namespace wherry::test

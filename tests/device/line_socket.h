#pragma once
// A unix socket on which both sides speak in lines.

#include <optional>
#include <string>

#include "base/fd.h"
#include "tests/support/wait.h"

namespace wherry::test {

class LineSocket {
 public:
  // Waits until somebody listens at `path`; throws std::runtime_error at the deadline.
  explicit LineSocket(const std::string& path, Millis timeout = kPatience);

  // Throws std::runtime_error where the other side is gone.
  void send(const std::string& line);
  // The next line, without its end. None at the deadline; throws where the other side is gone.
  std::optional<std::string> receive(Millis timeout);

 private:
  Fd fd_;
  std::string pending_;
};

}  // namespace wherry::test

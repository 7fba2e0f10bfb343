#pragma once
// Which messages of the fleet are believed: docs/signing.md.

#include <string>

#include "base/result.h"

namespace wherry {

struct SignatureOptions {
  bool required = false;
  std::string keys_dir;  // <kid>.pem, public keys
};

struct Opened {
  std::string content;  // what is to be read
  std::string kid;      // of the key that signed it; "" for what is not signed
};

// Stateless but for the directory, which is looked at each time: keys come and go without a
// restart. Thread-safe.
class Signatures {
 public:
  explicit Signatures(SignatureOptions options) : options_(std::move(options)) {}

  bool required() const { return options_.required; }
  // A message as it came. What is signed is checked even where it need not be. PermissionDenied or
  // InvalidArgument says why it is not believed, and nothing of what it holds. `most`: bytes of the
  // content; more is left to the reader of the content, who says so with its own words.
  Result<Opened> open(std::string message, size_t most) const;

 private:
  const SignatureOptions options_;
};

}  // namespace wherry

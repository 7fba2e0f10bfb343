#pragma once
// An image as a document names it, comparable with the records of the store.

#include <string>

#include "runtime/image/reference.h"

namespace wherry {

class WantedImage {
 public:
  explicit WantedImage(const std::string& text) : name_(text) {
    const auto reference = runtime::parse_reference(text);
    if (!reference) return;
    name_ = reference->name();
    digest_ = reference->digest;
  }
  const std::string& name() const { return name_; }      // in its full form
  const std::string& digest() const { return digest_; }  // "" where none is written

 private:
  std::string name_, digest_;
};

}  // namespace wherry

#pragma once
// A tar.gz that is made while it is sent: at most one file of it is in memory.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

struct archive;

namespace wherry::support {

// False: nobody takes it any more.
using ByteSink = std::function<bool(std::string_view bytes)>;

class ArchiveWriter {
 public:
  // `sink` is called until finish() or the destructor.
  explicit ArchiveWriter(ByteSink sink);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // Cancelled where nobody takes it.
  Status add(const std::string& name, std::string_view content, WallTime modified);
  Status finish();

 private:
  struct Free {
    void operator()(archive* writer) const;
  };
  struct Taker {
    ByteSink sink;
    bool gone = false;
  };
  Status trouble() const;

  Taker taker_;
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace wherry::support

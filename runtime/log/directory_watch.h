#pragma once
// Waits until something happens in a directory (inotify), or the caller no longer wants to know.

#include <memory>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

class DirectoryWatch {
 public:
  enum class Event { Written, NamesChanged, Gone, Timeout, Cancelled };

  enum class For {
    Lines,      // every write counts
    WholeFiles  // only what was closed after writing, moved or linked here; and new directories
  };

  // Events from now on are seen by wait(). NotFound where the directory does not exist.
  static Result<std::unique_ptr<DirectoryWatch>> make(const std::string& directory,
                                                      const CancelToken& cancel,
                                                      For what = For::Lines);
  ~DirectoryWatch();
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;

  // NamesChanged (a file appeared or was renamed) covers Written; Gone: the directory or a file in
  // it was deleted. Several happenings may come as one. Timeout: nothing for so long.
  Event wait(std::optional<Duration> timeout = std::nullopt);

 private:
  DirectoryWatch(std::string whole_in, int inotify_fd, int cancel_fd, const CancelToken& cancel);
  std::optional<Event> take_events();
  bool is_begun(const std::string& name, bool directory) const;

  const std::string whole_in_;  // the directory, where only whole files count
  const int inotify_fd_;
  const int cancel_fd_;
  std::shared_ptr<void> on_cancel_;
};

}  // namespace wherry::runtime

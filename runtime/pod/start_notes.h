#pragma once
// One empty file a container that was about to be started, in the run directory: gone after a
// reboot, costs no sync, and its time is when the container started.

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

class StartNotes {
 public:
  explicit StartNotes(std::string directory) : directory_(std::move(directory)) {}
  Result<WallTime> put(const std::string& id);  // the time it is noted with
  std::optional<WallTime> get(const std::string& id) const;
  void erase(const std::string& id);
  std::vector<std::string> list() const;

 private:
  std::string directory_;
};

}  // namespace wherry::runtime

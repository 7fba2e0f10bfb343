#pragma once
// Where the MQTT library comes in when it does not speak to the network itself: it can connect to
// nothing but an address, so that is a unix socket of a moment.

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace wherry {

class LocalDoor {
 public:
  // Below `directory`, with a name of its own; gone with this object.
  static Result<LocalDoor> open(const std::string& directory);
  ~LocalDoor();
  LocalDoor(LocalDoor&& other) = default;
  LocalDoor& operator=(LocalDoor&&) = delete;

  const std::string& path() const { return path_; }
  // Whoever has connected, which must be this very process. Does not wait.
  Result<Fd> accept() const;

 private:
  LocalDoor(Fd directory, Fd listener, std::string name);

  Fd directory_, listener_;
  std::string name_, path_;
};

}  // namespace wherry

#pragma once
// One value in flight, one waiting, and only the newest of those that would wait.

#include <optional>
#include <string>

namespace wherry {

// Not thread-safe.
class LatestSlot {
 public:
  void put(std::string value) {
    latest_ = std::move(value);
    unsent_ = true;
  }
  // The value to send now, which is in flight from here on; nothing while one is in flight.
  std::optional<std::string> take() {
    if (in_flight_ || !unsent_) return std::nullopt;
    in_flight_ = true;
    unsent_ = false;
    return latest_;
  }
  void acknowledged() { in_flight_ = false; }
  void refused() { connection_lost(); }
  // What was in flight may not have arrived: it is sent again, unless a newer one waits.
  void connection_lost() {
    unsent_ = unsent_ || in_flight_;
    in_flight_ = false;
  }
  // The other side forgot it (a new session, another broker).
  void forgotten() { unsent_ = unsent_ || latest_.has_value(); }
  bool idle() const { return !in_flight_ && !unsent_; }

 private:
  std::optional<std::string> latest_;
  bool unsent_ = false;
  bool in_flight_ = false;
};

}  // namespace wherry

#pragma once
// containerd's events, on a thread of its own that subscribes again for as long as it lives.

#include <functional>
#include <memory>
#include <string>

#include "runtime/containerd/client.h"

namespace wherry::runtime {

struct DaemonEvent {
  enum class Kind { Connected, Disconnected, TaskExit, TaskOom, ImagesChanged };
  Kind kind;
  std::string container_id;  // TaskExit, TaskOom
  uint32_t exit_code = 0;    // TaskExit
  std::string detail;        // Disconnected: why
};

// Events of the client's namespace. Connected is said only when the subscription is proven to be
// live: whatever happens after it is heard, so a look at the state then misses nothing.
class EventStream {
 public:
  using Sink = std::function<void(const DaemonEvent&)>;
  // `sink` is called from the stream's thread and must not block. The first event is Connected or
  // Disconnected; the two alternate.
  EventStream(Client& client, Sink sink);
  // Ends the thread; after this no event comes.
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace wherry::runtime

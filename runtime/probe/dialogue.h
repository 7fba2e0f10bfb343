#pragma once
// What is said to a server to find out how it is, and what its answer means. Bytes in and out only.

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

class Dialogue {
 public:
  virtual ~Dialogue() = default;
  // To be sent first; empty: to be connected is enough.
  virtual std::string opening() = 0;
  // Takes what arrived; what is to be sent in return is appended to `reply`. The verdict, once
  // there is one. Answers may be hostile: what is kept of them is bounded.
  virtual std::optional<Status> take(std::string_view bytes, std::string& reply) = 0;
  // The server hung up.
  virtual Status closed() = 0;
};

// `any_status`: of a hook, to which every answer is good. `authority`: host and port.
std::unique_ptr<Dialogue> http_dialogue(const Handler& handler, const std::string& authority,
                                        bool any_status);
// grpc.health.v1.Health/Check over HTTP/2 without TLS (gRPC over HTTP/2; RFC 9113, RFC 7541).
std::unique_ptr<Dialogue> grpc_dialogue(const Handler& handler, const std::string& authority);

}  // namespace wherry::runtime

#pragma once
// What a person may order about one workload, against what its document says.

#include <functional>
#include <string>

#include "base/result.h"

namespace wherry {

enum class OrderKind {
  Restart,  // its containers are stopped as at any end, the Pod is made anew
  Stop,     // it is stopped and stays so until it is started or restarted
  Start,    // ends a Stop; else nothing
};

inline const char* to_string(OrderKind kind) {
  if (kind == OrderKind::Restart) return "restart";
  return kind == OrderKind::Stop ? "stop" : "start";
}

struct Order {
  OrderKind kind = OrderKind::Start;
  std::string workload;
  std::string given_by;  // for people: "over MQTT (groups/pumps, request 7)"
};

// Why it is down, in WorkloadView::reason.
inline constexpr const char* kStoppedReason = "StoppedByOperator";
inline constexpr const char* kRestartingReason = "RestartedByOperator";

}  // namespace wherry

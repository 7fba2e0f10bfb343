#pragma once
// Which Pods there is room for, by what they ask for, and who has to go for whom. Pure.
// See docs/decisions/0015-resources.md.

#include <map>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"

namespace wherry {

// About one Pod that wants room: to start, for its next version, or to grow.
struct Room {
  bool now = false;       // it may have it
  bool promised = false;  // it may, once others have stopped; nobody of no higher rank gets it
  std::string reason, message;  // why it has to wait
};

struct Rooms {
  std::map<std::string, Room> wanted;            // who is missing here has all it wants
  std::map<std::string, std::string> stops_for;  // Pod -> that of higher priority it has to go for

  const Room* find(const std::string& name) const {
    const auto found = wanted.find(name);
    return found == wanted.end() ? nullptr : &found->second;
  }
};

// Of the running containers of a Pod: those whose cpu and memory are not what `spec` says.
std::vector<const runtime::ContainerStatus*> resized_containers(const runtime::PodSpec& spec,
                                                                const runtime::PodStatus& pod);

// What Pods hold or want together when all that is wanted is done, beside what there is for them.
struct Demand {
  Amounts limit, wanted;
};
Demand find_demand(const PlanInput& input);

// Higher priority first, then those that come back to their place, those that have one and want
// another, and newcomers, each by name. A Pod that runs goes
// only for one of higher priority, and only where that one then fits; the lowest go first.
Rooms find_rooms(const PlanInput& input);

}  // namespace wherry

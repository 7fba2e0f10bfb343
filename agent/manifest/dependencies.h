#pragma once
// The graph of who depends on whom. Private to this room.

#include <map>
#include <set>
#include <string>
#include <vector>

namespace wherry::manifest {

// Every workload with those it depends on; all of these are keys as well.
using DependencyGraph = std::map<std::string, std::vector<std::string>>;

// Cycles, each named once from its first name on; without recursion, in time linear in the graph.
std::vector<std::vector<std::string>> find_cycles(const DependencyGraph& graph);
// Adds all that depend, directly or not, on one that is in `names`.
void spread_to_dependents(const DependencyGraph& graph, std::set<std::string>& names);

}  // namespace wherry::manifest

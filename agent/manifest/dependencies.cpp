#include "agent/manifest/dependencies.h"

#include <algorithm>

namespace wherry::manifest {
namespace {

DependencyGraph reversed(const DependencyGraph& graph) {
  DependencyGraph dependents;
  for (const auto& [name, wanted] : graph) {
    for (const std::string& other : wanted) dependents[other].push_back(name);
  }
  return dependents;
}

// Those that are in a cycle or depend on one.
std::set<std::string> never_ready(const DependencyGraph& graph) {
  const DependencyGraph dependents = reversed(graph);
  std::map<std::string, size_t> waiting;
  std::vector<std::string> ready;
  std::set<std::string> left;
  for (const auto& [name, wanted] : graph) {
    waiting[name] = wanted.size();
    left.insert(name);
    if (wanted.empty()) ready.push_back(name);
  }
  while (!ready.empty()) {
    const std::string name = std::move(ready.back());
    ready.pop_back();
    left.erase(name);
    const auto next = dependents.find(name);
    if (next == dependents.end()) continue;
    for (const std::string& other : next->second) {
      if (--waiting[other] == 0) ready.push_back(other);
    }
  }
  return left;
}

}  // namespace

std::vector<std::vector<std::string>> find_cycles(const DependencyGraph& graph) {
  const std::set<std::string> left = never_ready(graph);
  std::vector<std::vector<std::string>> cycles;
  std::map<std::string, size_t> seen;  // name -> the walk that came by
  size_t walk = 0;
  for (const std::string& start : left) {
    ++walk;
    std::vector<std::string> trail;
    std::string at = start;
    // Everything left depends on something left, so a walk ends only where it has been.
    while (seen.emplace(at, walk).second) {
      trail.push_back(at);
      const std::vector<std::string>& wanted = graph.at(at);
      at = *std::find_if(wanted.begin(), wanted.end(),
                         [&](const std::string& name) { return left.count(name) != 0; });
    }
    if (seen[at] != walk) continue;
    std::vector<std::string> cycle(std::find(trail.begin(), trail.end(), at), trail.end());
    std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
    cycles.push_back(std::move(cycle));
  }
  return cycles;
}

void spread_to_dependents(const DependencyGraph& graph, std::set<std::string>& names) {
  const DependencyGraph dependents = reversed(graph);
  std::vector<std::string> todo(names.begin(), names.end());
  while (!todo.empty()) {
    const auto next = dependents.find(todo.back());
    todo.pop_back();
    if (next == dependents.end()) continue;
    for (const std::string& name : next->second) {
      if (names.insert(name).second) todo.push_back(name);
    }
  }
}

}  // namespace wherry::manifest

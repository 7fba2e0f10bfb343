#pragma once
// Applies one source after another to a Config, remembering where each value came from.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/keys.h"

namespace wherry::config {

class Reader {
 public:
  Reader(Config& config, std::vector<ConfigIssue>& errors) : config_(config), errors_(errors) {}

  void read_file(const std::string& path);
  void read_set(const std::string& set);  // key.path=value
  // After all sources: what contradicts itself, blamed on the place that set it.
  void check_whole();

 private:
  struct Place {
    std::string file;
    int line = 0;
  };
  class Walk;

  void complain(const Place& place, std::string message);

  Config& config_;
  std::vector<ConfigIssue>& errors_;
  std::map<std::string_view, Place> places_;  // by the path of the key
};

}  // namespace wherry::config

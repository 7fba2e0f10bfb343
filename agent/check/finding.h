#pragma once
// What a look at one part of the device came to.

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace wherry::check {

enum class Level { Ok, Warn, Fail };
std::string_view to_string(Level level);  // ok, warn, fail

struct Finding {
  std::string name;   // of the check: a word that stays, as "containerd"
  std::string about;  // which of several: a file, a broker; or empty
  Level level = Level::Ok;
  std::string seen;  // in a sentence
  std::string mend;  // what to do; empty where it is ok
};
using Findings = std::vector<Finding>;

Finding ok(std::string name, std::string about, std::string seen);
Finding warn(std::string name, std::string about, std::string seen, std::string mend);
Finding failed(std::string name, std::string about, std::string seen, std::string mend);

Level worst(const Findings& findings);
// docs/rest.md, GET /v1/check.
std::string to_json(const Findings& findings, WallTime at);

}  // namespace wherry::check

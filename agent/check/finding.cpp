#include "agent/check/finding.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace wherry::check {

std::string_view to_string(Level level) {
  switch (level) {
    case Level::Ok:
      return "ok";
    case Level::Warn:
      return "warn";
    case Level::Fail:
      return "fail";
  }
  return "fail";
}

Finding ok(std::string name, std::string about, std::string seen) {
  return {std::move(name), std::move(about), Level::Ok, std::move(seen), {}};
}

Finding warn(std::string name, std::string about, std::string seen, std::string mend) {
  return {std::move(name), std::move(about), Level::Warn, std::move(seen), std::move(mend)};
}

Finding failed(std::string name, std::string about, std::string seen, std::string mend) {
  return {std::move(name), std::move(about), Level::Fail, std::move(seen), std::move(mend)};
}

Level worst(const Findings& findings) {
  Level level = Level::Ok;
  for (const Finding& each : findings) level = std::max(level, each.level);
  return level;
}

std::string to_json(const Findings& findings, WallTime at) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& each : findings) {
    list.push_back({{"name", each.name},
                    {"about", each.about},
                    {"result", to_string(each.level)},
                    {"seen", each.seen},
                    {"mend", each.mend}});
  }
  const nlohmann::ordered_json report{{"at", to_rfc3339(at)},
                                      {"result", to_string(worst(findings))},
                                      {"findings", std::move(list)}};
  return report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace wherry::check

#pragma once
// Answers that come as one JSON value a line, for as long as they go on.

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json_fwd.hpp>

namespace wherry::cli {

// Puts the parts of an answer together. `sink` gets each whole line without its end, and what it
// says; that is a discarded value where the line is no JSON.
class JsonLines {
 public:
  using Sink = std::function<void(const nlohmann::ordered_json& json, const std::string& line)>;
  explicit JsonLines(Sink sink) : sink_(std::move(sink)) {}

  void add(std::string_view bytes);

 private:
  const Sink sink_;
  std::string rest_;
};

}  // namespace wherry::cli

#pragma once
// A strict reader of Prometheus' text format 0.0.4: demands what the format does, and what
// promtool's linter does of names.

#include <map>
#include <string>

namespace wherry::test {

struct PrometheusText {
  std::map<std::string, double> samples;     // as written: name{a="b"} -> value
  std::map<std::string, std::string> types;  // by metric
  std::string problem;                       // the first; empty: the text is good
};

PrometheusText read_prometheus(const std::string& text);

}  // namespace wherry::test

#include "tests/support/prometheus_text.h"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>

namespace wherry::test {
namespace {

class Reader {
 public:
  PrometheusText read(const std::string& text) {
    if (!text.empty() && text.back() != '\n') complain("the last line has no end");
    for (size_t begin = 0; begin < text.size() && made_.problem.empty();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      line_ = text.substr(begin, end - begin);
      begin = end + 1;
      take();
    }
    for (const std::string& name : helped_) {
      if (!made_.types.contains(name)) complain(name + " has no TYPE");
    }
    return std::move(made_);
  }

 private:
  void complain(const std::string& what) {
    if (made_.problem.empty()) made_.problem = what + ": " + line_;
  }

  void take() {
    static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*))");
    static const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge))");
    static const std::regex sample(
        R"rx(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*\})? (\S+))rx");
    std::smatch found;
    if (std::regex_match(line_, found, help)) {
      if (!helped_.insert(found[1]).second) complain("a second HELP");
      current_ = found[1];
    } else if (std::regex_match(line_, found, type)) {
      take_type(found[1], found[2]);
    } else if (std::regex_match(line_, found, sample)) {
      take_sample(found[1], found[4]);
    } else {
      complain("not understood");
    }
  }

  void take_type(const std::string& name, const std::string& type) {
    if (name != current_) complain("no HELP right before");
    if (!made_.types.emplace(name, type).second) complain("a second TYPE");
    if ((type == "counter") != name.ends_with("_total")) complain("_total is for counters");
    for (const char* unit : {"milli", "micro", "nano", "kilo", "mega", "kib", "mib", "percent",
                             "minutes", "hours", "fahrenheit"}) {
      if (name.find(unit) != std::string::npos) complain("no base unit");
    }
  }

  void take_sample(const std::string& name, const std::string& value) {
    if (name != current_ || !made_.types.contains(name)) complain("not below its TYPE");
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (*end != '\0' || !std::isfinite(number)) complain("no number");
    if (made_.types[name] == "counter" && number < 0) complain("a counter below zero");
    const std::string key = line_.substr(0, line_.rfind(' '));
    if (!made_.samples.emplace(key, number).second) complain("told twice");
  }

  PrometheusText made_;
  std::string line_, current_;
  std::set<std::string> helped_;
};

}  // namespace

PrometheusText read_prometheus(const std::string& text) { return Reader().read(text); }

}  // namespace wherry::test

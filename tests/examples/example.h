#pragma once
// The documents of this folder: what people find in the public Kubernetes documentation, in words
// and numbers of our own, with what must come of each in lines that begin with "#: ":
//
//   #: pod NAME PHASE                 what runs, or ran
//   #: job NAME PHASE                 likewise cronjob
//   #: log NAME CONTAINER LINE        one whole line of its log
//   #: exit NAME CONTAINER CODE
//   #: message NAME CONTAINER TEXT    its last words
//   #: restarts NAME CONTAINER COUNT  at least
//   #: not-here NAME WHY              left out by its nodeSelector
//   #: error PATH | PART              refused, with this in the message
//   #: warning PATH | PART
//
// Errors and warnings are all there are. A document with errors runs nothing.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace wherry::test {

struct ExampleLine {
  std::string what;                // "pod", "error" …
  std::vector<std::string> words;  // the names after it
  std::string rest;                // PHASE, LINE, CODE …, or what is behind " | "
};

struct Example {
  std::string file;
  std::string text;
  std::vector<ExampleLine> lines;

  std::vector<ExampleLine> all(const std::string& what) const {
    std::vector<ExampleLine> found;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(found),
                 [&](const ExampleLine& line) { return line.what == what; });
    return found;
  }
  bool refused() const { return !all("error").empty(); }
};

inline ExampleLine read_example_line(const std::string& text) {
  ExampleLine line;
  std::istringstream words(text);
  words >> line.what;
  if (line.what == "error" || line.what == "warning") {
    const size_t bar = text.find(" | ");
    const size_t start = line.what.size() + 1;
    line.words = {text.substr(start, bar - start)};
    line.rest = bar == std::string::npos ? "" : text.substr(bar + 3);
    return line;
  }
  const bool of_pod =
      line.what == "pod" || line.what == "job" || line.what == "cronjob" || line.what == "not-here";
  for (int i = 0; i < (of_pod ? 1 : 2); ++i) words >> line.words.emplace_back();
  std::getline(words >> std::ws, line.rest);
  return line;
}

// By name.
inline std::vector<Example> load_examples(const std::string& folder) {
  std::vector<Example> examples;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream file(entry.path());
    Example example{entry.path().filename(), {std::istreambuf_iterator<char>(file), {}}, {}};
    std::istringstream text(example.text);
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with("#: ")) example.lines.push_back(read_example_line(line.substr(3)));
    }
    examples.push_back(std::move(example));
  }
  std::sort(examples.begin(), examples.end(),
            [](const Example& a, const Example& b) { return a.file < b.file; });
  return examples;
}

}  // namespace wherry::test

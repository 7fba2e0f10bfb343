#pragma once
// JSON Schemas of configs/ as a judge of JSON, by Python's jsonschema.

#include <set>
#include <string>
#include <vector>

namespace wherry::test {

struct SchemaCase {
  // A file in configs/ or a place in it ("openapi.json#/paths/…", as it is served), or "schema":
  // what a JSON Schema must be like.
  std::string schema;
  std::string payload;  // JSON
};
// For each, by Python's jsonschema: "" where it is as the schema says, else what is wrong. The
// schemas themselves are checked, too.
std::vector<std::string> judge_by_schema(const std::vector<SchemaCase>& cases);

// Gathers cases, so that one run of Python judges them all.
class SchemaJudge {
 public:
  // `name` is what a problem with it begins with.
  void add(const std::string& schema, const std::string& payload, const std::string& name);
  void complain(const std::string& problem) { problems_.push_back(problem); }
  // One sentence for each case that is not as its schema says, and what was complained of.
  std::vector<std::string> problems();

 private:
  std::vector<std::string> problems_;
  std::vector<SchemaCase> cases_;
  std::vector<std::string> names_;
  std::set<std::string> known_;
};

}  // namespace wherry::test

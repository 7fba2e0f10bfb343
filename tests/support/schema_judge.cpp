#include "tests/support/schema_judge.h"

#include <nlohmann/json.hpp>

#include "agent/api/openapi.h"
#include "base/text.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using nlohmann::json;

const std::string kConfigs = std::string(WHERRY_SOURCE_DIR) + "/configs/";

constexpr const char* kJudge = R"(
import functools, json, sys
from jsonschema import Draft202012Validator, validators
@functools.cache
def load(name):
    if name == "schema": return Draft202012Validator.META_SCHEMA
    return json.load(open(sys.argv[3] if name == "openapi.json" else sys.argv[1] + name))
@functools.cache
def check(name):
    name, hash, pointer = name.partition("#")
    schema = dict(load(name))
    if pointer: schema["$ref"] = "#" + pointer
    kind = validators.validator_for(schema, default=Draft202012Validator)
    kind.check_schema(schema)
    return kind(schema)
def verdict(case):
    errors = sorted(check(case["schema"]).iter_errors(case["payload"]), key=lambda e: e.json_path)
    return "; ".join(e.json_path + ": " + e.message[:300] for e in errors[:3])
print(json.dumps([verdict(c) for c in json.load(open(sys.argv[2]))]))
)";

}  // namespace

std::vector<std::string> judge_by_schema(const std::vector<SchemaCase>& cases) {
  json all = json::array();
  for (const SchemaCase& one : cases) {
    all.push_back({{"schema", one.schema}, {"payload", json::parse(one.payload)}});
  }
  const TempDir directory;
  write_text(directory / "cases.json", all.dump());
  write_text(directory / "openapi.json", openapi_document());
  return json::parse(run_ok(
      {"python3", "-c", kJudge, kConfigs, directory / "cases.json", directory / "openapi.json"}));
}

void SchemaJudge::add(const std::string& schema, const std::string& payload,
                      const std::string& name) {
  if (!known_.insert(schema + payload).second) return;
  if (!json::accept(payload)) return complain(name + " is no JSON: " + printable(payload));
  cases_.push_back({schema, payload});
  names_.push_back(name);
}

std::vector<std::string> SchemaJudge::problems() {
  if (cases_.empty()) return problems_;
  const std::vector<std::string> verdicts = judge_by_schema(cases_);
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (verdicts[i].empty()) continue;
    complain(names_[i] + ": " + verdicts[i] + ": " + printable(cases_[i].payload));
  }
  cases_.clear();
  return problems_;
}

}  // namespace wherry::test

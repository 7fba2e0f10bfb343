// configs/desired-state.schema.json: the validator's table in another form, and of one mind with
// the validator about the same documents. Judged by Python's jsonschema.

#include "tests/unit/manifest/json_schema.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "agent/manifest/cursor.h"
#include "agent/manifest/schema.h"
#include "base/files.h"
#include "base/text.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry::manifest {
namespace {

using Json = nlohmann::ordered_json;

const std::string kPath = std::string(WHERRY_SOURCE_DIR) + "/configs/desired-state.schema.json";

// Run with WHERRY_WRITE_DOCS=1 to write it.
TEST(JsonSchema, IsWhatTheTableSays) {
  const std::string text = desired_state_schema().dump(1) + "\n";
  if (std::getenv("WHERRY_WRITE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file_atomic(kPath, text));
    return;
  }
  const Result<std::string> written = read_file(kPath);
  ASSERT_TRUE(written) << kPath;
  EXPECT_EQ(*written, text)
      << "configs/desired-state.schema.json differs from the table in agent/manifest/schema_*.cpp: "
         "run WHERRY_WRITE_DOCS=1 build/tests/unit_manifest --gtest_filter='JsonSchema.*'";
}

Json container() { return {{"name", "c"}, {"image", "i:1"}}; }
Json pod_spec() { return {{"containers", {container()}}}; }
Json pods() { return {{"metadata", {{"labels", {{"app", "x"}}}}}, {"spec", pod_spec()}}; }
Json ending_pods() {
  Json made = pods();
  made["spec"]["restartPolicy"] = "Never";
  return made;
}
Json object(const std::string& kind, const std::string& version, Json spec) {
  return {{"apiVersion", version}, {"kind", kind}, {"metadata", {{"name", "x"}}}, {"spec", spec}};
}
Json selected(Json spec) {
  spec["selector"] = {{"matchLabels", {{"app", "x"}}}};
  return spec;
}
Json document(const Json& item) {
  return {{"apiVersion", "wherry/v1"},
          {"kind", "DesiredState"},
          {"metadata", {{"revision", 1}}},
          {"spec", {{"items", {item}}}}};
}

// Values of every sort: some fit a field, most do not.
std::vector<Json> probes(const Field& field) {
  std::vector<Json> all{nullptr,
                        true,
                        false,
                        7,
                        -1,
                        "text",
                        Json::array(),
                        Json::array({"text"}),
                        {{"text", "text"}},
                        Json::object(),
                        1.5,
                        Json::array({1})};
  for (const std::string& value : split(field.values, '|')) all.push_back(value);
  return all;
}

// Every field of `schema`, which is that of the object at `at` in `base`, with every probe; once
// without it, and once with a neighbour nobody knows.
void vary(const Json& base, const std::string& at, const Schema& schema,
          std::vector<Json>& inputs) {
  const Json::json_pointer pointer(at);
  for (const Field& field : schema.fields) {
    for (const Json& probe : probes(field)) {
      Json other = base;
      other[pointer][std::string(field.name)] = probe;
      inputs.push_back(std::move(other));
    }
    Json without = base;
    without[pointer].erase(std::string(field.name));
    inputs.push_back(std::move(without));
  }
  Json unknown = base;
  unknown[pointer]["zzqqzz"] = 1;
  inputs.push_back(std::move(unknown));
}

std::vector<Json> make_inputs() {
  std::vector<Json> inputs;
  const std::string item = "/spec/items/0";
  const Json pod = document(object("Pod", "v1", pod_spec()));
  vary(pod, "", kDesiredStateSchema, inputs);
  vary(pod, item, kPodSchema, inputs);
  vary(pod, item + "/metadata", kObjectMetaSchema, inputs);
  vary(pod, item + "/spec", kPodSpecSchema, inputs);
  vary(pod, item + "/spec/containers/0", kContainerSchema, inputs);
  Json nested = pod;
  Json& spec = nested["spec"]["items"][0]["spec"];
  spec["securityContext"] = Json::object();
  spec["affinity"] = Json::object();
  spec["volumes"] = {{{"name", "v"}, {"emptyDir", Json::object()}}};
  spec["containers"][0]["securityContext"] = Json::object();
  spec["containers"][0]["resources"] = Json::object();
  vary(nested, item + "/spec/securityContext", kPodSecurityContextSchema, inputs);
  vary(nested, item + "/spec/affinity", kAffinitySchema, inputs);
  vary(nested, item + "/spec/volumes/0", kVolumeSchema, inputs);
  vary(nested, item + "/spec/containers/0/securityContext", kSecurityContextSchema, inputs);
  vary(nested, item + "/spec/containers/0/resources", kResourcesSchema, inputs);
  const Json job = document(object("Job", "batch/v1", {{"template", ending_pods()}}));
  vary(job, item + "/spec", kJobSpecSchema, inputs);
  vary(job, item + "/spec/template", kPodTemplateSchema, inputs);
  vary(job, item + "/spec/template/metadata", kTemplateMetaSchema, inputs);
  for (const char* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    const Json base = document(object(kind, "apps/v1", selected({{"template", pods()}})));
    for (const KindEntry& entry : known_kinds()) {
      if (entry.kind != kind) continue;
      vary(base, item, *entry.schema, inputs);
      vary(base, item + "/spec", *find_field(*entry.schema, "spec")->of, inputs);
    }
  }
  const Json cron = document(
      object("CronJob", "batch/v1",
             {{"schedule", "@daily"}, {"jobTemplate", {{"spec", {{"template", ending_pods()}}}}}}));
  vary(cron, item + "/spec", *find_field(kCronJobSchema, "spec")->of, inputs);
  const Json service = document(
      object("Service", "v1",
             {{"selector", {{"a", "b"}}}, {"ports", {{{"port", 80}, {"targetPort", "http"}}}}}));
  vary(service, item, kServiceSchema, inputs);
  vary(service, item + "/spec", kServiceSpecSchema, inputs);
  vary(service, item + "/spec/ports/0", *find_field(kServiceSpecSchema, "ports")->of, inputs);
  for (const char* kind : {"ConfigMap", "Secret"}) {
    const Json base =
        document({{"apiVersion", "v1"}, {"kind", kind}, {"metadata", {{"name", "x"}}}});
    vary(base, item, kind == std::string("Secret") ? kSecretSchema : kConfigMapSchema, inputs);
  }
  const Json list = document({{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json::array()}});
  vary(list, item, kListSchema, inputs);
  vary(document({{"apiVersion", "scheduling.k8s.io/v1"},
                 {"kind", "PriorityClass"},
                 {"metadata", {{"name", "x"}}},
                 {"value", 7}}),
       item, kPriorityClassSchema, inputs);
  for (const KindEntry& entry : known_kinds()) {
    const Json plain = document({{"apiVersion", entry.api_version}, {"kind", entry.kind}});
    inputs.push_back(plain);
    if (entry.support == Support::Warned) vary(plain, item, *entry.schema, inputs);
  }
  return inputs;
}

// One verdict for each input, by another program.
std::vector<bool> judge(const std::vector<Json>& inputs) {
  const std::string path = testing::TempDir() + "schema-inputs-" + random_hex(8) + ".json";
  EXPECT_TRUE(write_file_atomic(path, Json(inputs).dump()));
  const std::string program =
      "import json, jsonschema, sys\n"
      "check = jsonschema.Draft7Validator(json.load(open(sys.argv[1])))\n"
      "jsonschema.Draft7Validator.check_schema(check.schema)\n"
      "print(''.join('1' if check.is_valid(x) else '0' for x in json.load(open(sys.argv[2]))))\n";
  const std::string command = "python3 -c \"" + program + "\" '" + kPath + "' '" + path + "'";
  std::vector<bool> verdicts;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c = pipe == nullptr ? EOF : fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    if (c == '0' || c == '1') verdicts.push_back(c == '1');
  }
  EXPECT_TRUE(pipe != nullptr && pclose(pipe) == 0) << "needs python3-jsonschema";
  std::remove(path.c_str());
  return verdicts;
}

// What the table alone decides; the rest (names, schedules, selectors) no schema can say.
bool is_of_the_table(const Finding& error) {
  for (const char* part :
       {"unknown field", "not supported by this version", "is not allowed here"}) {
    if (error.message.find(part) != std::string::npos) return true;
  }
  return error.message.starts_with("must be a string, not") ||
         error.message.starts_with("must be an integer, not") ||
         error.message.starts_with("must be a mapping, not") ||
         error.message.starts_with("must be a list, not") ||
         error.message.starts_with("must be true or false, not") || error.message == "is required";
}

TEST(JsonSchema, AgreesWithTheValidator) {
  const std::vector<Json> inputs = make_inputs();
  ASSERT_GT(inputs.size(), 2000U);
  const std::vector<bool> by_schema = judge(inputs);
  ASSERT_EQ(by_schema.size(), inputs.size());
  size_t good = 0, bad = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Document parsed = parse_desired_state(inputs[i].dump());
    const bool schema_says = by_schema[i];
    good += parsed.valid() ? 1 : 0;
    if (parsed.valid()) {
      EXPECT_TRUE(schema_says) << "the schema refuses what is good: " << inputs[i].dump();
      continue;
    }
    bool table = false;
    for (const Finding& error : parsed.errors) table = table || is_of_the_table(error);
    bad += table ? 1 : 0;
    EXPECT_FALSE(table && schema_says)
        << "the schema takes what is refused: " << inputs[i].dump() << "\n"
        << manifest_test::print(parsed.errors);
  }
  EXPECT_GT(good, 300U);
  EXPECT_GT(bad, 1000U);
}

Json to_json(const Node& node) {
  Json made;
  switch (node.kind) {
    case Kind::Null:
      return nullptr;
    case Kind::Boolean:
      return to_boolean(node);
    case Kind::Integer:
      return to_integer(node) ? Json(*to_integer(node)) : Json(std::string(node.text));
    case Kind::Float:
      return std::stod(std::string(node.text));
    case Kind::String:
      return std::string(node.text);
    case Kind::List:
      made = Json::array();
      for (const Node& item : node) made.push_back(to_json(item));
      return made;
    case Kind::Map:
      made = Json::object();
      for (const Node& item : node) made[std::string(item.key->text)] = to_json(item);
      return made;
  }
  return nullptr;
}

// What people wrote, good by the validator, is good by the schema.
TEST(JsonSchema, RefusesNoGoodDocument) {
  std::vector<Json> good;
  for (const char* folder : {"configs/samples", "tests/fuzz/manifest_corpus"}) {
    const std::string path = std::string(WHERRY_SOURCE_DIR) + "/" + folder;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const Result<std::string> text = read_file(entry.path());
      if (!text || !parse_desired_state(*text).valid()) continue;
      good.push_back(to_json(*read_tree(*text).documents.at(0)));
    }
  }
  ASSERT_GT(good.size(), 3U);
  const std::vector<bool> by_schema = judge(good);
  ASSERT_EQ(by_schema.size(), good.size());
  for (size_t i = 0; i < good.size(); ++i) EXPECT_TRUE(by_schema[i]) << good[i].dump(1);
}

}  // namespace
}  // namespace wherry::manifest

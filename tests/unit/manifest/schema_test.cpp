// The table of fields: obeyed by the walker, row by row, and shown in docs/kubernetes.md as it is.

#include "agent/manifest/schema.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry::manifest {
namespace {

using namespace manifest_test;

// A document that has one field at the place of a schema, and that field's path.
struct Spot {
  const Schema* schema;
  const char* before;  // text up to the field, ending in its indentation
  const char* after;
  const char* path;
};

const Spot kSpots[] = {
    {&kPodSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n"
     "    spec: { containers: [{ name: c, image: i }] }\n    ",
     "", "spec.items[0]."},
    {&kObjectMetaSchema,
     "  - apiVersion: v1\n    kind: Pod\n    spec: { containers: [{ name: c, image: i }] }\n"
     "    metadata:\n      name: web\n      ",
     "", "spec.items[0].metadata."},
    {&kPodSpecSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers: [{ name: c, image: i }]\n      ",
     "", "spec.items[0].spec."},
    {&kAffinitySchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers: [{ name: c, image: i }]\n      affinity:\n        ",
     "", "spec.items[0].spec.affinity."},
    {&kPodSecurityContextSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers: [{ name: c, image: i }]\n      securityContext:\n        ",
     "", "spec.items[0].spec.securityContext."},
    {&kVolumeSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers: [{ name: c, image: i, volumeMounts: [{ name: v, mountPath: /v }] }]\n"
     "      volumes:\n      - name: v\n        ",
     "", "spec.items[0].spec.volumes[0]."},
    {&kContainerSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers:\n      - name: c\n        image: i\n        ",
     "", "spec.items[0].spec.containers[0]."},
    {&kSecurityContextSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers:\n      - name: c\n        image: i\n        securityContext:\n          ",
     "", "spec.items[0].spec.containers[0].securityContext."},
    {&kResourcesSchema,
     "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
     "      containers:\n      - name: c\n        image: i\n        resources:\n          ",
     "", "spec.items[0].spec.containers[0].resources."},
    {&kJobSpecSchema,
     "  - apiVersion: batch/v1\n    kind: Job\n    metadata: { name: web }\n    spec:\n"
     "      template: { spec: { restartPolicy: Never, containers: [{ name: c, image: i }] } }\n    "
     "  ",
     "", "spec.items[0].spec."},
    {&kTemplateMetaSchema,
     "  - apiVersion: batch/v1\n    kind: Job\n    metadata: { name: web }\n    spec:\n"
     "      template:\n"
     "        spec: { restartPolicy: Never, containers: [{ name: c, image: i }] }\n"
     "        metadata:\n          ",
     "", "spec.items[0].spec.template.metadata."},
    {&kClaimSpecSchema,
     "  - apiVersion: v1\n    kind: PersistentVolumeClaim\n    metadata: { name: a }\n"
     "    spec:\n      accessModes: [ReadWriteOnce]\n      ",
     "", "spec.items[0].spec."},
    {&kServiceSpecSchema,
     "  - apiVersion: v1\n    kind: Service\n    metadata: { name: a }\n"
     "    spec:\n      selector: { a: b }\n      ports: [{ port: 80 }]\n      ",
     "", "spec.items[0].spec."},
    {&kConfigMapSchema, "  - apiVersion: v1\n    kind: ConfigMap\n    metadata: { name: a }\n    ",
     "", "spec.items[0]."},
    {&kSecretSchema, "  - apiVersion: v1\n    kind: Secret\n    metadata: { name: a }\n    ", "",
     "spec.items[0]."},
};

// A value that asks for something.
std::string some_value(const Field& field) {
  if (field.type == Type::Boolean) return is_one_of("true", field.values) ? "false" : "true";
  if (field.type == Type::Integer) return "7";
  if (field.type == Type::Strings) return "[x]";
  if (field.type == Type::Objects) return "[{ x: y }]";
  return field.type == Type::String ? "\"something\"" : "{ x: y }";
}

// A value of another kind, and what is said of it.
std::pair<std::string, std::string> wrong_value(const Field& field) {
  switch (field.type) {
    case Type::String:
      return {"7", "must be a string, not a number; put the value in quotes"};
    case Type::Integer:
      return {"\"7\"", "must be an integer, not a string; remove the quotes"};
    case Type::Boolean:
      return {"3", "must be true or false, not a number"};
    case Type::Strings:
    case Type::Objects:
      return {"{ x: y }", "must be a list, not a mapping; begin each entry with \"- \""};
    case Type::Object:
    case Type::StringMap:
      return {"[x]", "must be a mapping, not a list"};
    default:
      return {};
  }
}

TEST(FieldTable, RefusedFieldsAreErrorsAndWarnedOnesWarnings) {
  int rows = 0;
  for (const Spot& spot : kSpots) {
    for (const Field& field : spot.schema->fields) {
      if (field.support == Support::Honoured) continue;
      ++rows;
      const std::string path = spot.path + std::string(field.name);
      const auto with = [&](const std::string& value) {
        return parse_desired_state(
            desired(spot.before + std::string(field.name) + ": " + value + "\n" + spot.after));
      };
      const Document document = with(some_value(field));
      if (field.support == Support::Refused) {
        const Finding* error = find(document.errors, path, "not supported by this version");
        EXPECT_EQ(document.errors.size(), 1U) << path << "\n" << print(document.errors);
        ASSERT_NE(error, nullptr) << path << "\n" << print(document.errors);
        EXPECT_THAT(error->message, testing::HasSubstr(std::string(field.note))) << path;
      } else {
        EXPECT_TRUE(document.valid()) << path << "\n" << print(document.errors);
        ASSERT_EQ(document.warnings.size(), 1U) << path;
        EXPECT_EQ(document.warnings[0].path, path);
        EXPECT_THAT(document.warnings[0].message,
                    testing::HasSubstr(std::string(field.name) + " is ignored"))
            << path;
        EXPECT_GT(document.warnings[0].line, 0);
      }
      EXPECT_FALSE(field.note.empty()) << path;
      // What says nothing passes without a word: null, and values that hold here anyway.
      for (std::string_view values = field.values; !values.empty();) {
        std::string value(values.substr(0, values.find('|')));
        if (field.type == Type::String) value = '"' + value + '"';
        const Document plain = with(value);
        EXPECT_TRUE(plain.valid() && plain.warnings.empty()) << path << print(plain.errors);
        const size_t bar = values.find('|');
        values = bar == std::string_view::npos ? std::string_view() : values.substr(bar + 1);
      }
      if (spot.schema != &kVolumeSchema) {  // a volume needs a source that is not null
        const Document none = with("null");
        EXPECT_TRUE(none.valid() && none.warnings.empty()) << path << print(none.errors);
      }
    }
  }
  EXPECT_GT(rows, 80) << "the table shrank";
}

// Also of what is not looked at any further: both facts at once where it is refused anyway.
TEST(FieldTable, OfAnotherTypeIsAnErrorWhateverBecomesOfTheField) {
  int rows = 0;
  for (const Spot& spot : kSpots) {
    for (const Field& field : spot.schema->fields) {
      const auto [value, message] = wrong_value(field);
      if (field.support == Support::Honoured || value.empty()) continue;
      ++rows;
      const std::string path = spot.path + std::string(field.name);
      const Document document = parse_desired_state(
          desired(spot.before + std::string(field.name) + ": " + value + "\n" + spot.after));
      const Finding* error = find(document.errors, path, message);
      EXPECT_EQ(document.errors.size(), 1U) << path << "\n" << print(document.errors);
      ASSERT_NE(error, nullptr) << path << "\n" << print(document.errors);
      const size_t besides = error->message.find("; besides, " + std::string(field.name));
      EXPECT_EQ(besides != std::string::npos, field.support == Support::Refused) << error->message;
      EXPECT_EQ(error->message.find(field.note) != std::string::npos,
                field.support == Support::Refused)
          << error->message;
    }
  }
  EXPECT_GT(rows, 50) << "the table shrank";
}

TEST(FieldTable, NamesAreUniqueAndUnknownNamesAreErrors) {
  for (const Spot& spot : kSpots) {
    std::set<std::string_view> names;
    for (const Field& field : spot.schema->fields) {
      EXPECT_TRUE(names.insert(field.name).second) << spot.schema->name << "." << field.name;
    }
    const Document document =
        parse_desired_state(desired(std::string(spot.before) + "zzqqzz: 1\n" + spot.after));
    EXPECT_NE(find(document.errors, spot.path + std::string("zzqqzz"), "unknown field \"zzqqzz\""),
              nullptr)
        << spot.path << print(document.errors);
  }
}

TEST(FieldTable, KindsAreSupportedIgnoredOrRefusedByName) {
  for (const KindEntry& kind : known_kinds()) {
    const Document document =
        parse_desired_state(desired("  - { kind: " + std::string(kind.kind) + ", apiVersion: " +
                                    std::string(kind.api_version) + ", metadata: { name: a } }\n"));
    const Finding* refused = find(document.errors, "spec.items[0].kind", "is not supported");
    EXPECT_EQ(refused != nullptr, kind.support == Support::Refused) << kind.kind;
    const Finding* ignored = find(document.warnings, "spec.items[0].kind", "is ignored: ");
    EXPECT_EQ(ignored != nullptr, kind.support == Support::Warned) << kind.kind;
    EXPECT_TRUE(kind.support != Support::Warned || document.valid()) << kind.kind;
    EXPECT_EQ(kind.schema == nullptr, kind.support == Support::Refused) << kind.kind;
  }
}

// ---- docs/kubernetes.md ----

std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

std::string allowed(const Field& field) {
  std::string text;
  for (std::string_view values = field.values; !values.empty();) {
    const size_t bar = values.find('|');
    const std::string_view value = values.substr(0, bar);
    if (!value.empty()) text += (text.empty() ? "`" : ", `") + std::string(value) + "`";
    values = bar == std::string_view::npos ? std::string_view() : values.substr(bar + 1);
  }
  return text;
}

std::string word_of(Support support) {
  if (support == Support::Honoured) return "honoured";
  return support == Support::Warned ? "warned" : "refused";
}

std::string row(const std::string& name, const Field& field) {
  const std::string what = word_of(field.support), values = allowed(field);
  std::string note(field.note);
  switch (field.support) {
    case Support::Honoured:
      if (!values.empty()) note = values + (note.empty() ? "" : "; " + note);
      if (field.required) note = "required" + (note.empty() ? "" : "; " + note);
      break;
    case Support::Warned:
      if (!values.empty()) note += " (" + values + " passes without a warning)";
      break;
    case Support::Refused:
      if (!values.empty()) note += " (" + values + " is accepted: it is so anyway)";
      break;
  }
  return "| `" + name + "` | " + what + " | " + cell(note) + " |\n";
}

void rows(const std::string& prefix, const Schema& schema, std::string& out) {
  for (const Field& field : schema.fields) {
    const std::string name = prefix + std::string(field.name);
    out += row(name, field);
    if (field.of == nullptr || field.of == &kContainerSchema || field.of == &kObjectMetaSchema ||
        field.of == &kPodSpecSchema || field.of == &kPodTemplateSchema ||
        field.of == &kJobSpecSchema) {
      continue;
    }
    rows(name + (field.type == Type::Objects ? "[]." : "."), *field.of, out);
  }
  if (const Field* field = schema.domain_field)
    out += row(prefix + std::string(field->name), *field);
}

std::string table(const std::string& title, const Schema& schema) {
  std::string text = "### " + title + "\n\n| field | here | note |\n| --- | --- | --- |\n";
  rows("", schema, text);
  return text + "\n";
}

std::string tables() {
  std::string text;
  text += "### Kinds\n\n| kind | apiVersion | here | note |\n| --- | --- | --- | --- |\n";
  for (const KindEntry& kind : known_kinds()) {
    text += "| `" + std::string(kind.kind) + "` | `" + std::string(kind.api_version) + "` | " +
            word_of(kind.support) + " | " + std::string(kind.instead) + " |\n";
  }
  text += "\n" + table("DesiredState", kDesiredStateSchema);
  text += "### Annotations of a Pod\n\n| annotation | here | note |\n| --- | --- | --- |\n";
  for (const Field& field : known_annotations()) text += row(std::string(field.name), field);
  text += "\n" + table("metadata", kObjectMetaSchema);
  text += table("Pod", kPodSchema) + table("Pod: spec", kPodSpecSchema);
  text += table("Pod: spec.containers[]", kContainerSchema);
  text += table("ConfigMap", kConfigMapSchema) + table("Secret", kSecretSchema);
  text += table("Service", kServiceSchema);
  text += table("PersistentVolumeClaim", kClaimSchema);
  text += table("PriorityClass", kPriorityClassSchema);
  text += table("List", kListSchema) + table("Deployment", kDeploymentSchema);
  text += table("DaemonSet", kDaemonSetSchema) + table("StatefulSet", kStatefulSetSchema);
  text += table("Job", kJobSchema) + table("Job: spec", kJobSpecSchema);
  text += table("CronJob", kCronJobSchema);
  text += table("Template of Pods: template", kPodTemplateSchema);
  text += table("Template of Pods: template.metadata", kTemplateMetaSchema);
  return text;
}

constexpr std::string_view kBegin = "<!-- tables: written by unit_manifest, see its end -->\n\n";
constexpr std::string_view kEnd = "<!-- end of tables -->\n";

// Run with WHERRY_WRITE_DOCS=1 to write the tables into the page.
TEST(FieldTable, IsWhatTheDocumentationShows) {
  const std::string path = std::string(WHERRY_SOURCE_DIR) + "/docs/kubernetes.md";
  const Result<std::string> page = read_file(path);
  ASSERT_TRUE(page) << path;
  const size_t begin = page->find(kBegin);
  const size_t end = page->find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const size_t start = begin + kBegin.size();
  if (std::getenv("WHERRY_WRITE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, page->substr(0, start) + tables() + page->substr(end)));
    return;
  }
  EXPECT_EQ(page->substr(start, end - start), tables())
      << "docs/kubernetes.md differs from the table in agent/manifest/schema_*.cpp: run "
         "WHERRY_WRITE_DOCS=1 build/tests/unit_manifest --gtest_filter='FieldTable.*'";
}

}  // namespace
}  // namespace wherry::manifest

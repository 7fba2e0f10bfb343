// All documents as one: later ones count, and no Secret is told.

#include "agent/manifest/merged_document.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry::manifest_test {
namespace {

using nlohmann::json;

TEST(MergedDocument, LaterSourcesReplaceItemsOfTheSameKindAndName) {
  const Document files = parse_local_manifest(
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web }\ndata: { a: \"1\" }\n---\n"
      "apiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Pod, metadata: { name: web }, "
      "spec: { containers: [{ name: c, image: \"i:1\" }] } }\n",
      "site.yaml");
  const Document device = parse_desired_state(desired(
      "  - { apiVersion: v1, kind: Pod, metadata: { name: web }, spec: { activeDeadlineSeconds: "
      "10, hostNetwork: yes, containers: [{ name: c, image: \"i:2\" }], volumes: [{ name: v, "
      "configMap: { name: web, defaultMode: 0440 } }] } }\n",
      7));
  expect_valid(files);
  expect_valid(device);
  const json merged = json::parse(merged_document({{"manifests", &files}, {"devices/d", &device}}));
  EXPECT_EQ(merged["kind"], "DesiredState");
  const json& items = merged["spec"]["items"];
  ASSERT_EQ(items.size(), 2U) << merged.dump(1);
  EXPECT_EQ(items[0]["data"], (json{{"a", "1"}}));
  EXPECT_EQ(items[1]["spec"]["containers"][0]["image"], "i:2");
  EXPECT_EQ(items[1]["spec"]["activeDeadlineSeconds"], 10);
  EXPECT_EQ(items[1]["spec"]["volumes"][0]["configMap"]["defaultMode"], 288) << "octal, in YAML";
  EXPECT_EQ(items[1]["spec"]["hostNetwork"], true);
  const json& sources = merged["sources"];
  ASSERT_EQ(sources.size(), 2U);
  EXPECT_EQ(sources[0]["file"], "site.yaml");
  EXPECT_EQ(sources[0]["items"], json::array({"ConfigMap/web"}));
  EXPECT_EQ(sources[1]["source"], "devices/d");
  EXPECT_EQ(sources[1]["revision"], 7);
  EXPECT_EQ(sources[1]["digest"], device.digest);
  EXPECT_EQ(sources[1]["items"], json::array({"Pod/web"}));
}

TEST(MergedDocument, OfSecretsOnlyTheKeysAreTold) {
  const Document device = parse_desired_state(desired(
      "  - { apiVersion: v1, kind: Secret, metadata: { name: s, annotations: { last: s3cret } }, "
      "data: { a: czNjcmV0 }, stringData: { b: s3cret } }\n"));
  expect_valid(device);
  const std::string text = merged_document({{"devices/d", &device}});
  EXPECT_EQ(text.find("s3cret"), std::string::npos) << text;
  EXPECT_EQ(text.find("czNjcmV0"), std::string::npos) << text;
  const json merged = json::parse(text);
  const json item = merged["spec"]["items"][0];
  EXPECT_EQ(item["data"], (json{{"a", nullptr}}));
  EXPECT_EQ(item["stringData"], (json{{"b", nullptr}}));
  // Handed in again it would be no Secret with empty values.
  json again = merged;
  again.erase("sources");
  again["metadata"]["revision"] = 2;
  EXPECT_FALSE(parse_desired_state(again.dump()).valid());
}

}  // namespace
}  // namespace wherry::manifest_test

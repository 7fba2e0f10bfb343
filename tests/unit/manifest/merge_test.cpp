// Several documents together.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/manifest/dependencies.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct PodText {
  std::string name;
  std::string depends = {};  // wherry/depends-on
  std::string ports = {};    // of its container, flow style
  std::string spec = {};     // further fields of spec, flow style, ending in a comma
  std::string image = "i:1";
};

std::string text_of(const PodText& pod) {
  return "  - { apiVersion: v1, kind: Pod, metadata: { name: " + pod.name +
         ", annotations: { wherry/depends-on: '" + pod.depends + "' } }, spec: { " + pod.spec +
         " containers: [{ name: c, image: '" + pod.image + "', ports: [" + pod.ports + "] }] } }\n";
}

Document document(const std::vector<PodText>& pods, int revision = 1) {
  std::string items;
  for (const PodText& pod : pods) items += text_of(pod);
  Document parsed =
      parse_desired_state(pods.empty() ? desired("    []\n", revision) : desired(items, revision));
  EXPECT_TRUE(parsed.valid()) << print(parsed.errors);
  return parsed;
}

Merged merge_pods(const std::vector<PodText>& pods, const DeviceFacts& facts = {}) {
  const Document all = document(pods);
  return merge({{"devices/d", &all}}, facts);
}

std::vector<std::string> names(const Merged& merged) {
  std::vector<std::string> all;
  for (const WorkloadSpec& workload : merged.workloads) all.push_back(workload.name());
  return all;
}

// A Secret and, below it, a Pod that pulls with "login".
Document with_secret(const std::string& type, const std::string& data) {
  return parse_desired_state(
      desired("  - { apiVersion: v1, kind: Secret, type: " + type +
              ", metadata: { name: login }, stringData: " + data + " }\n" +
              text_of({"web", "", "", "imagePullSecrets: [{ name: login }],"})));
}

TEST(Merge, PullSecretsBecomeCredentialsThatDecideNoRestart) {
  const std::string auths = R"({"r.local":{"username":"me","password":"hunter2"}})";
  const auto merged_with = [](const Document& document) {
    EXPECT_TRUE(document.valid()) << print(document.errors);
    return merge({{"devices/d", &document}}, {});
  };
  const Merged modern = merged_with(with_secret(
      "kubernetes.io/dockerconfigjson", "{ .dockerconfigjson: '{\"auths\":" + auths + "}' }"));
  const Merged legacy =
      merged_with(with_secret("kubernetes.io/dockercfg", "{ .dockercfg: '" + auths + "' }"));
  for (const Merged* merged : {&modern, &legacy}) {
    EXPECT_TRUE(merged->warnings.empty()) << print(merged->warnings);
    ASSERT_EQ(merged->workloads.size(), 1U);
    ASSERT_EQ(merged->workloads[0].pod.pull_credentials.size(), 1U);
    EXPECT_EQ(merged->workloads[0].pod.pull_credentials[0],
              (runtime::RegistryCredential{"r.local", "me", "hunter2", ""}));
  }
  const Merged none = merge_pods({{"web"}});
  EXPECT_EQ(none.workloads[0].pod.hash, modern.workloads[0].pod.hash);
}

TEST(Merge, PullSecretsThatAreMissingOrOfAnotherTypeAreWarnedAbout) {
  const Merged missing = merge_pods({{"web", "", "", "imagePullSecrets: [{ name: gone }],"}});
  EXPECT_TRUE(missing.errors.empty());
  ASSERT_EQ(missing.warnings.size(), 1U);
  EXPECT_EQ(missing.warnings[0].path, "devices/d:spec.items[0].spec.imagePullSecrets[0]");
  EXPECT_THAT(missing.warnings[0].message, HasSubstr("Secret \"gone\" is not there"));
  EXPECT_THAT(names(missing), ElementsAre("web"));
  const Document opaque = with_secret("Opaque", "{ a: b }");
  const Merged other = merge({{"devices/d", &opaque}}, {});
  ASSERT_EQ(other.warnings.size(), 1U);
  EXPECT_THAT(other.warnings[0].message,
              HasSubstr("is not of type kubernetes.io/dockerconfigjson"));
}

TEST(Merge, PullSecretsThatCannotBeReadAreErrorsWithoutTheirContent) {
  const std::string type = "kubernetes.io/dockerconfigjson";
  const std::string path = "spec.items[0].stringData[.dockerconfigjson]";
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"{ .dockerconfigjson: hunter2 }", path + ": is not a JSON object"},
      {"{ .dockerconfigjson: '{\"auths\":{\"r.local\":{\"auth\":\"hunter2\"}}}' }",
       path + ": auths[\"r.local\"].auth is not base64 of user:password"},
      {"{ other: hunter2 }", "needs .dockerconfigjson"},
  };
  for (const auto& [data, said] : wrong) {
    const std::string errors = print(with_secret(type, data).errors);
    EXPECT_THAT(errors, HasSubstr(said));
    EXPECT_THAT(errors, testing::Not(HasSubstr("hunter2")));
  }
}

TEST(Merge, LaterSourcesReplaceAndNamesAreSorted) {
  const Document group = document({{"web", "", "", "", "old:1"}, {"zeta"}}, 3);
  const Document device = document({{"web", "", "", "", "new:1"}, {"alpha"}}, 7);
  const Merged merged = merge({{"groups/g", &group}, {"devices/d", &device}}, {});
  EXPECT_TRUE(merged.errors.empty()) << print(merged.errors);
  EXPECT_THAT(names(merged), ElementsAre("alpha", "web", "zeta"));
  EXPECT_EQ(merged.workloads[1].source, "devices/d");
  EXPECT_EQ(merged.workloads[1].revision, 7U);
  EXPECT_EQ(merged.workloads[1].pod.containers[0].image, "new:1");
  EXPECT_EQ(merged.workloads[2].source, "groups/g");
  EXPECT_EQ(merged.workloads[2].revision, 3U);
}

TEST(Merge, NothingFromNothingAndFromInvalidDocuments) {
  EXPECT_THAT(merge({}, {}).workloads, IsEmpty());
  const Document empty = document({});
  const Document bad = parse_desired_state("kind: [");
  const Merged merged = merge({{"a", &empty}, {"b", &bad}, {"c", nullptr}}, {});
  EXPECT_THAT(merged.workloads, IsEmpty());
  EXPECT_THAT(merged.errors, IsEmpty());
}

TEST(Merge, ConfigMapsAreReplacedAcrossSourcesToo) {
  const std::string reader = container("        envFrom: [{ configMapRef: { name: conf } }]\n");
  const std::string conf =
      "  - { apiVersion: v1, kind: ConfigMap, metadata: { name: conf }, data: { a: ";
  const Document group = parse_desired_state(reader + conf + "group } }\n");
  const Document device = parse_desired_state(desired(conf + "device } }\n"));
  expect_valid(group);
  expect_valid(device);
  const Merged alone = merge({{"groups/g", &group}}, {});
  const Merged both = merge({{"groups/g", &group}, {"devices/d", &device}}, {});
  ASSERT_EQ(both.workloads.size(), 1U);
  EXPECT_EQ(alone.workloads.at(0).pod.containers[0].env[0].second, "group");
  EXPECT_EQ(both.workloads.at(0).pod.containers[0].env[0].second, "device");
  EXPECT_NE(alone.workloads[0].pod.hash, both.workloads[0].pod.hash) << "content decides";
}

TEST(Merge, NodeSelectorChoosesDevices) {
  DeviceFacts facts;
  facts.hostname = "pump-7";
  facts.arch = "arm64";
  facts.labels = {{"site", "north"}, {"kubernetes.io/arch", "amd64"}};
  const Merged merged = merge_pods(
      {{"a", "", "", "nodeSelector: { kubernetes.io/arch: arm64, kubernetes.io/os: linux },"},
       {"b", "", "", "nodeSelector: { kubernetes.io/arch: amd64 },"},
       {"c", "", "", "nodeSelector: { site: north, kubernetes.io/hostname: pump-7 },"},
       {"d", "", "", "nodeSelector: { site: south },"},
       {"e", "", "", "nodeSelector: { gpu: 'true' },"},
       {"f", "", "", "nodeSelector: {},"}},
      facts);
  EXPECT_TRUE(merged.errors.empty()) << print(merged.errors);
  EXPECT_THAT(names(merged), ElementsAre("a", "c", "f"));
  EXPECT_EQ(merged.not_here.at("b"),
            "nodeSelector wants kubernetes.io/arch=amd64, and this device has "
            "kubernetes.io/arch=arm64");
  EXPECT_EQ(merged.not_here.at("d"),
            "nodeSelector wants site=south, and this device has site=north");
  EXPECT_EQ(merged.not_here.at("e"),
            "nodeSelector wants gpu=true, and this device has no label gpu");
}

TEST(Merge, WhatIsNotHereIsNotResolved) {
  const Merged merged =
      merge_pods({{"a", "gone", "", "nodeSelector: { k: v }, hostNetwork: true,"}});
  EXPECT_TRUE(merged.errors.empty()) << print(merged.errors);
  EXPECT_EQ(merged.not_here.size(), 1U);
}

TEST(Merge, ForNoParticularDeviceAllAreChecked) {
  DeviceFacts any;
  any.any = true;
  Merged merged = merge_pods({{"a", "gone", "", "nodeSelector: { k: v },"}}, any);
  EXPECT_EQ(merged.errors.size(), 1U);
  const std::string port = "{ containerPort: 80, hostPort: 80 }";
  merged = merge_pods(
      {{"a", "", port, "nodeSelector: { k: v },"}, {"b", "", port, "nodeSelector: { k: u },"}},
      any);
  EXPECT_TRUE(merged.errors.empty()) << "never on one device: " << print(merged.errors);
  merged = merge_pods(
      {{"a", "", port, "nodeSelector: { k: v },"}, {"b", "", port, "nodeSelector: { j: u },"}},
      any);
  EXPECT_EQ(merged.errors.size(), 1U);
}

TEST(Merge, DependenciesExistAndAreNotOneself) {
  Merged merged = merge_pods({{"a", "b, c"}, {"b"}, {"c", "b"}});
  EXPECT_TRUE(merged.errors.empty()) << print(merged.errors);
  EXPECT_THAT(merged.workloads.at(0).depends_on, ElementsAre("b", "c"));

  merged = merge_pods({{"a", "gone"}, {"b", "a"}, {"c"}});
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_EQ(merged.errors[0].path,
            "devices/d:spec.items[0].metadata.annotations[wherry/depends-on]");
  EXPECT_EQ(merged.errors[0].line, 6);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("\"gone\", which no document defines"));
  EXPECT_THAT(names(merged), ElementsAre("c")) << "b would wait for ever";

  merged = merge_pods({{"a", "a"}});
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("cannot depend on itself"));

  merged = merge_pods({{"a", "b"}, {"b", "", "", "nodeSelector: { k: v },"}});
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("not for this device: nodeSelector wants k=v"));
}

TEST(Merge, CyclesAreNamedOnce) {
  const Merged merged =
      merge_pods({{"a", "c"}, {"b", "a"}, {"c", "b"}, {"d", "a"}, {"e"}, {"p", "q"}, {"q", "p"}});
  ASSERT_EQ(merged.errors.size(), 2U) << print(merged.errors);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("in a circle: a -> c -> b -> a"));
  EXPECT_THAT(merged.errors[1].message, HasSubstr("in a circle: p -> q -> p"));
  EXPECT_THAT(names(merged), ElementsAre("e"));
}

TEST(Merge, LongChainsOfDependenciesNeedNoStack) {
  manifest::DependencyGraph graph;
  constexpr int kLong = 5000;
  for (int i = 0; i < kLong; ++i) graph["n" + std::to_string(i)] = {"n" + std::to_string(i + 1)};
  graph["n" + std::to_string(kLong)] = {};
  EXPECT_TRUE(manifest::find_cycles(graph).empty());
  graph["n" + std::to_string(kLong)] = {"n0"};
  const auto cycles = manifest::find_cycles(graph);
  ASSERT_EQ(cycles.size(), 1U);
  EXPECT_EQ(cycles[0].size(), static_cast<size_t>(kLong) + 1);
}

TEST(Merge, APortOfTheDeviceHasOneOwner) {
  const struct {
    const char* first;
    const char* second;
    bool clash;
  } kCases[] = {
      {"{ containerPort: 80, hostPort: 8080 }", "{ containerPort: 81, hostPort: 8080 }", true},
      {"{ containerPort: 80, hostPort: 8080 }", "{ containerPort: 80, hostPort: 8081 }", false},
      {"{ containerPort: 80 }", "{ containerPort: 80 }", false},
      {"{ containerPort: 80, hostPort: 0 }", "{ containerPort: 80, hostPort: 0 }", false},
      {"{ containerPort: 80, hostPort: 8080 }",
       "{ containerPort: 80, hostPort: 8080, protocol: UDP }", false},
      {"{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }",
       "{ containerPort: 80, hostPort: 8080 }", true},
      {"{ containerPort: 80, hostPort: 8080 }",
       "{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }", true},
      {"{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }",
       "{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.2 }", false},
      {"{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }",
       "{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }", true},
      {"{ containerPort: 80, hostPort: 8080, hostIP: 0.0.0.0 }",
       "{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }", true},
      {"{ containerPort: 80, hostPort: 8080, hostIP: '::' }",
       "{ containerPort: 80, hostPort: 8080, hostIP: '::1' }", true},
      {"{ containerPort: 80, hostPort: 8080, hostIP: '::1' }",
       "{ containerPort: 80, hostPort: 8080, hostIP: '0:0::1' }", true},
  };
  for (const auto& test : kCases) {
    const Merged merged = merge_pods({{"a", "", test.first}, {"b", "", test.second}});
    EXPECT_EQ(merged.errors.size(), test.clash ? 1U : 0U) << test.first << test.second;
    if (!test.clash || merged.errors.empty()) continue;
    EXPECT_EQ(merged.errors[0].path, "devices/d:spec.items[1].spec.containers[0].ports[0]");
    EXPECT_THAT(merged.errors[0].message,
                HasSubstr("port 8080 of the device is taken by workload \"a\" (devices/d)"));
    EXPECT_THAT(names(merged), ElementsAre("a"));
  }
}

TEST(Merge, PortsClashAcrossSourcesAndWithTheHostNetwork) {
  const Document group = document({{"a", "", "{ containerPort: 80 }", "hostNetwork: true,"}});
  const Document device = document({{"b", "", "{ containerPort: 8080, hostPort: 80 }"}});
  const Merged merged = merge({{"groups/g", &group}, {"devices/d", &device}}, {});
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("workload \"a\" (groups/g)"));
  EXPECT_EQ(merged.errors[0].path.substr(0, 10), "devices/d:");
  EXPECT_TRUE(merged.workloads.at(0).pod.ports.empty()) << "no mapping on the host's network";
  EXPECT_EQ(merged.workloads.at(0).pod.hostname, "");

  const Merged own = merge_pods({{"a", "",
                                  "{ containerPort: 80, hostPort: 80 }, { containerPort: 81, "
                                  "hostPort: 80 }"}});
  ASSERT_EQ(own.errors.size(), 1U);
  EXPECT_THAT(own.errors[0].message, HasSubstr("another port of this Pod"));
}

TEST(LocalManifest, HoldsPlainObjectsListsAndEnvelopes) {
  const std::string pod_text =
      "apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  containers: [{ name: c, image: i "
      "}]\n";
  Document document = parse_local_manifest(pod_text, "a.yaml");
  expect_valid(document);
  EXPECT_EQ(document.revision, 0U);
  Merged merged = merge({{"manifests", &document}}, {});
  EXPECT_THAT(names(merged), ElementsAre("a"));
  EXPECT_EQ(merged.workloads[0].source, "manifests");

  document = parse_local_manifest("# two\n---\n" + pod_text +
                                      "---\napiVersion: v1\nkind: List\nitems:\n- { apiVersion: "
                                      "v1, kind: Pod, metadata: { name: b, "
                                      "annotations: { wherry/depends-on: a } }, spec: { "
                                      "containers: [{ name: c, image: i }] } }\n",
                                  "ab.yaml");
  expect_valid(document);
  EXPECT_THAT(names(merge({{"manifests", &document}}, {})), ElementsAre("a", "b"));

  document = parse_local_manifest(desired(text_of({"x"}), 9), "x.yaml");
  expect_valid(document);
  EXPECT_EQ(document.revision, 9U);
  expect_valid(parse_local_manifest("# nothing yet\n", "n.yaml"));
  expect_valid(parse_local_manifest("", "n.yaml"));
}

TEST(LocalManifest, ErrorsNameTheFileOnceTheyAreMerged) {
  const Document document = parse_local_manifest(
      "apiVersion: v1\nkind: Pod\nmetadata: { name: a, annotations: { wherry/depends-on: gone } }\n"
      "spec:\n  containers: [{ name: c, image: i }]\n",
      "a.yaml");
  const Merged merged = merge({{"manifests", &document}}, {});
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_EQ(merged.errors[0].path, "manifests/a.yaml:metadata.annotations[wherry/depends-on]");
  EXPECT_EQ(merged.errors[0].line, 3);
}

TEST(LocalManifest, ErrorsOfSeveralDocumentsNameTheirPlace) {
  const Document document = parse_local_manifest(
      "kind: Pod\napiVersion: v1\nmetadata: { name: a }\nspec: { containers: [{ name: c }] }\n---\n"
      "kind: DesiredState\n---\nkind: List\napiVersion: v1\nitems: [{ kind: Pud }]\n",
      "f.yaml");
  ASSERT_EQ(document.errors.size(), 3U) << print(document.errors);
  EXPECT_EQ(document.errors[0].path, "[0].spec.containers[0].image");
  EXPECT_EQ(document.errors[1].path, "[1].kind");
  EXPECT_THAT(document.errors[1].message, HasSubstr("only document of its file"));
  EXPECT_EQ(document.errors[2].path, "[2].items[0].kind");
  EXPECT_EQ(document.errors[2].line, 10);
}

}  // namespace
}  // namespace wherry

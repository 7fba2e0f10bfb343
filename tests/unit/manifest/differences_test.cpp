// Why a workload is another than before.

#include "agent/manifest/differences.h"

#include <gmock/gmock.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry::manifest_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> between(const std::string& before, const std::string& after) {
  const WorkloadSpec one = only_workload(before), other = only_workload(after);
  const auto fields = spec_differences(one, other);
  EXPECT_EQ(fields.empty(), one.pod.hash == other.pod.hash);
  EXPECT_EQ(spec_differences(other, one), fields) << "whichever comes first";
  return fields;
}

TEST(Differences, AreNamedAsADocumentNamesThem) {
  const std::string plain = container("");
  EXPECT_THAT(between(plain, plain), IsEmpty());
  EXPECT_THAT(between(plain, container("        imagePullPolicy: Always\n")), IsEmpty())
      << "it decides no restart";
  EXPECT_THAT(between(plain, container("        command: [a, b]\n        args: [c]\n")),
              ElementsAre("containers[c].args", "containers[c].command"));
  EXPECT_THAT(between(container("        env: [{ name: A, value: x }, { name: B, value: v }]\n"),
                      container("        env: [{ name: A, value: x }, { name: B, value: z }]\n")),
              ElementsAre("containers[c].env[B]"));
  EXPECT_THAT(between(plain, container("        env: [{ name: A, value: x }]\n")),
              ElementsAre("containers[c].env[A]"));
  EXPECT_THAT(between(plain, container("        livenessProbe: { httpGet: { path: /, port: 80, "
                                       "httpHeaders: [{ name: X, value: v }] } }\n")),
              ElementsAre("containers[c].livenessProbe"));
  EXPECT_THAT(between(plain, container("        securityContext: { runAsUser: 7, capabilities: { "
                                       "drop: [ALL] } }\n")),
              ElementsAre("containers[c].securityContext"));
  EXPECT_THAT(between(plain, container("      hostNetwork: true\n      restartPolicy: Never\n")),
              ElementsAre("hostNetwork", "hostname", "restartPolicy"));
  EXPECT_THAT(between(plain, container("      - { name: d, image: \"i:1\" }\n")),
              ElementsAre("containers[d]"));
  EXPECT_THAT(between(plain, container("        volumeMounts: [{ name: v, mountPath: /v }]\n"
                                       "      volumes: [{ name: v, emptyDir: {} }]\n")),
              ElementsAre("containers[c].volumeMounts", "volumes[v]"));
}

TEST(Differences, ValuesAreNotToldWhateverIsInThem) {
  // As the canonical form has them, with its own marks in it.
  const auto fields = between(container("        env: [{ name: A, value: \"}=5:x;{\" }]\n"),
                              container("        env: [{ name: A, value: \"};env=1:B;\" }]\n"));
  EXPECT_THAT(fields, ElementsAre("containers[c].env[A]"));
}

TEST(Differences, NameTheObjectsAWorkloadTakesSomethingFrom) {
  const auto document = [](const std::string& level, const std::string& key,
                           const std::string& other) {
    return parse_desired_state(desired(
        "  - { apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: { level: \"" +
        level + "\", same: x } }\n" +
        "  - { apiVersion: v1, kind: Secret, metadata: { name: key }, stringData: { k: \"" + key +
        "\" } }\n" +
        "  - { apiVersion: v1, kind: ConfigMap, metadata: { name: other }, data: { a: \"" + other +
        "\" } }\n" +
        "  - { apiVersion: v1, kind: Pod, metadata: { name: web }, spec: { containers: [{ name: c, "
        "image: \"i:1\", envFrom: [{ configMapRef: { name: settings } }] }] } }\n"
        "  - { apiVersion: apps/v1, kind: Deployment, metadata: { name: dep }, spec: { selector: { "
        "matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { containers: "
        "[{ name: c, image: \"i:1\" }], volumes: [{ name: v, secret: { secretName: key } }] } } } "
        "}\n"));
  };
  const Document one = document("debug", "s3cret", "1");
  const Document two = document("info", "s3cret", "2");
  const Document three = document("info", "t0psecret", "2");
  expect_valid(one);
  const auto differences = [](const Document& before, const Document& after) {
    return config_differences({{"devices/d", &before}}, {{"devices/d", &after}});
  };
  using Found = std::map<std::string, std::vector<std::string>>;
  EXPECT_EQ(differences(one, one), Found());
  EXPECT_EQ(differences(one, two), (Found{{"web", {"ConfigMap/settings (level)"}}}));
  EXPECT_EQ(differences(two, three), (Found{{"Deployment/dep", {"Secret/key (k)"}}}));
  EXPECT_EQ(
      config_differences({}, {{"devices/d", &one}}),
      (Found{{"web", {"ConfigMap/settings (new)"}}, {"Deployment/dep", {"Secret/key (new)"}}}));
}

}  // namespace
}  // namespace wherry::manifest_test

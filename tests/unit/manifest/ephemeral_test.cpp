// Claims of a Pod's own: what they are called, and whose name they may not take.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

std::string with_claim(const std::string& name, const std::string& volume,
                       const std::string& spec = "accessModes: [ReadWriteOnce]") {
  return "  - { apiVersion: v1, kind: Pod, metadata: { name: " + name +
         " }, spec: { containers: [{ name: c, image: i, volumeMounts: [{ name: " + volume +
         ", mountPath: /v }] }], volumes: [{ name: " + volume +
         ", ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: b } }, spec: { " + spec +
         " } } } }] } }\n";
}
Merged merged(const std::string& items) {
  const Document document = parse_desired_state(desired(items));
  EXPECT_TRUE(document.valid()) << print(document.errors) << items;
  return merge({{"devices/d", &document}}, {});
}

TEST(EphemeralVolumes, AreClaimsNamedAfterPodAndVolume) {
  const runtime::Volume volume =
      only_workload(desired(with_claim("web", "data"))).pod.volumes.at(0);
  EXPECT_EQ(volume.kind, runtime::Volume::Kind::Claim);
  EXPECT_TRUE(volume.owned);
  EXPECT_EQ(volume.claim, "web-data");
  const Merged replicas = merged(
      "  - { apiVersion: apps/v1, kind: Deployment, metadata: { name: web }, spec: { replicas: 2, "
      "selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { "
      "containers: [{ name: c, image: i }], volumes: [{ name: data, ephemeral: { "
      "volumeClaimTemplate: { spec: { accessModes: [ReadWriteOnce] } } } }] } } } }\n");
  ASSERT_EQ(replicas.workloads.size(), 2U) << print(replicas.errors);
  EXPECT_EQ(replicas.workloads[0].pod.volumes.at(0).claim, "web-0-data");
  EXPECT_EQ(replicas.workloads[1].pod.volumes.at(0).claim, "web-1-data");
}

TEST(EphemeralVolumes, OfJobsAreNamedWhenTheirPodIs) {
  const Merged jobs = merged(
      "  - { apiVersion: batch/v1, kind: Job, metadata: { name: once }, spec: { template: { spec: "
      "{ restartPolicy: Never, containers: [{ name: c, image: i }], volumes: [{ name: data, "
      "ephemeral: { volumeClaimTemplate: { spec: { accessModes: [ReadWriteOnce] } } } }] } } } "
      "}\n");
  ASSERT_EQ(jobs.controllers.size(), 1U) << print(jobs.errors);
  const WorkloadSpec made =
      instantiate(jobs.controllers[0].pod_template, {"once-3", "once", 3}, "h");
  EXPECT_EQ(made.pod.volumes.at(0).claim, "once-3-data");
}

TEST(EphemeralVolumes, OfTwoJobsMayHaveOneName) {
  std::string items;
  for (const std::string name : {"one", "two"}) {
    items += "  - { apiVersion: batch/v1, kind: Job, metadata: { name: " + name +
             " }, spec: { template: { spec: { restartPolicy: Never, containers: [{ name: c, image: "
             "i }], volumes: [{ name: data, ephemeral: { volumeClaimTemplate: { spec: { "
             "accessModes: [ReadWriteOnce] } } } }] } } } }\n";
  }
  const Merged jobs = merged(items);
  EXPECT_TRUE(jobs.errors.empty()) << print(jobs.errors);
  EXPECT_EQ(jobs.controllers.size(), 2U);
}

TEST(EphemeralVolumes, TakeNobodysName) {
  const std::string claim =
      "  - { apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: web-data }, spec: { "
      "accessModes: [ReadWriteOnce] } }\n";
  const Merged with_document = merged(with_claim("web", "data") + claim);
  EXPECT_TRUE(find(with_document.errors, "devices/d:spec.items[0].spec.volumes[0]",
                   "would make claim \"web-data\", and a document has one of that name"))
      << print(with_document.errors);
  EXPECT_TRUE(with_document.workloads.empty());
  const Merged with_pod = merged(with_claim("a", "b-c") + with_claim("a-b", "c"));
  EXPECT_TRUE(find(with_pod.errors, "devices/d:spec.items[1].spec.volumes[0]",
                   "would make claim \"a-b-c\", as a volume of \"a\" does"))
      << print(with_pod.errors);
  EXPECT_TRUE(merged(with_claim("a", "data") + with_claim("b", "data")).errors.empty());
}

TEST(EphemeralVolumes, AreClaimsInWhatIsWrongToo) {
  const auto errors = [](const std::string& spec) {
    return parse_desired_state(desired(with_claim("web", "data", spec))).errors;
  };
  const std::string path = "spec.items[0].spec.volumes[0].ephemeral.volumeClaimTemplate.spec.";
  EXPECT_TRUE(find(errors("resources: {}"), path + "accessModes", "is required"));
  EXPECT_TRUE(find(errors("accessModes: []"), path + "accessModes", "at least one"));
  EXPECT_TRUE(find(errors("accessModes: [ReadWriteOnce], volumeMode: Block"), path + "volumeMode",
                   "Filesystem"));
}

}  // namespace
}  // namespace wherry

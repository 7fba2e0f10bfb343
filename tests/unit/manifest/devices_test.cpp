// Extended resources, CDI annotations and huge pages: what is read, and what decides a restart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;
using Amounts = std::map<std::string, int64_t>;

Amounts amounts(const std::string& resources) {
  return only_workload(container("        resources: " + resources + "\n"))
      .pod.containers[0]
      .resources.extended;
}

TEST(ExtendedResources, AreWholeNumbersByName) {
  EXPECT_EQ(amounts("{ limits: { example.com/camera: 1, vendor.com/gpu: \"2\", a.b/c: 0 } }"),
            (Amounts{{"example.com/camera", 1}, {"vendor.com/gpu", 2}}));
  EXPECT_EQ(amounts("{ limits: { a.b/c: 1k }, requests: { a.b/c: 1000 } }"),
            (Amounts{{"a.b/c", 1000}}));
  EXPECT_EQ(amounts("{ requests: { a.b/c: 0 } }"), Amounts{});
}

TEST(ExtendedResources, DecideARestartAndTheClassOfServiceNot) {
  const WorkloadSpec none = only_workload(container(""));
  const WorkloadSpec one =
      only_workload(container("        resources: { limits: { a.b/c: 1 } }\n"));
  const WorkloadSpec two =
      only_workload(container("        resources: { limits: { a.b/c: 2 } }\n"));
  EXPECT_NE(none.pod.hash, one.pod.hash);
  EXPECT_NE(one.pod.hash, two.pod.hash);
  EXPECT_EQ(runtime::qos_class(one.pod), runtime::QosClass::BestEffort);
}

TEST(HugePages, AreBytesOfWholePages) {
  EXPECT_EQ(amounts("{ limits: { hugepages-2Mi: 64Mi, memory: 64Mi } }"),
            (Amounts{{"hugepages-2Mi", 64 << 20}}));
  EXPECT_EQ(amounts("{ limits: { hugepages-1Gi: 1Gi }, requests: { cpu: 1 } }"),
            (Amounts{{"hugepages-1Gi", 1 << 30}}));
}

std::string mounting(const std::string& medium, const std::string& limits) {
  return pod("      volumes: [{ name: v, emptyDir: { medium: " + medium +
             " } }]\n      containers: [{ name: c, image: i, volumeMounts: [{ name: v, mountPath: "
             "/v }], resources: { limits: " +
             limits + " } }]\n");
}

TEST(HugePages, VolumesAreOfASizeThatThePodAsksFor) {
  const auto size = [](const std::string& medium, const std::string& limits) {
    return only_workload(mounting(medium, limits)).pod.volumes.at(0).huge_page;
  };
  const std::string both = "{ cpu: 1, hugepages-2Mi: 2Mi, hugepages-1Gi: 1Gi }";
  EXPECT_EQ(size("HugePages", "{ cpu: 1, hugepages-2Mi: 2Mi }"), 2 << 20);
  EXPECT_EQ(size("HugePages-1Gi", both), 1 << 30);
  EXPECT_EQ(size("Memory", both), 0);
  for (const auto& [medium, limits, says] :
       {std::tuple<std::string, std::string, std::string>{"HugePages", both, "several sizes"},
        {"HugePages-64Ki", both, "needs a container with a limit"},
        {"HugePages", "{ cpu: 1 }", "needs a container with a limit"}}) {
    const Document document = parse_desired_state(mounting(medium, limits));
    EXPECT_TRUE(find(document.errors, "spec.items[0].spec.volumes[0].emptyDir.medium", says))
        << medium << print(document.errors);
  }
}

std::string annotated(const std::string& value) {
  return desired(
      "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web, annotations: { "
      "cdi.k8s.io/gpu: \"" +
      value + "\" } }\n    spec: { containers: [{ name: c, image: i }] }\n");
}

TEST(CdiAnnotations, NameDevicesForThePod) {
  const WorkloadSpec spec = only_workload(annotated("v.com/gpu=0, v.com/gpu=1,v.com/gpu=0"));
  EXPECT_THAT(spec.pod.cdi_devices, testing::ElementsAre("v.com/gpu=0", "v.com/gpu=1"));
  EXPECT_EQ(spec.pod.hash, only_workload(annotated("v.com/gpu=1,v.com/gpu=0")).pod.hash);
  EXPECT_NE(spec.pod.hash, only_workload(annotated("v.com/gpu=1")).pod.hash);
  for (const auto& [value, says] :
       {std::pair<std::string, std::string>{"v.com/gpu", "names no device"},
        {"gpu=0", "must be written as vendor.com/class"},
        {"v.com/gpu=a b", "is no device name"},
        {"", "names no device: write vendor.com/class=name"}}) {
    const Document document = parse_desired_state(annotated(value));
    EXPECT_TRUE(find(document.errors, "spec.items[0].metadata.annotations[cdi.k8s.io/gpu]", says))
        << value << print(document.errors);
  }
}

}  // namespace
}  // namespace wherry

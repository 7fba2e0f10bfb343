// Priority, requests and what happens when sizes change.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

std::string with_spec(const std::string& fields) {
  return pod(fields + "      containers: [{ name: c, image: i }]\n");
}

TEST(Priority, IsANumberOrOneOfTheTwoNamesThatEveryClusterHas) {
  EXPECT_EQ(only_workload(with_spec("")).priority, 0);
  EXPECT_TRUE(only_workload(with_spec("")).preempts);
  EXPECT_EQ(only_workload(with_spec("      priority: -5\n")).priority, -5);
  EXPECT_EQ(only_workload(with_spec("      priorityClassName: system-node-critical\n")).priority,
            2000001000);
  EXPECT_EQ(only_workload(with_spec("      priorityClassName: system-cluster-critical\n"
                                    "      priority: 2000000000\n"))
                .priority,
            2000000000);
  EXPECT_FALSE(only_workload(with_spec("      preemptionPolicy: Never\n")).preempts);
}

TEST(Priority, AClassThatNobodyDefinesIsAWarning) {
  const Document document = parse_desired_state(with_spec("      priorityClassName: gold\n"));
  expect_valid(document);
  EXPECT_TRUE(find(document.warnings, "spec.items[0].spec.priorityClassName", "set priority"));
}

TEST(Priority, WhatContradictsItselfIsRefused) {
  const Document both = parse_desired_state(
      with_spec("      priorityClassName: system-node-critical\n      priority: 1\n"));
  EXPECT_TRUE(find(both.errors, "spec.items[0].spec.priority", "leave one of the two out"));
  const Document large = parse_desired_state(with_spec("      priority: 3000000000\n"));
  EXPECT_TRUE(find(large.errors, "spec.items[0].spec.priority", "between"));
  const Document policy = parse_desired_state(with_spec("      preemptionPolicy: Always\n"));
  EXPECT_TRUE(find(policy.errors, "spec.items[0].spec.preemptionPolicy", "Never"));
}

TEST(Requests, OfTheDiskAreRead) {
  const WorkloadSpec spec = only_workload(
      container("        resources: { requests: { ephemeral-storage: 1Gi, memory: 2Mi } }\n"));
  EXPECT_EQ(spec.pod.containers[0].resources.storage_request, 1 << 30);
  EXPECT_EQ(qos_class(spec.pod), runtime::QosClass::Burstable);
}

TEST(Requests, OfTheDiskDefaultToTheLimit) {
  const WorkloadSpec spec = only_workload(
      pod("      volumes: [{ name: v, emptyDir: { sizeLimit: 5Mi } }]\n"
          "      containers:\n"
          "      - { name: c, image: i, resources: { limits: { ephemeral-storage: 1Mi } } }\n"));
  EXPECT_EQ(spec.pod.containers[0].resources.storage_limit, 1 << 20);
  EXPECT_EQ(spec.pod.containers[0].resources.storage_request, 1 << 20);
  EXPECT_EQ(spec.pod.volumes[0].size_limit, 5 << 20);
  EXPECT_EQ(qos_class(spec.pod), runtime::QosClass::BestEffort) << "cpu and memory make the class";
}

TEST(ResizePolicy, SaysWhatAsksForANewContainer) {
  const WorkloadSpec spec = only_workload(
      container("        resizePolicy:\n"
                "        - { resourceName: memory, restartPolicy: RestartContainer }\n"
                "        - { resourceName: cpu, restartPolicy: NotRequired }\n"));
  EXPECT_TRUE(spec.pod.containers[0].resources.memory_restarts);
  EXPECT_FALSE(spec.pod.containers[0].resources.cpu_restarts);
  const Document twice = parse_desired_state(
      container("        resizePolicy:\n"
                "        - { resourceName: cpu, restartPolicy: RestartContainer }\n"
                "        - { resourceName: cpu, restartPolicy: NotRequired }\n"));
  EXPECT_TRUE(find(twice.errors, "spec.items[0].spec.containers[0].resizePolicy[1].resourceName",
                   "given twice"));
  const Document disk = parse_desired_state(
      container("        resizePolicy: [{ resourceName: disk, restartPolicy: NotRequired }]\n"));
  EXPECT_TRUE(
      find(disk.errors, "spec.items[0].spec.containers[0].resizePolicy[0].resourceName", "cpu"));
}

}  // namespace
}  // namespace wherry

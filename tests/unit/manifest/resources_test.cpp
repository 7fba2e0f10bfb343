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
  const Merged merged = merge({{"devices/d", &document}}, {});
  EXPECT_TRUE(find(merged.warnings, "devices/d:spec.items[0].spec.priorityClassName",
                   "no document of the device has a PriorityClass \"gold\": add it, or set "
                   "priority"))
      << print(merged.warnings);
  EXPECT_EQ(merged.workloads.at(0).priority, 0);
}

std::string priority_class(const std::string& name, const std::string& fields) {
  return "  - { apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: { name: " + name +
         " }, " + fields + " }\n";
}

TEST(Priority, IsThatOfAClassOfAnyDocument) {
  const Document group = parse_desired_state(
      desired(priority_class("gold", "value: 700, preemptionPolicy: Never, description: first") +
              priority_class("lead", "value: -7, globalDefault: true") +
              priority_class("more", "value: 9, globalDefault: true")));
  expect_valid(group);
  const auto with = [&](const std::string& fields) {
    const Document own = parse_desired_state(with_spec(fields));
    expect_valid(own);
    return merge({{"groups/g", &group}, {"devices/d", &own}}, {});
  };
  const auto workload = [&](const std::string& fields) {
    const Merged merged = with(fields);
    EXPECT_TRUE(merged.errors.empty() && merged.warnings.empty())
        << print(merged.errors) << print(merged.warnings);
    return merged.workloads.at(0);
  };
  const WorkloadSpec gold = workload("      priorityClassName: gold\n");
  EXPECT_EQ(gold.priority, 700);
  EXPECT_FALSE(gold.preempts);
  EXPECT_TRUE(workload("      priorityClassName: gold\n"
                       "      preemptionPolicy: PreemptLowerPriority\n")
                  .preempts);
  EXPECT_EQ(workload("      priorityClassName: gold\n      priority: 700\n").priority, 700);
  EXPECT_EQ(workload("").priority, -7) << "the least of those for all others";
  EXPECT_EQ(workload("      priority: 0\n").priority, 0);
  EXPECT_EQ(workload("      priorityClassName: system-node-critical\n").priority, 2000001000);
  EXPECT_TRUE(find(with("      priorityClassName: gold\n      priority: 7\n").errors,
                   "devices/d:spec.items[0].spec.priorityClassName",
                   "has the value 700, and priority says 7: leave one of the two out"));
}

TEST(Priority, AClassIsReadWhole) {
  const auto wrong = [](const std::string& name, const std::string& fields) {
    return parse_desired_state(desired(priority_class(name, fields))).errors;
  };
  EXPECT_TRUE(find(wrong("a", "value: 1000000001"), "spec.items[0].value", "between"));
  EXPECT_TRUE(find(wrong("a", "globalDefault: true"), "spec.items[0].value", "is required"));
  EXPECT_TRUE(find(wrong("system-a", "value: 1"), "spec.items[0].metadata.name", "Kubernetes"));
  EXPECT_TRUE(find(wrong("a", "value: 1, weight: 2"), "spec.items[0].weight", "unknown field"));
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

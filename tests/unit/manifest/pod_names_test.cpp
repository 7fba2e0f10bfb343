// What a Pod is called, and what it shares with its device.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/device_amounts.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

std::string with_spec(const std::string& fields) {
  return pod(fields + "      containers: [{ name: c, image: i }]\n");
}

TEST(PodNames, HaveTheDomainOfTheirSubdomain) {
  const runtime::PodSpec plain = only_workload(with_spec("")).pod;
  EXPECT_EQ(runtime::full_name(plain), "web");
  const runtime::PodSpec named =
      only_workload(with_spec("      hostname: one\n      subdomain: db\n")).pod;
  EXPECT_EQ(named.hostname, "one");
  EXPECT_EQ(runtime::full_name(named), "one.db.default.svc.cluster.local");
  EXPECT_FALSE(named.hostname_is_full);
  EXPECT_NE(named.hash, only_workload(with_spec("      hostname: one\n")).pod.hash);
  const runtime::PodSpec full =
      only_workload(with_spec("      subdomain: db\n      setHostnameAsFQDN: true\n")).pod;
  EXPECT_TRUE(full.hostname_is_full);
  EXPECT_FALSE(only_workload(with_spec("      setHostnameAsFQDN: true\n")).pod.hostname_is_full)
      << "as in Kubernetes: there is no more to the name";
}

TEST(PodNames, AreOfTheNamespaceOfTheirObject) {
  const auto full = [](const std::string& item) {
    const Document document = parse_desired_state(desired(item));
    EXPECT_TRUE(document.valid()) << print(document.errors);
    return runtime::full_name(merge({{"devices/d", &document}}, {}).workloads.at(0).pod);
  };
  EXPECT_EQ(full("  - { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: shop }, spec: { "
                 "subdomain: db, containers: [{ name: c, image: i }] } }\n"),
            "a.db.shop.svc.cluster.local");
  EXPECT_EQ(full("  - { apiVersion: apps/v1, kind: StatefulSet, metadata: { name: a, namespace: "
                 "shop }, spec: { selector: { matchLabels: { a: b } }, template: { metadata: { "
                 "labels: { a: b } }, spec: { subdomain: db, containers: [{ name: c, image: i }] } "
                 "} } }\n"),
            "a.db.shop.svc.cluster.local");
}

TEST(PodNames, WhatCannotBeANameIsRefused) {
  const auto errors = [](const std::string& fields) {
    return parse_desired_state(with_spec(fields)).errors;
  };
  EXPECT_TRUE(find(errors("      subdomain: a.b\n"), "spec.items[0].spec.subdomain", "label"));
  const std::string longest =
      "      setHostnameAsFQDN: true\n      hostname: one\n"
      "      subdomain: " +
      std::string(34, 'x') + "\n";
  EXPECT_TRUE(errors(longest).empty()) << print(errors(longest));
  std::string longer = longest;
  longer.insert(longer.rfind('x'), "x");
  EXPECT_TRUE(find(errors(longer), "spec.items[0].spec.setHostnameAsFQDN",
                   "has more than the 64 characters"))
      << print(errors(longer));
  const Document host =
      parse_desired_state(with_spec("      hostNetwork: true\n      subdomain: a\n"));
  EXPECT_TRUE(find(host.warnings, "spec.items[0].spec.subdomain", "hostNetwork"));
}

TEST(DataApi, IsReadFromTheAnnotationAndHashed) {
  const auto pod = [](const char* value) {
    return only_workload(
               std::string(R"({"apiVersion":"wherry/v1","kind":"DesiredState",)"
                           R"("metadata":{"revision":1},"spec":{"items":[{"apiVersion":"v1",)"
                           R"("kind":"Pod","metadata":{"name":"a","annotations":{)"
                           R"("wherry/data-api":")") +
               value + R"("}},"spec":{"containers":[{"name":"c","image":"i"}]}}]}})")
        .pod;
  };
  EXPECT_TRUE(pod("true").data_api);
  EXPECT_FALSE(pod("false").data_api);
  EXPECT_NE(pod("true").hash, pod("false").hash);
}

TEST(LogForwarding, IsReadFromTheAnnotationAndRestartsNothing) {
  const auto workload = [](const std::string& annotation) {
    return only_workload(
        desired("  - apiVersion: v1\n    kind: Pod\n    metadata: { name: a, "
                "annotations: { " +
                annotation + " } }\n    spec: { containers: [{ name: c, image: i }] }\n"));
  };
  EXPECT_EQ(workload("").log_forward, std::nullopt);
  EXPECT_EQ(workload("wherry/log-forward: none").log_forward, LogForward::None);
  EXPECT_EQ(workload("wherry/log-forward: errors").log_forward, LogForward::Errors);
  const WorkloadSpec all = workload("wherry/log-forward: all");
  EXPECT_EQ(all.log_forward, LogForward::All);
  EXPECT_EQ(all.pod.hash, workload("").pod.hash);
}

TEST(PodSharing, WithTheDeviceIsReadAndHashed) {
  const runtime::PodSpec plain = only_workload(with_spec("")).pod;
  EXPECT_FALSE(plain.host_pids || plain.host_ipc);
  const runtime::PodSpec pids = only_workload(with_spec("      hostPID: true\n")).pod;
  const runtime::PodSpec ipc = only_workload(with_spec("      hostIPC: true\n")).pod;
  EXPECT_TRUE(pids.host_pids && !pids.host_ipc);
  EXPECT_TRUE(ipc.host_ipc && !ipc.host_pids);
  EXPECT_NE(pids.hash, plain.hash);
  EXPECT_NE(ipc.hash, plain.hash);
  EXPECT_NE(ipc.hash, pids.hash);
  EXPECT_EQ(only_workload(with_spec("      hostPID: false\n")).pod.hash, plain.hash);
  const auto errors = [](const std::string& fields) {
    return parse_desired_state(with_spec(fields)).errors;
  };
  EXPECT_TRUE(find(errors("      hostPID: true\n      shareProcessNamespace: true\n"),
                   "spec.items[0].spec.shareProcessNamespace", "leave one of the two out"));
  EXPECT_TRUE(find(errors("      hostIPC: true\n      securityContext: { sysctls: [{ name: "
                          "kernel.shm_rmid_forced, value: \"1\" }] }\n"),
                   "spec.items[0].spec.securityContext.sysctls[0].name", "with hostIPC"));
}

TEST(PodGroups, CanBeThoseOfTheDocumentAlone) {
  const auto strict = [](const std::string& policy) {
    const WorkloadSpec made =
        only_workload(with_spec("      securityContext: { runAsUser: 5" + policy + " }\n"));
    return std::pair(made.pod.containers.at(0).security.strict_groups, made.pod.hash);
  };
  const auto plain = strict("");
  EXPECT_FALSE(plain.first);
  EXPECT_EQ(strict(", supplementalGroupsPolicy: Merge"), plain);
  const auto other = strict(", supplementalGroupsPolicy: Strict");
  EXPECT_TRUE(other.first);
  EXPECT_NE(other.second, plain.second);
}

TEST(DeviceAmounts, AreFilledInMultiplesRoundedUp) {
  using runtime::DeviceResource;
  const auto filled = [](std::string text) {
    runtime::fill_device_amounts(text, 2500, 3 << 20);
    return text;
  };
  const std::string cores = runtime::device_amount_mark(DeviceResource::Cpu, 1000);
  const std::string mib = runtime::device_amount_mark(DeviceResource::Memory, 2 << 20);
  EXPECT_EQ(filled("-j" + cores + " of " + mib + cores), "-j3 of 23");
  EXPECT_EQ(filled(runtime::device_amount_mark(DeviceResource::Cpu, 1)), "2500");
  EXPECT_EQ(filled("plain"), "plain");
  EXPECT_TRUE(runtime::is_device_amount_mark(mib));
  EXPECT_FALSE(runtime::is_device_amount_mark(mib + "x") || runtime::is_device_amount_mark("x"));
  std::string own = cores;
  runtime::fill_device_amounts(own);
  EXPECT_GE(std::stoi(own), 1);
}

}  // namespace
}  // namespace wherry

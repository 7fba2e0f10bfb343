// Objects that mean nothing on a device, and what of them may not be passed over all the same.

#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

TEST(IgnoredKinds, AreRefusedWhereTheySayWhatMayNotBePassedOver) {
  const auto read = [](const std::string& item) {
    return parse_desired_state(desired("  - { metadata: { name: a }, " + item + " }\n"));
  };
  const Document account = read(
      "apiVersion: v1, kind: ServiceAccount, automountServiceAccountToken: true, imagePullSecrets: "
      "[{ name: s }]");
  EXPECT_TRUE(find(account.errors, "spec.items[0].imagePullSecrets",
                   "write imagePullSecrets in the Pod's spec"))
      << print(account.errors);
  const Document storage = read(
      "apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: x, parameters: { "
      "encrypted: \"true\" }");
  EXPECT_TRUE(find(storage.errors, "spec.items[0].parameters", "encryption"));
  const auto name_space = [](const std::string& level) {
    return parse_desired_state(
        desired("  - { apiVersion: v1, kind: Namespace, metadata: { name: a, labels: { "
                "pod-security.kubernetes.io/enforce: " +
                level + " } } }\n"));
  };
  EXPECT_TRUE(find(name_space("restricted").errors,
                   "spec.items[0].metadata.labels[pod-security.kubernetes.io/enforce]",
                   "write securityContext"))
      << print(name_space("restricted").errors);
  EXPECT_TRUE(name_space("privileged").valid());
  const Document plain = read("apiVersion: v1, kind: ServiceAccount");
  EXPECT_TRUE(plain.valid());
  EXPECT_EQ(plain.warnings.size(), 1U) << print(plain.warnings);
  EXPECT_FALSE(read("apiVersion: v2, kind: ServiceAccount").valid());
}

}  // namespace
}  // namespace wherry

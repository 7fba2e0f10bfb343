// Volumes that show other objects: what is in them, what decides a restart, and what is wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;
using testing::HasSubstr;

constexpr const char* kObjects = R"yaml(
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: conf },
      data: { a.conf: one, b.conf: two }, binaryData: { raw: AAEC } }
  - { apiVersion: v1, kind: Secret, metadata: { name: keys }, data: { key: c2VjcmV0 } }
  - { apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: store },
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } } }
)yaml";

std::string with(const std::string& source, const std::string& mount = "{ name: v, mountPath: /v }",
                 const std::string& objects = kObjects) {
  return desired(
      "  - apiVersion: v1\n    kind: Pod\n"
      "    metadata: { name: web, labels: { app: x, tier: z }, annotations: { n: 'a \"b\"' } }\n"
      "    spec:\n      containers:\n"
      "      - { name: c, image: i, env: [{ name: WHO, value: me }],\n"
      "          resources: { limits: { cpu: 1500m, memory: 64Mi } },\n"
      "          volumeMounts: [" +
      mount +
      "] }\n"
      "      volumes: [{ name: v, " +
      source + " }]\n" + objects.substr(1));
}

std::string shown_files(const std::string& text) {
  std::string all;
  const WorkloadSpec spec = only_workload(text);
  if (spec.pod.volumes.empty()) return "(no volume)";
  for (const runtime::VolumeFile& file : spec.pod.volumes[0].files) {
    char mode[8] = {};
    std::snprintf(mode, sizeof mode, "%04o", file.mode);
    all += file.path + " " + mode + " " + file.content + "\n";
  }
  return all;
}

std::string errors_of(const std::string& text) {
  const Document document = parse_desired_state(text);
  if (!document.valid()) return print(document.errors);
  return print(merge({{"devices/d", &document}}, {}).errors);
}

TEST(VolumeSources, ShowWholeObjectsOrChosenKeys) {
  EXPECT_EQ(shown_files(with("configMap: { name: conf }")),
            "a.conf 0644 one\nb.conf 0644 two\nraw 0644 " + std::string("\0\1\2", 3) + "\n");
  EXPECT_EQ(shown_files(with("configMap: { name: conf, defaultMode: 0400, items: [{ key: b.conf, "
                             "path: x/y, mode: 0755 }, { key: a.conf, path: z }] }")),
            "x/y 0755 two\nz 0400 one\n");
  EXPECT_EQ(shown_files(with("secret: { secretName: keys, defaultMode: 256 }")),
            "key 0400 secret\n");
  EXPECT_EQ(shown_files(with("configMap: { name: none, optional: true }")), "");
  EXPECT_TRUE(only_workload(with("secret: { secretName: keys }")).pod.volumes[0].memory);
  EXPECT_FALSE(only_workload(with("configMap: { name: conf }")).pod.volumes[0].memory);
}

TEST(VolumeSources, TheDownwardApiShowsThePodItself) {
  EXPECT_EQ(
      shown_files(
          with("downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }, "
               "{ path: notes, fieldRef: { fieldPath: metadata.annotations } }, "
               "{ path: name, fieldRef: { fieldPath: metadata.name } }, "
               "{ path: app, fieldRef: { fieldPath: \"metadata.labels['app']\" } }, "
               "{ path: cpu, resourceFieldRef: { containerName: c, resource: limits.cpu } }, "
               "{ path: milli, resourceFieldRef: { containerName: c, resource: limits.cpu, "
               "divisor: 1m } }, "
               "{ path: mem, resourceFieldRef: { containerName: c, resource: limits.memory, "
               "divisor: 1Mi } }] }")),
      "app 0644 x\ncpu 0644 2\nlabels 0644 app=\"x\"\ntier=\"z\"\nmem 0644 64\n"
      "milli 0644 1500\nname 0644 web\nnotes 0644 n=\"a \\\"b\\\"\"\n");
}

TEST(VolumeSources, ProjectedOnesAreOneVolume) {
  const std::string text = with(
      "projected: { defaultMode: 0440, sources: [{ configMap: { name: conf, items: [{ key: "
      "a.conf, path: both }] } }, { secret: { name: keys } }, { downwardAPI: { items: [{ path: "
      "me, fieldRef: { fieldPath: metadata.name } }] } }] }");
  EXPECT_EQ(shown_files(text), "both 0440 one\nkey 0440 secret\nme 0440 web\n");
  EXPECT_TRUE(only_workload(text).pod.volumes[0].memory) << "there is a Secret in it";
}

TEST(VolumeSources, ContentRestartsNothingUnlessItIsEnvironmentOrSubPath) {
  std::string changed = kObjects;
  changed.replace(changed.find("two"), 3, "new");
  const std::string source = "configMap: { name: conf }";
  const std::string whole = "{ name: v, mountPath: /v }";
  const auto before = only_workload(with(source, whole)).pod;
  const auto after = only_workload(with(source, whole, changed)).pod;
  EXPECT_EQ(before.hash, after.hash);
  EXPECT_NE(before.files_hash, after.files_hash);

  const std::string other = "{ name: v, mountPath: /v, subPath: a.conf }";
  EXPECT_EQ(only_workload(with(source, other)).pod.hash,
            only_workload(with(source, other, changed)).pod.hash)
      << "another file changed";
  const std::string part = "{ name: v, mountPath: /v, subPath: ./b.conf }";
  EXPECT_NE(only_workload(with(source, part)).pod.hash,
            only_workload(with(source, part, changed)).pod.hash);
  const std::string inner = "{ name: v, mountPath: /v, subPath: ..data/b.conf }";
  EXPECT_NE(only_workload(with(source, inner)).pod.hash,
            only_workload(with(source, inner, changed)).pod.hash);
}

TEST(VolumeSources, WhatADocumentSaysAboutAVolumeDecidesARestart) {
  const auto hash = [](const std::string& source) { return only_workload(with(source)).pod.hash; };
  std::set<std::string> hashes;
  const std::vector<std::string> sources{
      "configMap: { name: conf }",
      "configMap: { name: conf, optional: true }",
      "configMap: { name: conf, defaultMode: 0600 }",
      "configMap: { name: conf, items: [{ key: a.conf, path: a }] }",
      "configMap: { name: conf, items: [{ key: a.conf, path: a, mode: 0600 }] }",
      "secret: { secretName: keys }",
      "emptyDir: {}",
      "persistentVolumeClaim: { claimName: store }",
      "persistentVolumeClaim: { claimName: store, readOnly: true }"};
  for (const std::string& source : sources) hashes.insert(hash(source));
  EXPECT_EQ(hashes.size(), sources.size());
}

TEST(VolumeSources, ClaimsAreFoundAndCounted) {
  const WorkloadSpec spec = only_workload(with("persistentVolumeClaim: { claimName: store }"));
  EXPECT_EQ(spec.pod.volumes[0].kind, runtime::Volume::Kind::Claim);
  EXPECT_EQ(spec.pod.volumes[0].claim, "store");
  EXPECT_THAT(errors_of(with("persistentVolumeClaim: { claimName: none }")),
              HasSubstr("PersistentVolumeClaim \"none\" is not there"));
  const std::string two = desired(
      "  - { apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: s }, spec: { "
      "accessModes: [ReadWriteOncePod] } }\n"
      "  - { apiVersion: v1, kind: Pod, metadata: { name: a }, spec: { containers: [{ name: c, "
      "image: i }], volumes: [{ name: v, persistentVolumeClaim: { claimName: s } }] } }\n"
      "  - { apiVersion: v1, kind: Pod, metadata: { name: b }, spec: { containers: [{ name: c, "
      "image: i }], volumes: [{ name: v, persistentVolumeClaim: { claimName: s } }] } }\n");
  EXPECT_THAT(errors_of(two), HasSubstr("ReadWriteOncePod and used by a already"));
}

TEST(VolumeSources, WrongOnesAreRefusedByPath) {
  const std::pair<const char*, const char*> kCases[] = {
      {"configMap: { name: none }", "ConfigMap \"none\" is not there"},
      {"secret: { secretName: none }", "Secret \"none\" is not there"},
      {"configMap: { name: conf, items: [{ key: zz, path: a }] }", "has no key \"zz\""},
      {"configMap: { name: conf, items: [{ key: a.conf, path: ../a }] }", "must not contain .."},
      {"configMap: { name: conf, items: [{ key: a.conf, path: /a }] }", "relative path"},
      {"configMap: { name: conf, items: [{ key: a.conf, path: ..data }] }", "not begin with .."},
      {"configMap: { name: conf, items: [{ key: a.conf, path: a/./b }] }", "plain form"},
      {"configMap: { name: conf, items: [{ key: a.conf, path: a }, { key: b.conf, path: a }] }",
       "another file of this volume"},
      {"configMap: { name: conf, items: [{ key: a.conf, path: a }, { key: b.conf, path: a/b }] }",
       "which is a file"},
      {"configMap: { name: conf, defaultMode: 01000 }", "permission bits"},
      {"configMap: { name: conf, defaultMode: 0688 }", "permission bits"},
      {"configMap: { name: conf, defaultMode: '0644' }", "must be an integer"},
      {"downwardAPI: { items: [{ path: a, fieldRef: { fieldPath: spec.nodeName } }] }",
       "cannot be shown in a volume"},
      {"downwardAPI: { items: [{ path: a }] }", "either fieldRef or resourceFieldRef"},
      {"downwardAPI: { items: [{ path: a, resourceFieldRef: { containerName: zz, resource: "
       "limits.cpu } }] }",
       "no container named \"zz\""},
      {"projected: { sources: [{ serviceAccountToken: { path: t } }] }", "no API server"},
      {"projected: { sources: [{}] }", "exactly one of"},
  };
  for (const auto& [source, message] : kCases) {
    EXPECT_THAT(errors_of(with(source)), HasSubstr(message)) << source;
  }
}

TEST(SubPaths, AreRelativeAndExpanded) {
  const auto part = [](const std::string& mount) {
    return only_workload(with("emptyDir: {}", mount)).pod.containers[0].mounts[0].sub_path;
  };
  EXPECT_EQ(part("{ name: v, mountPath: /v, subPath: a//./b/ }"), "a/b");
  EXPECT_EQ(part("{ name: v, mountPath: /v, subPathExpr: logs/$(WHO) }"), "logs/me");
  EXPECT_EQ(part("{ name: v, mountPath: /v, subPath: '' }"), "");
  const std::pair<const char*, const char*> kCases[] = {
      {"subPath: /a", "relative path"},
      {"subPath: a/../b", "must not contain .."},
      {"subPathExpr: $(NOBODY)", "no variable \"NOBODY\""},
      {"subPathExpr: ../$(WHO)", "must not contain .."},
      {"subPath: a, subPathExpr: b", "goes not with subPath"},
      {"mountPropagation: Bidirectional", "privileged: true"},
  };
  for (const auto& [fields, message] : kCases) {
    EXPECT_THAT(
        errors_of(with("emptyDir: {}", "{ name: v, mountPath: /v, " + std::string(fields) + " }")),
        HasSubstr(message))
        << fields;
  }
}

TEST(PodSecurity, IsReadForAllContainers) {
  const WorkloadSpec spec = only_workload(
      pod("      runtimeClassName: kata\n"
          "      securityContext:\n"
          "        fsGroup: 2000\n        fsGroupChangePolicy: OnRootMismatch\n"
          "        seccompProfile: { type: RuntimeDefault }\n"
          "        sysctls: [{ name: net/ipv4/tcp_syncookies, value: '1' }]\n"
          "      containers:\n      - { name: a, image: i }\n"
          "      - { name: b, image: i, securityContext: { seccompProfile: { type: Localhost, "
          "localhostProfile: x/y.json } } }\n"
          "      - { name: c, image: i, securityContext: { seccompProfile: { type: Unconfined } } "
          "}\n"),
      [] {
        DeviceFacts facts;
        facts.runtime_classes = {"kata"};
        return facts;
      }());
  using Kind = runtime::SecurityProfile::Kind;
  EXPECT_EQ(spec.pod.fs_group, 2000);
  EXPECT_TRUE(spec.pod.fs_group_if_needed);
  EXPECT_EQ(spec.pod.runtime_class, "kata");
  ASSERT_EQ(spec.pod.sysctls.size(), 1U);
  EXPECT_EQ(spec.pod.sysctls[0].first, "net.ipv4.tcp_syncookies");
  ASSERT_EQ(spec.pod.containers.size(), 3U);
  EXPECT_EQ(spec.pod.containers[0].security.seccomp.kind, Kind::RuntimeDefault);
  EXPECT_EQ(spec.pod.containers[1].security.seccomp.name, "x/y.json");
  EXPECT_EQ(spec.pod.containers[2].security.seccomp.kind, Kind::Unset);
}

TEST(PodSecurity, UnconfinedIsWhatHoldsAnyway) {
  EXPECT_EQ(only_workload(container("")).pod.hash,
            only_workload(container("        securityContext: { seccompProfile: { type: Unconfined "
                                    "} }\n"))
                .pod.hash);
}

TEST(PodSecurity, WrongOnesAreRefused) {
  const std::pair<const char*, const char*> kCases[] = {
      {"securityContext: { sysctls: [{ name: kernel.msgmax, value: '1' }] }", "safe sysctls"},
      {"securityContext: { sysctls: [{ name: net.ipv4.tcp_rmem, value: '1' }] }\n"
       "      hostNetwork: true",
       "device's own"},
      {"securityContext: { seccompProfile: { type: Localhost } }", "is required with"},
      {"securityContext: { seccompProfile: { type: RuntimeDefault, localhostProfile: a } }",
       "Localhost only"},
      {"securityContext: { seccompProfile: { type: Localhost, localhostProfile: ../a } }",
       "must not contain .."},
      {"securityContext: { seLinuxOptions: { level: s0 } }", "SELinux"},
      {"securityContext: { fsGroup: -1 }", "between 0 and"},
      {"runtimeClassName: gvisor", "no runtime class \"gvisor\""},
  };
  for (const auto& [fields, message] : kCases) {
    EXPECT_THAT(errors_of(pod("      " + std::string(fields) +
                              "\n      containers: [{ name: c, image: i }]\n")),
                HasSubstr(message))
        << fields;
  }
}

}  // namespace
}  // namespace wherry

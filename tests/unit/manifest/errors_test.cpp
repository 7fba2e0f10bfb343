// Everything that can be wrong with one document: the path, the line and the words.

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

struct Wrong {
  const char* text;  // YAML of the part
  const char* path;  // below the part
  int line;          // 0: the part's first
  const char* message;
};

void expect_error(const std::string& document, const std::string& path, int line,
                  const char* message) {
  const Document parsed = parse_desired_state(document);
  const Finding* error = find(parsed.errors, path, message);
  ASSERT_NE(error, nullptr) << "wanted " << path << ": " << message << "\ngot\n"
                            << print(parsed.errors) << "in\n"
                            << document;
  EXPECT_EQ(error->line, line) << path << "\n" << document;
  EXPECT_GT(error->column, 0) << path;
  EXPECT_EQ(parsed.errors.size(), 1U) << "more than the one\n" << print(parsed.errors) << document;
  EXPECT_EQ(parsed.items, nullptr);
}

TEST(BadInput, Envelope) {
  const Wrong kCases[] = {
      {"", "", 1, "is empty"},
      {"# only a comment\n", "", 1, "is empty"},
      {"just words\n", "", 1, "a string, not a mapping"},
      {"- a\n", "", 1, "a list, not a mapping"},
      {"a: 1\n", "kind", 1, "is required"},
      {"kind: DesiredState\napiVersion: wherry/v2\nmetadata: { revision: 1 }\nspec: { items: [] "
       "}\n",
       "apiVersion", 2, "must be wherry/v1"},
      {"kind: DesiredState\nmetadata: { revision: 1 }\nspec: { items: [] }\n", "apiVersion", 1,
       "is required"},
      {"kind: DesireState\napiVersion: wherry/v1\n", "kind", 1, "did you mean DesiredState?"},
      {"kind: Pod\napiVersion: v1\n", "kind", 1, "under spec.items of a DesiredState"},
      {"kind: List\napiVersion: v1\n", "kind", 1, "under spec.items of a DesiredState"},
      {"kind: Whatever\n", "kind", 1, "it must be DesiredState"},
      {"apiVersion: wherry/v1\nkind: DesiredState\nspec: { items: [] }\n", "metadata", 1,
       "is required"},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\n", "spec", 1,
       "is required"},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\nspec: {}\n",
       "spec.items", 4, "is required"},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\nspec: { items: }\n",
       "spec.items", 4, "is required"},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\nspec: { items: {} "
       "}\n",
       "spec.items", 4, "must be a list, not a mapping; begin each entry with \"- \""},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\nspec: { items: [1] "
       "}\n",
       "spec.items[0]", 4, "must be a mapping, not a number"},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\nspec: { items: [] }\n"
       "extra: 1\n",
       "extra", 5, "unknown field \"extra\""},
      {"apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\nspec: { items: [] }\n"
       "---\na: 1\n",
       "", 6, "only one document"},
  };
  for (const Wrong& test : kCases) expect_error(test.text, test.path, test.line, test.message);
}

TEST(BadInput, EnvelopeMetadataAndUpdate) {
  const Wrong kMetadata[] = {
      {"{}", "metadata.revision", 0, "is required"},
      {"{ revision: 0 }", "metadata.revision", 0, "must be a positive integer"},
      {"{ revision: -1 }", "metadata.revision", 0, "must be a positive integer"},
      {"{ revision: 1.5 }", "metadata.revision", 0, "must be a whole number"},
      {"{ revision: \"1\" }", "metadata.revision", 0, "not a string; remove the quotes"},
      {"{ revision: 99999999999999999999 }", "metadata.revision", 0, "between -2^63"},
      {"{ revision: 010 }", "metadata.revision", 0, "without leading zeros"},
      {"{ revision: 1, revison: 2 }", "metadata.revison", 0, "did you mean \"revision\"?"},
      {"{ revision: 1, target: pump-7 }", "metadata.target", 0, "must be devices/<id>"},
      {"{ revision: 1, target: devices/ }", "metadata.target", 0, "must be devices/<id>"},
      {"{ revision: 1, target: devices/a/b }", "metadata.target", 0, "must be devices/<id>"},
      {"{ revision: 1, target: devices/+ }", "metadata.target", 0, "must be devices/<id>"},
      {"{ revision: 1, expires: tomorrow }", "metadata.expires", 0, "is not a time"},
      {"{ revision: 1, expires: 2027-01-01 }", "metadata.expires", 0, "is not a time"},
      {"{ revision: 1, expires: 12 }", "metadata.expires", 0, "put the value in quotes"},
  };
  for (const Wrong& test : kMetadata) {
    expect_error("apiVersion: wherry/v1\nkind: DesiredState\nspec: { items: [] }\nmetadata: " +
                     std::string(test.text) + "\n",
                 test.path, 4, test.message);
  }
  const Wrong kUpdate[] = {
      {"{ mode: atomic }", "spec.update.mode", 0, "other modes are not supported by this version"},
      {"{ onFailure: rollback }", "spec.update.onFailure", 0, "not supported by this version"},
      {"{ probation: 30s }", "spec.update.probation", 0, "does not support"},
      {"{ deadline: 10m }", "spec.update.deadline", 0, "does not support"},
      {"{ mod: independent }", "spec.update.mod", 0, "did you mean \"mode\"?"},
  };
  for (const Wrong& test : kUpdate) {
    expect_error(
        "apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1 }\n"
        "spec:\n  items: []\n  update: " +
            std::string(test.text) + "\n",
        test.path, 6, test.message);
  }
}

TEST(BadInput, Items) {
  const Wrong kCases[] = {
      {"  - {}\n", "spec.items[0].kind", 6, "is required"},
      {"  - { kind: 7, apiVersion: v1 }\n", "spec.items[0].kind", 6, "must be a string"},
      {"  - { kind: pod, apiVersion: v1 }\n", "spec.items[0].kind", 6, "did you mean Pod?"},
      {"  - { kind: Banana, apiVersion: v1 }\n", "spec.items[0].kind", 6,
       "unknown kind \"Banana\""},
      {"  - { kind: ReplicaSet, apiVersion: apps/v1 }\n", "spec.items[0].kind", 6,
       "kind ReplicaSet is not supported by this version"},
      {"  - { kind: NetworkPolicy, apiVersion: networking.k8s.io/v1 }\n", "spec.items[0].kind", 6,
       "not supported by this version"},
      {"  - { kind: Endpoints, apiVersion: v1 }\n", "spec.items[0].kind", 6,
       "not supported by this version"},
      {"  - { kind: List, apiVersion: v1 }\n", "spec.items[0].items", 6, "is required"},
      {"  - { kind: DesiredState }\n", "spec.items[0].kind", 6, "cannot be an item"},
      {"  - { kind: Pod }\n", "spec.items[0].apiVersion", 6, "is required: it must be v1"},
      {"  - { kind: Pod, apiVersion: apps/v1 }\n", "spec.items[0].apiVersion", 6, "must be v1"},
      {"  - { kind: Pod, apiVersion: v1, spec: { containers: [{name: c, image: i}] } }\n",
       "spec.items[0].metadata", 6, "is required"},
      {"  - { kind: Pod, apiVersion: v1, metadata: { name: a } }\n", "spec.items[0].spec", 6,
       "is required"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: {} }\n", "spec.items[0].metadata.name", 6,
       "is required"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a } }\n"
       "  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a } }\n",
       "spec.items[1].metadata.name", 7, "another ConfigMap is named \"a\", at line 6"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a }, data: { k: 1 } }\n",
       "spec.items[0].data.k", 6, "put the value in quotes"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a }, data: { k: yes } }\n",
       "spec.items[0].data.k", 6, "must be a string, not a boolean; put the value in quotes"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a }, data: { k: } }\n",
       "spec.items[0].data.k", 6, "has no value"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a }, data: { 'k k': v } }\n",
       "spec.items[0].data[k k]", 6, "a key must be"},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: a }, data: { ..data: v } }\n",
       "spec.items[0].data[..data]", 6, "not beginning with .."},
      {"  - { kind: ConfigMap, apiVersion: v1, metadata: { name: A_B } }\n",
       "spec.items[0].metadata.name", 6, "must be a DNS name"},
      {"  - { kind: Secret, apiVersion: v1, metadata: { name: a }, data: { k: 'a b!' } }\n",
       "spec.items[0].data.k", 6, "is not base64"},
      {"  - { kind: Secret, apiVersion: v1, metadata: { name: a }, dat: { k: eA== } }\n",
       "spec.items[0].dat", 6, "did you mean \"data\"?"},
  };
  for (const Wrong& test : kCases) {
    expect_error(desired(test.text), test.path, test.line, test.message);
  }
}

TEST(BadInput, PodMetadata) {
  const Wrong kCases[] = {
      {"{ name: Web }", "name", 0, "must be a DNS label"},
      {"{ name: web.local }", "name", 0, "must be a DNS label"},
      {"{ name: -web }", "name", 0, "must be a DNS label"},
      {"{ name: '' }", "name", 0, "must be a DNS label"},
      {"{ name: 80 }", "name", 0, "put the value in quotes"},
      {"{ name: yes }", "name", 0, "not a boolean; put the value in quotes"},
      {"{ generateName: web- }", "name", 0, "is required"},
      {"{ name: web, labels: { app: 'a b' } }", "labels.app", 0, "must be at most 63"},
      {"{ name: web, labels: { 'a b': c } }", "labels[a b]", 0, "a key must be"},
      {"{ name: web, labels: { 'UP.example/b': c } }", "labels[UP.example/b]", 0, "DNS name"},
      {"{ name: web, labels: [a] }", "labels", 0, "must be a mapping, not a list"},
      {"{ name: web, annotations: { a: 1 } }", "annotations.a", 0, "put the value in quotes"},
      {"{ name: web, annotations: { wherry/depend-on: a } }", "annotations[wherry/depend-on]", 0,
       "did you mean \"wherry/depends-on\"?"},
      {"{ name: web, annotations: { wherry/depends-on: 'a, B' } }",
       "annotations[wherry/depends-on]", 0, "\"B\" is no workload's name"},
      {"{ name: web, annotations: { wherry/depends-on: 'a,,b' } }",
       "annotations[wherry/depends-on]", 0, "separated by commas"},
      {"{ name: web, annotations: { wherry/update-strategy: handover } }",
       "annotations[wherry/update-strategy]", 0, "handover is not supported by this version"},
      {"{ name: web, annotations: { wherry/update-strategy: pull } }",
       "annotations[wherry/update-strategy]", 0, "one of pull-first, delete-first"},
      {"{ name: web, annotations: { wherry/data-api: 'yes' } }", "annotations[wherry/data-api]", 0,
       "one of true, false"},
      {"{ name: web, annotations: { wherry/log-forward: warnings } }",
       "annotations[wherry/log-forward]", 0, "one of none, errors, all"},
      {"{ name: web, nam: x }", "nam", 0, "did you mean \"name\"?"},
      {"{ name: web, hostNetwork: true }", "hostNetwork", 0, "it belongs to PodSpec"},
  };
  for (const Wrong& test : kCases) {
    expect_error(desired("  - apiVersion: v1\n    kind: Pod\n    spec: { containers: [{ name: c, "
                         "image: i }] }\n    metadata: " +
                         std::string(test.text) + "\n"),
                 "spec.items[0].metadata." + std::string(test.path), 9, test.message);
  }
  expect_error(desired("  - apiVersion: v1\n    kind: ConfigMap\n    metadata: { name: a, "
                       "annotations: { wherry/depends-on: b } }\n"),
               "spec.items[0].metadata.annotations[wherry/depends-on]", 8, "belongs on a Pod");
}

TEST(BadInput, DuplicatePods) {
  const std::string one =
      "  - apiVersion: v1\n    kind: Pod\n    metadata: { name: web }\n    spec:\n"
      "      containers: [{ name: c, image: i }]\n";
  expect_error(desired(one + one), "spec.items[1].metadata.name", 13,
               "another Pod is named \"web\", at line 6");
}

TEST(BadInput, PodSpec) {
  const Wrong kCases[] = {
      {"      containers: []\n", "containers", 0, "at least one container"},
      {"      containers: { name: c }\n", "containers", 0, "must be a list"},
      {"      restartPolicy: Always\n", "containers", -1, "is required"},
      {"      containers: [{ image: i }]\n", "containers[0].name", 0, "is required"},
      {"      containers: [{ name: c }]\n", "containers[0].image", 0, "is required"},
      {"      containers: [{ name: C, image: i }]\n", "containers[0].name", 0, "a DNS label"},
      {"      containers:\n      - { name: c, image: i }\n      - { name: c, image: i }\n",
       "containers[1].name", 2, "two containers are named \"c\""},
  };
  for (const Wrong& test : kCases) {
    // A missing field is reported where its mapping begins.
    const int line = test.line < 0 ? kPodSpecLine : kPodSpecLine + test.line;
    expect_error(pod(test.text), "spec.items[0].spec." + std::string(test.path), line,
                 test.message);
  }
  const Wrong kFields[] = {
      {"      restartPolicy: always\n", "restartPolicy", 0, "did you mean Always?"},
      {"      restartPolicy: true\n", "restartPolicy", 0, "must be a string"},
      {"      terminationGracePeriodSeconds: -1\n", "terminationGracePeriodSeconds", 0,
       "between 0 and 86400"},
      {"      terminationGracePeriodSeconds: 9223372036854775807\n",
       "terminationGracePeriodSeconds", 0, "between 0 and 86400"},
      {"      terminationGracePeriodSeconds: 30s\n", "terminationGracePeriodSeconds", 0,
       "must be an integer"},
      {"      hostNetwork: \"true\"\n", "hostNetwork", 0, "must be true or false, not a string"},
      {"      hostname: a.b\n", "hostname", 0, "a DNS label"},
      {"      nodeSelector: { a: 1 }\n", "nodeSelector.a", 0, "put the value in quotes"},
      {"      os: { name: windows }\n", "os.name", 0, "it must be linux"},
      {"      dnsPolicy: None\n", "dnsPolicy", 0, "needs dnsConfig.nameservers"},
      {"      dnsPolicy: none\n", "dnsPolicy", 0, "did you mean None?"},
      {"      dnsConfig: { nameservers: [ns.example.org] }\n", "dnsConfig.nameservers[0]", 0,
       "an IPv4 or IPv6 address"},
      {"      dnsConfig: { nameservers: [0.0.0.0] }\n", "dnsConfig.nameservers[0]", 0,
       "an IPv4 or IPv6 address"},
      {"      dnsConfig: { nameservers: [1.1.1.0, 1.1.1.1, 1.1.1.2, 1.1.1.3] }\n",
       "dnsConfig.nameservers", 0, "3 name servers at most"},
      {"      dnsConfig: { searches: [\"a b\"] }\n", "dnsConfig.searches[0]", 0, "DNS"},
      {"      dnsConfig: { options: [{ value: \"2\" }] }\n", "dnsConfig.options[0].name", 0,
       "is required"},
      {"      dnsConfig: { options: [{ name: \"ndots:2\" }] }\n", "dnsConfig.options[0].name", 0,
       "such as ndots"},
      {"      dnsConfig: { options: [{ name: ndots, value: \"2\\nnameserver 6.6.6.6\" }] }\n",
       "dnsConfig.options[0].value", 0, "one word"},
      {"      dnsConfig: { options: [{ name: ndots, value: 2 }] }\n", "dnsConfig.options[0].value",
       0, "must be a string"},
      {"      hostAliases: [{ ip: 10.0.0, hostnames: [a] }]\n", "hostAliases[0].ip", 0,
       "an IPv4 or IPv6 address"},
      {"      hostAliases: [{ ip: 10.0.0.1, hostnames: [] }]\n", "hostAliases[0].hostnames", 0,
       "at least one name"},
      {"      hostAliases: [{ ip: 10.0.0.1, hostnames: [\"a\\n6.6.6.6 b\"] }]\n",
       "hostAliases[0].hostnames[0]", 0, "DNS"},
      {"      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } }\n",
       "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", 0,
       "use nodeSelector"},
      {"      securityContext: { runAsUser: -1 }\n", "securityContext.runAsUser", 0,
       "between 0 and 2147483647"},
      {"      securityContext: { runAsUser: root }\n", "securityContext.runAsUser", 0,
       "must be an integer"},
      {"      securityContext: { runAsNonRoot: true, runAsUser: 0 }\n", "securityContext.runAsUser",
       0, "forbids user 0"},
      {"      securityContext: { supplementalGroups: [a] }\n",
       "securityContext.supplementalGroups[0]", 0, "must be an integer"},
      {"      securityContext: { supplementalGroups: [-1] }\n",
       "securityContext.supplementalGroups[0]", 0, "between 0 and 2147483647"},
      {"      securityContext: { seccompProfile: { type: RuntimeDefalt } }\n",
       "securityContext.seccompProfile.type", 0, "did you mean RuntimeDefault?"},
      {"      securityContext: { privileged: true }\n", "securityContext.privileged", 0,
       "unknown field \"privileged\""},
      {"      livenessProbe: {}\n", "livenessProbe", 0, "it belongs to Container"},
      {"      restartPolcy: Always\n", "restartPolcy", 0, "did you mean \"restartPolicy\"?"},
      {"      volumes: [{ emptyDir: {} }]\n", "volumes[0].name", 0, "is required"},
      {"      volumes: [{ name: a }]\n", "volumes[0]", 0, "needs a source"},
      {"      volumes: [{ name: a, emptyDir: }]\n", "volumes[0]", 0, "needs a source"},
      {"      volumes: [{ name: a, emptyDir: {}, hostPath: { path: /a } }]\n", "volumes[0]", 0,
       "has several sources"},
      {"      volumes: [{ name: a, emptyDir: {} }, { name: a, emptyDir: {} }]\n", "volumes[1].name",
       0, "two volumes are named \"a\""},
      {"      volumes: [{ name: A, emptyDir: {} }]\n", "volumes[0].name", 0, "a DNS label"},
      {"      volumes: [{ name: a, emptyDir: { medium: Disk } }]\n", "volumes[0].emptyDir.medium",
       0, "must be one of Memory, HugePages"},
      {"      volumes: [{ name: a, emptyDir: { medium: HugePages } }]\n",
       "volumes[0].emptyDir.medium", 0, "needs a container with a limit of such huge pages"},
      {"      volumes: [{ name: a, emptyDir: { medium: Memory, sizeLimit: 1Mb } }]\n",
       "volumes[0].emptyDir.sizeLimit", 0, "is not a quantity"},
      {"      volumes: [{ name: a, hostPath: {} }]\n", "volumes[0].hostPath.path", 0,
       "is required"},
      {"      volumes: [{ name: a, hostPath: { path: etc } }]\n", "volumes[0].hostPath.path", 0,
       "must be an absolute path"},
      {"      volumes: [{ name: a, hostPath: { path: /a/../b } }]\n", "volumes[0].hostPath.path", 0,
       "must not contain .."},
      {"      volumes: [{ name: a, hostPath: { path: /a, type: Dir } }]\n",
       "volumes[0].hostPath.type", 0, "must be one of"},
      {"      volumes: [{ name: a, hostpath: { path: /a } }]\n", "volumes[0].hostpath", 0,
       "did you mean \"hostPath\"?"},
      {"      volumes: [{ name: a, nfs: { server: s, path: /p } }]\n", "volumes[0].nfs", 0,
       "mount it on the device"},
  };
  for (const Wrong& test : kFields) {
    expect_error(pod(std::string(test.text) + "      containers: [{ name: c, image: i }]\n"),
                 "spec.items[0].spec." + std::string(test.path), kPodSpecLine + test.line,
                 test.message);
  }
}

TEST(BadInput, Container) {
  const Wrong kCases[] = {
      {"command: /bin/sh", "command", 0, "must be a list, not a string"},
      {"command: [sleep, 5]", "command[1]", 0, "put the value in quotes"},
      {"args: [-v, true]", "args[1]", 0, "not a boolean; put the value in quotes"},
      {"workingDir: srv", "workingDir", 0, "must be an absolute path"},
      {"imagePullPolicy: IfMissing", "imagePullPolicy", 0, "must be one of Always"},
      {"hostname: a", "hostname", 0, "it belongs to PodSpec"},
      {"Image: a", "Image", 0, "did you mean \"image\"?"},
      {"stdin: true", "stdin", 0, "not supported by this version"},

      {"env: { A: b }", "env", 0, "must be a list"},
      {"env: [{ value: a }]", "env[0].name", 0, "is required"},
      {"env: [{ name: '', value: a }]", "env[0].name", 0, "printable ASCII"},
      {"env: [{ name: 'A=B', value: a }]", "env[0].name", 0, "not ="},
      {"env: [{ name: A, value: 80 }]", "env[0].value", 0, "put the value in quotes"},
      {"env: [{ name: A, value: yes }]", "env[0].value", 0, "put the value in quotes"},
      {"env: [{ name: A, value: x, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]",
       "env[0].valueFrom", 0, "not both"},
      {"env: [{ name: A, valueFrom: {} }]", "env[0].valueFrom", 0, "needs one of"},
      {"env: [{ name: A, valueFrom: { configMapKeyRef: { name: a, key: b }, secretKeyRef: { name: "
       "a, "
       "key: b } } }]",
       "env[0].valueFrom", 0, "one source only"},
      {"env: [{ name: A, valueFrom: { configMapKeyRef: { name: a } } }]",
       "env[0].valueFrom.configMapKeyRef.key", 0, "is required"},
      {"env: [{ name: A, valueFrom: { fieldRef: { fieldPath: metadata.generation } } }]",
       "env[0].valueFrom.fieldRef.fieldPath", 0, "\"metadata.generation\" is not supported"},
      {"env: [{ name: A, valueFrom: { fieldRef: { fieldPath: \"metadata.labels['']\" } } }]",
       "env[0].valueFrom.fieldRef.fieldPath", 0, "is not supported"},
      {"env: [{ name: A, valueFrom: { resourceFieldRef: { resource: limits.gpu } } }]",
       "env[0].valueFrom.resourceFieldRef.resource", 0, "did you mean limits.cpu?"},
      {"restartPolicy: Always", "restartPolicy", 0, "only an init container has one"},
      {"envFrom: [{ prefix: A_ }]", "envFrom[0]", 0, "either configMapRef or secretRef"},
      {"envFrom: [{ configMapRef: { name: a }, secretRef: { name: a } }]", "envFrom[0]", 0,
       "either configMapRef or secretRef"},
      {"envFrom: [{ configMapRef: {} }]", "envFrom[0].configMapRef.name", 0, "is required"},
      {"envFrom: [{ prefix: 'A=', configMapRef: { name: a } }]", "envFrom[0].prefix", 0, "not ="},

      {"ports: [{ hostPort: 80 }]", "ports[0].containerPort", 0, "is required"},
      {"ports: [{ containerPort: 0 }]", "ports[0].containerPort", 0, "between 1 and 65535"},
      {"ports: [{ containerPort: 65536 }]", "ports[0].containerPort", 0, "between 1 and 65535"},
      {"ports: [{ containerPort: http }]", "ports[0].containerPort", 0, "must be an integer"},
      {"ports: [{ containerPort: 0x50 }]", "ports[0].containerPort", 0, "decimal"},
      {"ports: [{ containerPort: 80, hostPort: 70000 }]", "ports[0].hostPort", 0, "and 65535"},
      {"ports: [{ containerPort: 80, protocol: tcp }]", "ports[0].protocol", 0,
       "did you mean TCP?"},
      {"ports: [{ containerPort: 80, hostIP: localhost, hostPort: 1 }]", "ports[0].hostIP", 0,
       "must be an IP address"},
      {"ports: [{ containerPort: 80, name: Http }]", "ports[0].name", 0, "must be 1 to 15"},
      {"ports: [{ containerPort: 80, name: a }, { containerPort: 81, name: a }]", "ports[1].name",
       0, "is used by another port"},

      {"resources: { limits: { cpu: much } }", "resources.limits.cpu", 0, "is not a quantity"},
      {"resources: { limits: { cpu: -1 } }", "resources.limits.cpu", 0, "must not be negative"},
      {"resources: { limits: { memory: 1e400 } }", "resources.limits.memory", 0,
       "is not a quantity"},
      {"resources: { limits: { memory: 64MB } }", "resources.limits.memory", 0, "its suffix"},
      {"resources: { limits: { memory: 64m } }", "resources.limits.memory", 0, "less than 1Mi"},
      {"resources: { limits: { memory: true } }", "resources.limits.memory", 0,
       "must be a quantity"},
      {"resources: { limits: { cpu: 1 }, requests: { cpu: 2 } }", "resources.requests.cpu", 0,
       "must be at most the limit of cpu"},
      {"resources: { limits: { memory: 64Mi }, requests: { memory: 65Mi } }",
       "resources.requests.memory", 0, "must be at most the limit of memory"},
      {"resources: { limits: { ephemeral-storage: 1Gi }, requests: { ephemeral-storage: 2Gi } }",
       "resources.requests.ephemeral-storage", 0, "must be at most the limit"},
      {"resources: { limits: { nvidia.com/gpu: 500m } }", "resources.limits[nvidia.com/gpu]", 0,
       "must be a whole number of devices"},
      {"resources: { limits: { nvidia.com/gpu: many } }", "resources.limits[nvidia.com/gpu]", 0,
       "is not a quantity"},
      {"resources: { limits: { nvidia.com/gpu: 2 }, requests: { nvidia.com/gpu: 1 } }",
       "resources.requests[nvidia.com/gpu]", 0, "must equal the limit of nvidia.com/gpu"},
      {"resources: { requests: { nvidia.com/gpu: 1 } }", "resources.requests[nvidia.com/gpu]", 0,
       "needs the same under limits"},
      {"resources: { limits: { kubernetes.io/gpu: 1 } }", "resources.limits[kubernetes.io/gpu]", 0,
       "name the resource after a domain of yours"},
      {"resources: { limits: { a.com/b/c: 1 } }", "resources.limits[a.com/b/c]", 0,
       "a key must be 1 to 63"},
      {"resources: { limits: { hugepages-2Mi: 3Mi, cpu: 1 } }", "resources.limits.hugepages-2Mi", 0,
       "must be a whole number of pages of 2Mi"},
      {"resources: { limits: { hugepages-2Mi: 4Mi } }", "resources", 0,
       "huge pages need a limit or request of cpu or memory"},
      {"resources: { limits: { hugepages-2Mi: 4Mi, cpu: 1 }, requests: { hugepages-2Mi: 2Mi } }",
       "resources.requests.hugepages-2Mi", 0, "must equal the limit"},
      {"resources: { limits: { hugepages-4Mi: 4Mi } }", "resources.limits.hugepages-4Mi", 0,
       "did you mean \"hugepages-2Mi\"?"},
      {"resources: { limit: { cpu: 1 } }", "resources.limit", 0, "did you mean \"limits\"?"},
      {"resources: { cpu: 1 }", "resources.cpu", 0, "unknown field \"cpu\""},

      {"securityContext: { privileged: true, allowPrivilegeEscalation: false }",
       "securityContext.allowPrivilegeEscalation", 0, "leave one of the two out"},
      {"securityContext: { capabilities: { add: [CAP_NET_ADMIN] } }",
       "securityContext.capabilities.add[0]", 0, "write NET_ADMIN"},
      {"securityContext: { capabilities: { drop: [NET_AMDIN] } }",
       "securityContext.capabilities.drop[0]", 0, "write NET_ADMIN"},
      {"securityContext: { procMount: Unmasked }", "securityContext.procMount", 0,
       "not supported by this version"},
      {"securityContext: { procMount: Unmaksed }", "securityContext.procMount", 0,
       "procMount: must be Default; Unmasked needs"},
      {"securityContext: { seLinuxOptions: 3 }", "securityContext.seLinuxOptions", 0,
       "must be a mapping, not a number; besides, seLinuxOptions: SELinux labels are not"},
      {"tty: \"false\"", "tty", 0,
       "must be true or false, not a string; remove the quotes; besides, tty is not supported"},
      {"securityContext: { fsGroup: 1 }", "securityContext.fsGroup", 0, "unknown field"},

      {"volumeMounts: [{ name: gone, mountPath: /a }]", "volumeMounts[0].name", 0,
       "no volume named \"gone\""},
      {"volumeMounts: [{ name: v }]", "volumeMounts[0].mountPath", 0, "is required"},
      {"volumeMounts: [{ name: v, mountPath: a }]", "volumeMounts[0].mountPath", 0, "absolute"},
      {"volumeMounts: [{ name: v, mountPath: /a/.. }]", "volumeMounts[0].mountPath", 0, ".."},
      {"volumeMounts: [{ name: v, mountPath: '/a:b' }]", "volumeMounts[0].mountPath", 0, ":"},
      {"volumeMounts: [{ name: v, mountPath: / }]", "volumeMounts[0].mountPath", 0, "not be /"},
      {"volumeMounts: [{ name: v, mountPath: /a }, { name: v, mountPath: /a/ }]",
       "volumeMounts[1].mountPath", 0, "is mounted twice"},
      {"volumeMounts: [{ name: v, mountPath: /a, subPath: ../b }]", "volumeMounts[0].subPath", 0,
       "must not contain .."},
      {"volumeMounts: [{ name: v, mountPath: /a, mountPropagation: Bidirectional }]",
       "volumeMounts[0].mountPropagation", 0, "privileged: true"},
  };
  for (const Wrong& test : kCases) {
    expect_error(container("        " + std::string(test.text) +
                           "\n      volumes: [{ name: v, emptyDir: {} }]\n"),
                 "spec.items[0].spec.containers[0]." + std::string(test.path),
                 kContainerLine + test.line, test.message);
  }
}

TEST(BadInput, Images) {
  for (const char* image : {"''", "'a b'", "UPPER/Case:1", "'web:'", "web@sha256:12", "'web:1 '",
                            "/web", "http://registry/web"}) {
    const Document document = parse_desired_state(
        pod("      containers: [{ name: c, image: " + std::string(image) + " }]\n"));
    ASSERT_EQ(document.errors.size(), 1U) << image;
    EXPECT_EQ(document.errors[0].path, "spec.items[0].spec.containers[0].image") << image;
  }
}

TEST(BadInput, HostNetworkPorts) {
  expect_error(pod("      hostNetwork: true\n      containers:\n      - name: c\n        image: i\n"
                   "        ports: [{ containerPort: 80, hostPort: 8080 }]\n"),
               "spec.items[0].spec.containers[0].ports[0].hostPort", kPodSpecLine + 4,
               "must equal containerPort");
}

TEST(BadInput, EveryErrorIsCollectedInOrderAndCapped) {
  const Document document = parse_desired_state(
      container("        imagePullPolicy: x\n        workingDir: y\n        command: z\n"));
  ASSERT_EQ(document.errors.size(), 3U) << print(document.errors);
  EXPECT_EQ(document.errors[0].line, kContainerLine);
  EXPECT_EQ(document.errors[1].line, kContainerLine + 1);
  EXPECT_EQ(document.errors[2].line, kContainerLine + 2);

  std::string many;
  for (int i = 0; i < 5000; ++i) many += "        x" + std::to_string(i) + ": 1\n";
  const Document capped = parse_desired_state(container(many));
  ASSERT_EQ(capped.errors.size(), 101U);
  EXPECT_EQ(capped.errors.back().message, "and 4900 more errors");
  EXPECT_EQ(capped.errors.front().line, kContainerLine);
}

TEST(BadInput, RevisionIsKnownWhereItCanBe) {
  Document document = parse_desired_state(
      "apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 7 }\nspec: { items: [1] "
      "}\n");
  EXPECT_FALSE(document.valid());
  EXPECT_EQ(document.revision, 7U);
  document = parse_desired_state("a: [");
  EXPECT_EQ(document.revision, 0U);
  EXPECT_EQ(document.digest.substr(0, 7), "sha256:");
}

}  // namespace
}  // namespace wherry

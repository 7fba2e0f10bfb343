// Environment, command and arguments once all they refer to is known.

#include "agent/manifest/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/device_amounts.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

TEST(Expansion, FollowsKubernetes) {
  const std::string value = "v";
  const manifest::VariableLookup lookup = [&](std::string_view name) {
    return name == "A" ? &value : nullptr;
  };
  const struct {
    const char* text;
    const char* result;
  } kCases[] = {
      {"", ""},
      {"plain", "plain"},
      {"$(A)", "v"},
      {"x$(A)y$(A)", "xvyv"},
      {"$(B)", "$(B)"},
      {"$$(A)", "$(A)"},
      {"$$$(A)", "$v"},
      {"$$$$", "$$"},
      {"$", "$"},
      {"a$", "a$"},
      {"$A", "$A"},
      {"$(A", "$(A"},
      {"$(", "$("},
      {"$()", "$()"},
      {"$($(A))", "$($(A))"},
      {"$(A)$(", "v$("},
      {"100% $ 5", "100% $ 5"},
  };
  for (const auto& test : kCases) {
    std::string result;
    EXPECT_TRUE(manifest::expand_variables(test.text, lookup, 1000, result)) << test.text;
    EXPECT_EQ(result, test.result) << test.text;
  }
  std::string result;
  EXPECT_TRUE(manifest::expand_variables("$(A)$(A)$(A)", lookup, 3, result));
  result.clear();
  EXPECT_FALSE(manifest::expand_variables("$(A)$(A)$(A)$(A)", lookup, 3, result));
}

constexpr const char* kObjects = R"yaml(
  - apiVersion: v1
    kind: ConfigMap
    metadata: { name: conf }
    data: { host: broker, port: "1883", app.conf: "x=1" }
  - apiVersion: v1
    kind: Secret
    metadata: { name: pass }
    data: { user: YWRtaW4=, word: "aHVu\ndGVyMg==" }
    stringData: { user: root, raw: "$(host)" }
)yaml";

std::string with_objects(const std::string& fields, const std::string& objects = kObjects) {
  return container(fields) + objects.substr(1);
}

TEST(Environment, ComesFromEverywhereInOrder) {
  const WorkloadSpec workload = only_workload(with_objects(R"yaml(        envFrom:
        - configMapRef: { name: conf }
        - { prefix: S_, secretRef: { name: pass } }
        - configMapRef: { name: gone, optional: true }
        env:
        - { name: URL, value: "mqtt://$(host):$(port)" }
        - { name: port, value: "8883" }
        - { name: LATE, value: "$(port) $(NEXT)" }
        - { name: NEXT, value: later }
        - { name: WORD, valueFrom: { secretKeyRef: { name: pass, key: word } } }
        - { name: HOST, valueFrom: { configMapKeyRef: { name: conf, key: host } } }
        - { name: NONE, valueFrom: { configMapKeyRef: { name: conf, key: gone, optional: true } } }
        - { name: NONE2, valueFrom: { secretKeyRef: { name: gone, key: k, optional: true } } }
        - { name: EMPTY }
        command: ["$(URL)", "$(S_raw)"]
        args: ["$(NONE)"]
)yaml"));
  EXPECT_THAT(workload.pod.containers.at(0).env,
              ElementsAre(Pair("app.conf", "x=1"), Pair("host", "broker"), Pair("port", "8883"),
                          Pair("S_raw", "$(host)"), Pair("S_user", "root"),
                          Pair("S_word", "hunter2"), Pair("URL", "mqtt://broker:1883"),
                          Pair("LATE", "8883 $(NEXT)"), Pair("NEXT", "later"),
                          Pair("WORD", "hunter2"), Pair("HOST", "broker"), Pair("EMPTY", "")));
  EXPECT_THAT(workload.pod.containers.at(0).command, ElementsAre("mqtt://broker:1883", "$(host)"))
      << "what a Secret holds is not expanded again";
  EXPECT_THAT(workload.pod.containers.at(0).args, ElementsAre("$(NONE)"));
}

TEST(Environment, FieldsOfThePod) {
  DeviceFacts facts;
  facts.hostname = "pump-7";
  const WorkloadSpec workload = only_workload(R"yaml(
apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 1 }
spec:
  items:
  - apiVersion: v1
    kind: Pod
    metadata: { name: web, labels: { app.io/x: l }, annotations: { note: "a b" } }
    spec:
      containers:
      - name: c
        image: i
        env:
        - { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        - { name: NS, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
        - { name: NODE, valueFrom: { fieldRef: { apiVersion: v1, fieldPath: spec.nodeName } } }
        - { name: LABEL, valueFrom: { fieldRef: { fieldPath: "metadata.labels['app.io/x']" } } }
        - { name: NOTE, valueFrom: { fieldRef: { fieldPath: "metadata.annotations['note']" } } }
        - { name: NONE, valueFrom: { fieldRef: { fieldPath: "metadata.labels['no']" } } }
)yaml",
                                              facts);
  EXPECT_THAT(workload.pod.containers.at(0).env,
              ElementsAre(Pair("NAME", "web"), Pair("NS", "default"), Pair("NODE", "pump-7"),
                          Pair("LABEL", "l"), Pair("NOTE", "a b"), Pair("NONE", "")));
}

Merged merge_one(const std::string& text) {
  const Document document = parse_desired_state(text);
  EXPECT_TRUE(document.valid()) << print(document.errors);
  return merge({{"devices/d", &document}}, {});
}

TEST(Environment, MissingReferencesAreErrorsWithTheirPlace) {
  const struct {
    const char* fields;
    const char* path;
    const char* message;
  } kCases[] = {
      {"envFrom: [{ configMapRef: { name: gone } }]", "envFrom[0].configMapRef",
       "ConfigMap \"gone\" is not there"},
      {"envFrom: [{ secretRef: { name: conf } }]", "envFrom[0].secretRef",
       "Secret \"conf\" is not there"},
      {"env: [{ name: A, valueFrom: { configMapKeyRef: { name: gone, key: k } } }]",
       "env[0].valueFrom.configMapKeyRef", "ConfigMap \"gone\" is not there"},
      {"env: [{ name: A, valueFrom: { secretKeyRef: { name: pass, key: k } } }]",
       "env[0].valueFrom.secretKeyRef", "Secret \"pass\" has no key \"k\""},
  };
  for (const auto& test : kCases) {
    const Merged merged = merge_one(with_objects("        " + std::string(test.fields) + "\n"));
    EXPECT_TRUE(merged.workloads.empty());
    ASSERT_EQ(merged.errors.size(), 1U) << test.fields;
    EXPECT_EQ(merged.errors[0].path,
              "devices/d:spec.items[0].spec.containers[0]." + std::string(test.path));
    EXPECT_THAT(merged.errors[0].message, HasSubstr(test.message));
    EXPECT_EQ(merged.errors[0].line, kContainerLine);
  }
}

TEST(Environment, BoundsOfTheKernelAreSaid) {
  const std::string doubling = [] {
    std::string text = "        env:\n        - { name: A0, value: xxxxxxxx }\n";
    for (int i = 1; i < 60; ++i) {
      const std::string before = "$(A" + std::to_string(i - 1) + ")";
      text +=
          "        - { name: A" + std::to_string(i) + ", value: \"" + before + before + "\" }\n";
    }
    return text;
  }();
  Merged merged = merge_one(container(doubling));
  ASSERT_EQ(merged.errors.size(), 1U) << print(merged.errors);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("env A14: longer than 128 KiB"));

  const std::string big(100'000, 'x');
  std::string many = "        args:\n";
  for (int i = 0; i < 12; ++i) many += "        - $(BIG)\n";
  merged = merge_one(container(many + "        env: [{ name: BIG, value: " + big + " }]\n"));
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("longer than 1 MiB together"));

  merged = merge_one(container("        command: [" + std::string(140'000, 'x') + "]\n"));
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("command: longer than 128 KiB"));
}

TEST(Environment, AllWorkloadsTogetherAreBounded) {
  std::string text = desired(
      "  - { apiVersion: v1, kind: ConfigMap, metadata: { name: big }, data: { "
      "k: " +
      std::string(100'000, 'x') + " } }\n");
  for (int i = 0; i < 200; ++i) {
    text += "  - { apiVersion: v1, kind: Pod, metadata: { name: p" + std::to_string(i) +
            " }, spec: { containers: [{ name: c, image: i, envFrom: [{ configMapRef: { name: big } "
            "}] }] } }\n";
  }
  const Merged merged = merge_one(text);
  EXPECT_FALSE(merged.errors.empty());
  EXPECT_THAT(merged.errors.at(0).message, HasSubstr("16 MiB together"));
}

TEST(Environment, NulInASecretIsRefused) {
  const Merged merged = merge_one(
      container("        env: [{ name: A, valueFrom: { secretKeyRef: { name: s, key: k } } }]\n") +
      "  - { apiVersion: v1, kind: Secret, metadata: { name: s }, data: { k: YQBi } }\n");
  ASSERT_EQ(merged.errors.size(), 1U);
  EXPECT_THAT(merged.errors[0].message, HasSubstr("contains a NUL byte"));
}

// Whatever is wrong with or around a Secret, its value is not told.
TEST(Environment, SecretValuesAreNeverInAMessage) {
  const std::string secret = "hunter2-do-not-tell";
  const std::string base64 = "aHVudGVyMi1kby1ub3QtdGVsbA==";
  const auto secret_with = [&](const std::string& fields) {
    return desired("  - apiVersion: v1\n    kind: Secret\n    metadata: { name: s }\n    " +
                   fields + "\n");
  };
  const std::string all[] = {
      secret_with("data: { k: " + secret + " }"),
      secret_with("data: { k: [" + secret + "] }"),
      secret_with("data: [" + secret + "]"),
      secret_with("data: " + secret),
      secret_with("data: { k: " + base64 + "x }"),
      secret_with("stringData: { k: { " + secret + ": 1 } }"),
      secret_with("stringData: { k: !!binary " + secret + " }"),
      secret_with("stringDat: { k: " + secret + " }"),
      secret_with("password: " + secret),
      secret_with("immutable: " + secret),
      secret_with("data: { k: \"" + secret + " }"),
      container("        env: [{ name: A, value: [" + secret + "] }]\n"),
      container("        env: [{ name: A, value: " + secret + ", valueFrom: {} }]\n"),
      container("        env: [{ name: A, valu: " + secret + " }]\n"),
      container("        env: [{ name: A, value: \"" + secret + std::string(140'000, 'x') +
                "\" }]\n"),
      container(
          "        args: [\"$(A)\"]\n        env: [{ name: A, valueFrom: { secretKeyRef: { name: "
          "s, key: k } } }]\n") +
          "  - { apiVersion: v1, kind: Secret, metadata: { name: s }, stringData: { k: \"" +
          secret + std::string(140'000, 'x') + "\" } }\n",
  };
  for (const std::string& text : all) {
    const Document document = parse_desired_state(text);
    std::string said = print(document.errors) + print(document.warnings);
    if (document.valid()) said += print(merge({{"devices/d", &document}}, {}).errors);
    EXPECT_FALSE(said.empty()) << text.substr(0, 400);
    EXPECT_THAT(said, Not(HasSubstr("hunter2"))) << text.substr(0, 400);
    EXPECT_THAT(said, Not(HasSubstr(base64))) << text.substr(0, 400);
  }
}

TEST(Environment, AsksForAddressesAndResources) {
  DeviceFacts facts;
  facts.cpu_milli = 4000;
  facts.memory_bytes = 1 << 30;
  const std::string text = container(
      "        args: [\"--on=$(IP)\"]\n"
      "        resources: { limits: { cpu: 1500m }, requests: { memory: 3Mi } }\n"
      "        env:\n"
      "        - { name: IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }\n"
      "        - { name: SELF, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }\n"
      "        - { name: HOST, valueFrom: { fieldRef: { fieldPath: status.hostIP } } }\n"
      "        - { name: ACCOUNT, valueFrom: { fieldRef: { fieldPath: "
      "spec.serviceAccountName } } }\n"
      "        - { name: CPU, valueFrom: { resourceFieldRef: { resource: limits.cpu } } }\n"
      "        - { name: MILLI, valueFrom: { resourceFieldRef: { resource: limits.cpu, "
      "divisor: 1m } } }\n"
      "        - { name: MEM, valueFrom: { resourceFieldRef: { resource: "
      "requests.memory, divisor: 2Mi, containerName: c } } }\n"
      "        - { name: ALL, valueFrom: { resourceFieldRef: { resource: limits.memory "
      "} } }\n");
  const WorkloadSpec workload = only_workload(text, facts);
  const std::string ip(runtime::kPodIpMark);
  ASSERT_EQ(workload.pod.containers.size(), 1U);
  EXPECT_THAT(workload.pod.containers[0].args, ElementsAre("--on=" + ip));
  EXPECT_THAT(
      workload.pod.containers[0].env,
      ElementsAre(Pair("IP", ip), Pair("SELF", std::string(runtime::kPodUidMark)),
                  Pair("HOST", std::string(runtime::kHostIpMark)), Pair("ACCOUNT", "default"),
                  Pair("CPU", "2"), Pair("MILLI", "1500"), Pair("MEM", "2"),
                  Pair("ALL", runtime::device_amount_mark(runtime::DeviceResource::Memory, 1))));
  facts.cpu_milli = 8000;
  facts.memory_bytes = 2 << 20;
  EXPECT_EQ(only_workload(text, facts).pod.hash, workload.pod.hash)
      << "another kernel leaves another page to it";
}

TEST(InitContainers, ComeFirstWithTheirRolesAndAreNamedLikeTheOthers) {
  const WorkloadSpec workload = only_workload(
      pod("      initContainers:\n"
          "      - { name: a, image: i, env: [{ name: CPU, valueFrom: { resourceFieldRef: { "
          "containerName: c, resource: requests.cpu, divisor: 1m } } }] }\n"
          "      - { name: b, image: j, restartPolicy: Always }\n"
          "      containers:\n"
          "      - { name: c, image: k, resources: { requests: { cpu: 20m } } }\n"));
  const auto& all = workload.pod.containers;
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].role, runtime::ContainerRole::Init);
  EXPECT_EQ(all[1].role, runtime::ContainerRole::Sidecar);
  EXPECT_EQ(all[2].role, runtime::ContainerRole::Main);
  EXPECT_THAT(all[0].env, ElementsAre(Pair("CPU", "20")));
  const Document twice =
      parse_desired_state(pod("      initContainers: [{ name: a, image: i }]\n"
                              "      containers: [{ name: a, image: k }]\n"));
  EXPECT_NE(manifest_test::find(twice.errors, "spec.items[0].spec.containers[0].name",
                                "two containers are named \"a\""),
            nullptr)
      << print(twice.errors);
}

TEST(Health, IsReadWithKubernetesDefaults) {
  const WorkloadSpec workload = only_workload(container(
      "        ports: [{ name: web, containerPort: 8080 }]\n"
      "        startupProbe: { grpc: { port: 9000, service: s }, failureThreshold: 30, "
      "periodSeconds: 0 }\n"
      "        livenessProbe: { exec: { command: [cat, /x] }, initialDelaySeconds: 5, "
      "timeoutSeconds: 2, terminationGracePeriodSeconds: 7 }\n"
      "        readinessProbe: { httpGet: { port: web, path: healthz, scheme: HTTPS, host: h, "
      "httpHeaders: [{ name: A, value: b }] }, successThreshold: 2 }\n"
      "        lifecycle: { postStart: { exec: { command: [a] } }, preStop: { sleep: { seconds: 3 "
      "} } }\n"));
  ASSERT_EQ(workload.pod.containers.size(), 1U);
  const runtime::ContainerSpec& spec = workload.pod.containers[0];
  using Kind = runtime::Handler::Kind;
  using std::chrono::seconds;
  EXPECT_EQ(spec.startup->check.kind, Kind::Grpc);
  EXPECT_EQ(spec.startup->check.port, 9000);
  EXPECT_EQ(spec.startup->check.service, "s");
  EXPECT_EQ(spec.startup->period, seconds(10));
  EXPECT_EQ(spec.startup->failure_threshold, 30U);
  EXPECT_THAT(spec.liveness->check.command, ElementsAre("cat", "/x"));
  EXPECT_EQ(spec.liveness->initial_delay, seconds(5));
  EXPECT_EQ(spec.liveness->timeout, seconds(2));
  EXPECT_EQ(spec.liveness->grace, seconds(7));
  EXPECT_EQ(spec.liveness->failure_threshold, 3U);
  const runtime::Handler& get = spec.readiness->check;
  EXPECT_EQ(get.kind, Kind::HttpGet);
  EXPECT_EQ(get.port, 8080);
  EXPECT_EQ(get.path, "/healthz");
  EXPECT_TRUE(get.https);
  EXPECT_EQ(get.host, "h");
  EXPECT_THAT(get.headers, ElementsAre(Pair("A", "b")));
  EXPECT_EQ(spec.readiness->success_threshold, 2U);
  EXPECT_EQ(spec.post_start->kind, Kind::Exec);
  EXPECT_EQ(spec.pre_stop->sleep, seconds(3));
}

TEST(Health, OfAnInitContainerIsForSidecarsOnly) {
  for (const char* field :
       {"livenessProbe: { tcpSocket: { port: 1 } }", "readinessProbe: { tcpSocket: { port: 1 } }",
        "startupProbe: { tcpSocket: { port: 1 } }",
        "lifecycle: { preStop: { sleep: { seconds: 1 } } }"}) {
    for (const bool sidecar : {false, true}) {
      const Document document = parse_desired_state(
          pod("      initContainers:\n      - name: a\n        image: i\n        " +
              std::string(field) + (sidecar ? "\n        restartPolicy: Always" : "") +
              "\n      containers: [{ name: c, image: i }]\n"));
      EXPECT_EQ(document.valid(), sidecar) << field << print(document.errors);
    }
  }
}

}  // namespace
}  // namespace wherry
